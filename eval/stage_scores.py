"""Did a stage help? Models one after another on the same held-out items, their differences paired item by item.

    bits_per_byte   validation text, a sequence an item                        lower is better
    held_out_loss   answers of held-out dialogues, nats a token                lower is better
    pair_margin     ln p(chosen) - ln p(rejected) of held-out pairs, nats      higher is better
    gold_answer     -ln p of the gold answer to a multiple choice, nats        lower is better
    reward          a reward model's number for answers to fixed prompts       higher is better

A score is a ratio of sums over items, S = sum(x) / sum(w). Of two models on the same items the difference is
sum(y - x) / sum(w), and its standard error that of a ratio (Cochran, 1977, section 2.11), so 1.96 of it either way are
a 95 % interval; where that holds zero, the answer is "no detectable change". The win rate counts a tie as a half, with
Wilson's interval. Cost: a forward pass of all items a model, and drawing the answers.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from corpus.sources.benchmarks import Item, read_benchmarks
from eval.bits import bits_by_sequence, choose, nats
from eval.pairs import answer_log_probs, batch
from eval.reward import Z, wilson
from tokenizer.dialogues import Dialogue, Packs, Pair
from tokenizer.prompts import Prompt
from workbench.errors import InputError

if TYPE_CHECKING:
    from tokenizer.shards import TokenShards

LETTERS = "ABCDEFGHIJ"
Items = list[tuple[float, float]]  # of each item its part of both sums
HIGHER = ("pair_margin", "reward", "win_rate", "accuracy")  # is better; of all others lower is
NONE, BETTER, WORSE, UNKNOWN = "no detectable change", "better", "worse", "no data"


@dataclass(frozen=True)
class Sheet:
    """What models are scored on; what is None or empty is not."""

    tokens: TokenShards | None = None
    sequences: int | None = None
    dialogues: Sequence[Dialogue] = ()
    window: int = 512
    pairs: Sequence[Pair] = ()
    choices: Sequence[Item] = ()
    prompts: Sequence[Prompt] = ()
    end: int = 0  # ends an answer
    max_new: int = 64
    seed: int = 0


@dataclass
class Scored:
    """What came of a model: the items of each score, and its answers to the prompts."""

    items: dict[str, Items] = field(default_factory=dict)
    answers: list[list[int]] = field(default_factory=list)


@dataclass(frozen=True)
class Change:
    """What a stage changed in one score."""

    score: str
    n: int
    before: float | None
    after: float
    difference: float | None = None
    low: float | None = None
    high: float | None = None

    @property
    def verdict(self) -> str:
        """better, worse, no detectable change, or no data."""
        if self.low is None or self.high is None:
            return UNKNOWN
        if self.low <= 0 <= self.high:
            return NONE
        return BETTER if (self.low > 0) == (self.score in HIGHER) else WORSE

    def as_dict(self) -> dict[str, Any]:
        """Return it for JSON."""
        return {**vars(self), "verdict": self.verdict}


def shown(value: float | None) -> str:
    """Return a score as it is printed, nothing for None."""
    return "" if value is None else f"{value:.3f}"


def multiple_choice(folder: Path, most: int) -> list[Item]:
    """Return items of the benchmarks below a folder that have choices and an answer, spread evenly.

    Raises:
        InputError: If there are none.
    """
    found = [item for item in read_benchmarks(folder) if item.answer and item.answer in LETTERS[: len(item.choices)]]
    if not found:
        raise InputError(folder, "holds no multiple choice with its answers", "take mmlu, ceval (val) or cmmlu")
    return [found[n] for n in choose(len(found), most).tolist()]


def score(model: Any, tokenizer: Any, sheet: Sheet) -> Scored:
    """Score a causal language model.

    Args:
        model: In evaluation mode.
        tokenizer: The ``tokenizers`` object of the model.
        sheet: What on.
    """
    import torch

    from eval.draw import draw_answers

    out = Scored()
    if sheet.tokens is not None:
        found: dict[int, tuple[float, float]] = {}
        for i, _, bits in bits_by_sequence(model, sheet.tokens, sequences=sheet.sequences):
            sums = found.get(i, (0.0, 0.0))
            found[i] = (sums[0] + bits.bits, sums[1] + bits.bytes)
        out.items["bits_per_byte"] = list(found.values())
    if sheet.dialogues:
        out.items["held_out_loss"] = _dialogues(model, sheet)
    if sheet.pairs:
        out.items["pair_margin"] = _pairs(model, sheet.pairs)
    if sheet.choices:
        out.items["gold_answer"] = _gold(model, tokenizer, sheet.choices)
    if sheet.prompts:
        how: dict[str, Any] = {"longest": sheet.max_new, "temperature": 1.0, "size": 16, "end": sheet.end}
        ids = [prompt.ids for prompt in sheet.prompts]
        with torch.inference_mode():
            out.answers = draw_answers(model, ids, range(len(ids)), seed=sheet.seed, **how)
    return out


def _dialogues(model: Any, sheet: Sheet) -> Items:
    from eval.packing import IGNORED, masked_batch

    packs, rows, out = Packs(sheet.dialogues, sheet.window, together=False), _rows(model), Items()
    for low in range(0, len(packs), 8):
        inputs = masked_batch(packs, list(range(low, min(low + 8, len(packs)))), rows)
        sums = nats(model, inputs).double().sum(1).tolist()
        counts = (inputs["labels"] != IGNORED).sum(1).tolist()
        out += zip(sums, map(float, counts), strict=True)
    return out


def _pairs(model: Any, pairs: Sequence[Pair]) -> Items:
    import torch

    out = Items()
    for low in range(0, len(pairs), 8):
        inputs = {key: value.to(model.device) for key, value in batch(pairs[low : low + 8], _rows(model)).items()}
        inputs.pop("label")
        with torch.inference_mode():
            chosen, rejected = answer_log_probs(model, **inputs, per_token=False).double().cpu().chunk(2)
        out += [(apart, 1.0) for apart in (chosen - rejected).tolist()]
    return out


def _gold(model: Any, tokenizer: Any, items: Sequence[Item]) -> Items:
    import torch

    out = Items()
    for item in items:
        gold = item.choices[LETTERS.index(item.answer)]
        asked = tokenizer.encode(f"问题：{item.question}\n答案：", add_special_tokens=False).ids
        said = tokenizer.encode(gold, add_special_tokens=False).ids or asked[-1:]
        room = model.config.max_position_embeddings - len(said)
        ids = torch.tensor([[*asked[-max(1, room) :], *said]])
        labels = torch.where(torch.arange(ids.shape[1]) < ids.shape[1] - len(said), -100, ids)
        inputs = {"input_ids": ids, "position_ids": torch.arange(ids.shape[1])[None], "labels": labels}
        out.append((float(nats(model, inputs).sum()), 1.0))
    return out


def _rows(model: Any) -> int:
    return int(model.get_input_embeddings().num_embeddings)


def ratio(items: Sequence[tuple[float, float]]) -> float:
    """Return a score: sum(x) / sum(w)."""
    return sum(x for x, _ in items) / sum(w for _, w in items)


def change(name: str, before: Sequence[tuple[float, float]] | None, after: Sequence[tuple[float, float]]) -> Change:
    """Return what changed in a score, with a 95 % interval.

    Args:
        name: The score.
        before: Its items in the model before; None if there is none.
        after: The same items in the model after.
    """
    if before is None:
        return Change(name, len(after), None, ratio(after))
    apart = [y - x for (x, _), (y, _) in zip(before, after, strict=True)]
    weights = [w for _, w in after]
    n, whole = len(apart), sum(weights)
    difference = sum(apart) / whole
    found = Change(name, n, ratio(before), ratio(after), difference)
    if n < 2:
        return found
    rest = sum((d - difference * w) ** 2 for d, w in zip(apart, weights, strict=True))
    half = Z * math.sqrt(n / (n - 1) * rest) / whole
    return Change(name, n, found.before, found.after, difference, difference - half, difference + half)


def wins(before: Sequence[float], after: Sequence[float]) -> Change:
    """Return how often the answer after has the higher reward, as a change from a half."""
    found = sum(1.0 if b > a else 0.5 if b == a else 0.0 for a, b in zip(before, after, strict=True))
    n = len(after)
    low, high = wilson(found, n)
    return Change("win_rate", n, 0.5, found / n, found / n - 0.5, low - 0.5, high - 0.5)


def changes(before: Mapping[str, Items] | None, after: Mapping[str, Items]) -> list[Change]:
    """Return what changed in each score."""
    out = [change(name, None if before is None else before.get(name), items) for name, items in after.items()]
    if before is not None and "reward" in before and "reward" in after:
        out.append(wins([x for x, _ in before["reward"]], [x for x, _ in after["reward"]]))
    return out
