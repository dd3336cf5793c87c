"""Generation, greedy or sampled: the prompts' common beginning computed and read once, a free slot filled again.

All prompts of a call share one kept beginning (``eval.forward``): at each step its keys are read once for the whole
batch, where a batched cache holds and reads a copy a sequence. Each sequence has a slot for what is its own. When a
quarter of the slots are free, waiting prompts fill them, the longest first, so that short answers do not wait for long
ones. A sequence ends at a stop string, at the end token, at its greatest length or where the context ends. Sampling
draws from a generator of each sequence's own, so a text depends on its seed and not on what ran beside it.
Cost: eight items of eight-shot GSM8K, 48 ids each, 135M parameters: 11.9 CPU-seconds, HFLM 43.2, equal texts.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from eval.forward import PACK, Kept, Layout, Segment, hidden, join, part, tree_attention
from eval.prefixes import common

if TYPE_CHECKING:
    import torch

MAX_TOKENS = 256  # of a request that does not say
TAIL = 24  # ids whose text is searched for a stop string after each step
BEFORE = 8  # ids of the prompt that are decoded with the answer, so that its first space is kept


@dataclass(frozen=True)
class Wanted:
    """A text to be continued."""

    ids: Sequence[int]
    max_tokens: int
    stop: tuple[str, ...] = ()
    temperature: float = 0.0  # 0: the likeliest id, always
    seed: int = 0


@dataclass
class _Slot:
    number: int
    wanted: Wanted
    made: list[int] = field(default_factory=list)
    generator: torch.Generator | None = None


def generate_until(lm: Any, requests: Sequence[Any]) -> list[str]:
    """Answer lm-eval's ``generate_until`` requests.

    Args:
        lm: A ``SharedPrefixLM``.
        requests: Instances with arguments (context, {until, max_gen_toks, do_sample, temperature, seed}).
    """
    wanted = []
    for context, options in (one.args for one in requests):
        until = options.get("until") or ()
        size = int(options.get("max_gen_toks", MAX_TOKENS))
        room = lm.max_length - min(size, lm.max_length // 2)
        wanted.append(
            Wanted(
                lm.tok_encode(context)[-room:] or [lm.prefix_token_id],
                size,
                (until,) if isinstance(until, str) else tuple(until),
                float(options.get("temperature", 0.0)) if options.get("do_sample", True) else 0.0,
                int(options.get("seed", 0)),
            )
        )
    return generate(lm.model, lm.tokenizer, wanted, context=lm.max_length, slots=int(lm.batch_size))


def generate(model: Any, tokenizer: Any, wanted: Sequence[Wanted], *, context: int, slots: int = 16) -> list[str]:
    """Continue texts.

    Args:
        model: A model that ``eval.forward.shares``.
        tokenizer: Its tokenizer.
        wanted: The texts; all share one kept beginning, so give those of one subject together.
        context: Ids the model takes at most.
        slots: Sequences at once.

    Returns:
        What was generated for each, without the stop string and what follows it.
    """
    import torch

    if not wanted:
        return []
    out = [""] * len(wanted)
    ends = _end_ids(model, tokenizer)
    with torch.inference_mode(), tree_attention(model):
        batch = _Batch(model, wanted, context, min(slots, len(wanted)))
        for slot in batch.run():
            text = _text(tokenizer, slot)
            at = min((found for stop in slot.wanted.stop if (found := text.find(stop)) >= 0), default=-1)
            over = slot.made[-1] in ends or len(slot.made) >= slot.wanted.max_tokens
            if at < 0 and not over and len(slot.wanted.ids) + len(slot.made) < context:
                continue
            whole = _text(tokenizer, slot, whole=True)
            stops = [place for stop in slot.wanted.stop if (place := whole.find(stop)) >= 0]
            out[slot.number] = whole[: min(stops)] if stops else whole
            batch.free(slot)
    return out


class _Batch:
    """The slots of one call: their keys and values, and who waits."""

    def __init__(self, model: Any, wanted: Sequence[Wanted], context: int, slots: int) -> None:
        import numpy as np

        self.model, self.device = model, next(model.parameters()).device
        self.order = sorted(range(len(wanted)), key=lambda n: (-len(wanted[n].ids), tuple(wanted[n].ids)))
        self.wanted = wanted
        arrays = [np.asarray(one.ids) for one in wanted]
        first = arrays[0]
        self.shared = min(*(common(first, ids) for ids in arrays), *(len(ids) - 1 for ids in arrays))
        self.kept = Kept(max(1, self.shared))
        longest = max(len(one.ids) - self.shared + one.max_tokens for one in wanted)
        self.capacity = min(longest, context - self.shared) + 1
        self.own = [_Own(slots, self.capacity) for _ in range(model.config.num_hidden_layers)]
        self.slots: list[_Slot | None] = [None] * slots
        self.lengths = [0] * slots
        for low in range(0, self.shared, PACK):
            ids = torch_ids(first[low : min(low + PACK, self.shared)], self.device)
            layout = Layout([Segment(0, len(ids), len(ids), low)], self.kept, low, keep_from=low)
            hidden(model, ids, positions(low, len(ids), self.device), layout)

    def run(self) -> Iterator[_Slot]:
        """Yield each slot whenever it has one id more; the caller frees those that are done."""
        while self.order or any(self.slots):
            free = [n for n, slot in enumerate(self.slots) if slot is None]
            if self.order and len(free) * 4 >= len(self.slots):
                yield from self._fill(free)
            else:
                yield from self._step()

    def free(self, slot: _Slot) -> None:
        """Give a slot back."""
        self.slots[self.slots.index(slot)] = None

    def _fill(self, free: Sequence[int]) -> Iterator[_Slot]:
        """Compute what is their own of waiting prompts, packed, into free slots."""
        import torch

        taken: list[tuple[int, int]] = []  # slot, request
        size = 0
        for place in free:
            if not self.order or (taken and size + len(self.wanted[self.order[0]].ids) - self.shared > PACK):
                break
            size += len(self.wanted[self.order[0]].ids) - self.shared
            taken.append((place, self.order.pop(0)))
        rows, low = [], 0
        for _, number in taken:
            length = len(self.wanted[number].ids) - self.shared
            rows.append(Segment(low, low + length, low + length, self.shared))
            low += length

        def sink(layer: int, key: torch.Tensor, value: torch.Tensor) -> None:
            for (place, _), row in zip(taken, rows, strict=True):
                self.own[layer].fill(place, key[0, :, row.low : row.high], value[0, :, row.low : row.high])

        ids = torch.cat([torch_ids(self.wanted[n].ids[self.shared :], self.device) for _, n in taken])
        places = torch.cat([positions(self.shared, row.high - row.low, self.device) for row in rows])
        states = hidden(self.model, ids, places, Layout(rows, self.kept, self.shared, sink=sink))
        logits = self.model.lm_head(states[[row.high - 1 for row in rows]]).float()
        for (place, number), row, line in zip(taken, rows, logits, strict=True):
            slot = _Slot(number, self.wanted[number])
            if slot.wanted.temperature > 0:
                slot.generator = torch.Generator().manual_seed(slot.wanted.seed)
            self.slots[place], self.lengths[place] = slot, row.high - row.low
            slot.made.append(_choose(line, slot))
            yield slot

    def _step(self) -> Iterator[_Slot]:
        """Append one id to every slot that is taken."""
        import torch

        live = [(place, slot) for place, slot in enumerate(self.slots) if slot is not None]
        places = [place for place, _ in live]
        ids = torch_ids([slot.made[-1] for _, slot in live], self.device)
        lengths = torch.tensor([self.lengths[place] for place in places], device=self.device)
        layout = _Step(self.own, self.kept, self.shared, torch.tensor(places, device=self.device), lengths)
        logits = self.model.lm_head(hidden(self.model, ids, lengths + self.shared, layout)).float()
        for (place, slot), line in zip(live, logits, strict=True):
            self.lengths[place] += 1
            slot.made.append(_choose(line, slot))
            yield slot


class _Own:
    """A layer's keys and values of what is each slot's own: (slots, heads, capacity, width)."""

    def __init__(self, slots: int, capacity: int) -> None:
        self.slots, self.capacity = slots, capacity
        self.keys: torch.Tensor | None = None
        self.values: torch.Tensor | None = None

    def fill(self, place: int, key: torch.Tensor, value: torch.Tensor) -> None:
        """Write a prompt's keys and values, each (heads, rows, width), at a slot's beginning."""
        if self.keys is None or self.values is None:
            shape = (self.slots, key.shape[0], self.capacity, key.shape[2])
            self.keys, self.values = key.new_zeros(shape), value.new_zeros(shape)
        self.keys[place, :, : key.shape[1]] = key
        self.values[place, :, : key.shape[1]] = value


@dataclass(frozen=True)
class _Step:
    """What attention has to know of one step: a row a slot."""

    own: Sequence[_Own]
    kept: Kept
    shared: int
    places: torch.Tensor  # the slots, shape (rows,)
    lengths: torch.Tensor  # ids each slot holds so far

    def attend(self, layer: int, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, scale: float) -> Any:
        """Return attention's output, shape (1, rows, heads, width)."""
        import torch

        own = self.own[layer]
        assert own.keys is not None
        assert own.values is not None
        (_, heads, rows, width), key_heads = query.shape, key.shape[1]
        own.keys[self.places, :, self.lengths] = key[0].transpose(0, 1)
        own.values[self.places, :, self.lengths] = value[0].transpose(0, 1)
        longest = int(self.lengths.max()) + 1
        everyone = len(self.places) == own.slots
        keys = own.keys[:, :, :longest] if everyone else own.keys[self.places, :, :longest]
        values = own.values[:, :, :longest] if everyone else own.values[self.places, :, :longest]
        grouped = query[0].transpose(0, 1).reshape(rows, key_heads, heads // key_heads, width)
        scores = (grouped @ keys.transpose(-1, -2)).float() * scale
        future = torch.arange(longest, device=query.device)[None] > self.lengths[:, None]
        scores = scores.masked_fill(future[:, None, None], float("-inf"))
        norm = scores.logsumexp(-1)
        out = torch.exp(scores - norm[..., None]).to(values.dtype) @ values
        out = out.reshape(rows, heads, width).transpose(0, 1)[None].contiguous()
        total = norm.reshape(rows, heads).transpose(0, 1)[None].contiguous()
        if self.shared:
            join(out, total, *part(query, *self.kept.read(layer, self.shared), scale))
        return out.transpose(1, 2)


def _choose(logits: torch.Tensor, slot: _Slot) -> int:
    import torch

    if slot.generator is None:
        return int(logits.argmax())
    weights = torch.softmax(logits.cpu() / slot.wanted.temperature, -1)
    return int(torch.multinomial(weights, 1, generator=slot.generator))


def _text(tokenizer: Any, slot: _Slot, *, whole: bool = False) -> str:
    """Return the text of what was made, or of its last ids; special tokens are left out."""
    made = slot.made if whole else slot.made[-TAIL:]
    before = [*slot.wanted.ids, *slot.made[: len(slot.made) - len(made)]][-BEFORE:]
    alone = tokenizer.decode(before, skip_special_tokens=True)
    return str(tokenizer.decode([*before, *made], skip_special_tokens=True))[len(alone) :]


def _end_ids(model: Any, tokenizer: Any) -> set[int]:
    """Return the ids that end a text: the tokenizer's, and those of the model's generation settings."""
    named = getattr(getattr(model, "generation_config", None), "eos_token_id", None)
    found = named if isinstance(named, list | tuple) else [named]
    return {int(one) for one in (*found, tokenizer.eos_token_id) if one is not None}


def torch_ids(ids: Any, device: Any) -> torch.Tensor:
    """Return ids as a tensor on a device."""
    import torch

    return torch.as_tensor(ids, dtype=torch.int64, device=device)


def positions(start: int, length: int, device: Any) -> torch.Tensor:
    """Return depths ``start`` and on."""
    import torch

    return torch.arange(start, start + length, device=device)
