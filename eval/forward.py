"""A model run over a tree of prompts, every id once: packed, without padding, each node seeing its own path alone.

Many nodes of the tree lie end to end in one batch row. What a token may see is the path above its node: the part of it
that is already computed and kept (``Kept``), nodes of the same pack that stand above it, and its own node up to
itself. Attention is taken over each of those parts on its own and joined by its log-sum-exp (the identity that flash
attention rests on), so there is no mask, no copy of the prefix for each question, and no multiplication by padding.
It holds for decoders with full attention that take their attention from transformers' table: ``eval.models.shares``.
Cost: the products of the unique ids; the joining adds 2–4 % on a model of 135M parameters.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from eval.decoder import Decoder
from eval.prefixes import Node

if TYPE_CHECKING:
    import torch

PACK = 1024  # ids in a forward pass: past this, products get no faster on a CPU
PACK_ELSEWHERE = 4096  # on an accelerator: larger products, while the weights of attention stay below a gigabyte
NAME = "yanmo_tree"


class Kept:
    """Keys and values of a path that is already computed, a layer each: (1, heads, capacity, width)."""

    def __init__(self, capacity: int) -> None:
        """Take note of the greatest depth; memory is taken at the first write.

        Args:
            capacity: Ids of the longest path.
        """
        self.capacity = capacity
        self.layers: dict[int, tuple[torch.Tensor, torch.Tensor]] = {}

    def write(self, layer: int, start: int, key: torch.Tensor, value: torch.Tensor) -> None:
        """Keep what was computed for depths ``start`` and on."""
        if layer not in self.layers:
            shape = (*key.shape[:2], self.capacity, key.shape[3])
            self.layers[layer] = (key.new_empty(shape), value.new_empty(shape))
        keys, values = self.layers[layer]
        keys[:, :, start : start + key.shape[2]] = key
        values[:, :, start : start + key.shape[2]] = value

    def read(self, layer: int, length: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Return keys and values of the first ``length`` depths."""
        keys, values = self.layers[layer]
        return keys[:, :, :length], values[:, :, :length]


@dataclass(frozen=True)
class Segment:
    """A node's place in a pack: rows ``low`` to ``high``; what stands below it reaches to ``last``."""

    low: int
    high: int
    last: int
    start: int  # its depth


@dataclass(frozen=True)
class Layout:
    """What attention has to know of a pack."""

    segments: Sequence[Segment]
    kept: Kept
    length: int  # depths of ``kept`` that every segment sees
    keep_from: int | None = None  # depth at which the pack's own keys are written into ``kept``
    sink: Callable[[int, torch.Tensor, torch.Tensor], None] | None = None  # gets each layer's keys and values

    def attend(self, layer: int, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, scale: float) -> Any:
        """Return attention's output, shape (1, rows, heads, width)."""
        import torch

        if self.keep_from is not None:
            self.kept.write(layer, self.keep_from, key, value)
        if self.sink is not None:
            self.sink(layer, key, value)
        parts = [
            part(
                query[:, :, s.low : s.high], key[:, :, s.low : s.high], value[:, :, s.low : s.high], scale, causal=True
            )
            for s in self.segments
        ]
        out = torch.cat([found for found, _ in parts], dim=2)
        norm = torch.cat([found for _, found in parts], dim=2)
        for s in self.segments:
            if s.last > s.high:
                below = slice(s.high, s.last)
                join(
                    out[:, :, below],
                    norm[:, :, below],
                    *part(query[:, :, below], key[:, :, s.low : s.high], value[:, :, s.low : s.high], scale),
                )
        if self.length:
            join(out, norm, *part(query, *self.kept.read(layer, self.length), scale))
        return out.transpose(1, 2).to(query.dtype)


def part(
    query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, scale: float, *, causal: bool = False
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return attention over some keys, and the log of the sum of its weights.

    Args:
        query: (1, heads, rows, width).
        key: (1, key heads, columns, width); each key head serves ``heads / key heads`` query heads.
        value: The same shape.
        scale: By which products are multiplied.
        causal: Row n sees columns up to n, else all of them.

    Returns:
        Shapes (1, heads, rows, width) and (1, heads, rows), the latter in fp32.
    """
    import torch

    (_, heads, rows, width), key_heads = query.shape, key.shape[1]
    group = heads // key_heads
    if causal and group > 1:  # rows of a group cannot be laid end to end: each has its own diagonal
        key, value = key.repeat_interleave(group, 1), value.repeat_interleave(group, 1)
    folded = query if causal else query.reshape(1, key_heads, group * rows, width)
    if query.device.type == "cpu":
        out, norm = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu(
            folded, key, value, dropout_p=0.0, is_causal=causal, scale=scale
        )
    else:
        out, norm = explicit(folded, key, value, scale, causal=causal)
    return out.reshape(1, heads, rows, width), norm.reshape(1, heads, rows).float()


def explicit(
    query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, scale: float, *, causal: bool
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the same as the CPU's kernel, in plain products, for devices whose kernels give no log-sum-exp."""
    import torch

    scores = (query @ key.transpose(-1, -2)).float() * scale
    if causal:
        future = torch.ones(scores.shape[-2:], dtype=torch.bool, device=query.device).triu(1)
        scores = scores.masked_fill(future, float("-inf"))
    norm = scores.logsumexp(-1)
    return torch.exp(scores - norm[..., None]).to(value.dtype) @ value, norm


def join(out: torch.Tensor, norm: torch.Tensor, more: torch.Tensor, more_norm: torch.Tensor) -> None:
    """Add attention over further keys to ``out``, in place."""
    import torch

    both = torch.logaddexp(norm, more_norm)
    out.mul_(torch.exp(norm - both)[..., None].to(out.dtype))
    out.add_(more * torch.exp(more_norm - both)[..., None].to(more.dtype))
    norm.copy_(both)


def _attention(
    module: Any, query: Any, key: Any, value: Any, mask: Any, *, scaling: float, layout: Layout, **_: Any
) -> tuple[Any, None]:
    return layout.attend(module.layer_idx, query, key, value, scaling), None


@contextmanager
def tree_attention(model: Any) -> Iterator[None]:
    """Let a model take this file's attention for a while."""
    if isinstance(model, Decoder):  # its attention is the layout's always
        yield
        return
    from transformers import AttentionInterface

    AttentionInterface.register(NAME, _attention)
    before = model.config._attn_implementation
    model.config._attn_implementation = NAME
    try:
        yield
    finally:
        model.config._attn_implementation = before


def hidden(model: Any, ids: torch.Tensor, positions: torch.Tensor, layout: Any) -> torch.Tensor:
    """Return the last hidden states of a pack, shape (rows, hidden size).

    Args:
        model: A model within ``tree_attention``.
        ids: The pack's ids, shape (rows,).
        positions: The depth of each, shape (rows,).
        layout: Which row sees what.
    """
    if isinstance(model, Decoder):
        return model.states(ids, positions, layout)
    found: torch.Tensor = model.base_model(
        input_ids=ids[None], position_ids=positions[None], use_cache=False, layout=layout
    ).last_hidden_state[0]
    return found


Visit = Callable[[Node, "torch.Tensor"], None]


def run(model: Any, root: Node, visit: Visit, pack: int = PACK) -> None:
    """Compute every node of a tree once and hand each node's hidden states to ``visit``.

    Args:
        model: A model that ``shares``.
        root: The tree.
        visit: Called once for each piece of a node with ids: the node and its rows (a node longer than a pack comes in
            several pieces, in order).
        pack: Ids in a forward pass; a subtree that is larger has its own ids computed and kept first.
    """
    import torch

    sizes = dict.fromkeys(root.walk(), 0)
    depth = 0
    for node in reversed(root.walk()):
        sizes[node] = len(node.ids) + sum(sizes[child] for child in node.children)
        depth = max(depth, node.end)
    kept = Kept(depth)
    device = next(model.parameters()).device

    def pass_over(nodes: Sequence[Node], length: int) -> None:
        trees = [(node, n) for top in nodes for n, node in enumerate(top.walk())]
        rows, low = [], 0
        for node, _ in trees:
            rows.append(Segment(low, low + len(node.ids), low + sizes[node], node.start))
            low += len(node.ids)
        ids = torch.cat([torch.from_numpy(node.ids) for node, _ in trees]).to(device)
        places = torch.cat([torch.arange(node.start, node.end) for node, _ in trees]).to(device)
        states = hidden(model, ids, places, Layout(rows, kept, length))
        for (node, _), row in zip(trees, rows, strict=True):
            visit(node, states[row.low : row.high])

    def keep(node: Node) -> None:
        for low in range(0, len(node.ids), pack):
            ids = torch.from_numpy(node.ids[low : low + pack]).to(device)
            start = node.start + low
            places = torch.arange(start, start + len(ids), device=device)
            layout = Layout([Segment(0, len(ids), len(ids), start)], kept, start, keep_from=start)
            visit(node, hidden(model, ids, places, layout))

    stack = [root]
    with torch.inference_mode(), tree_attention(model):
        while stack:
            node = stack.pop()
            keep(node)
            large = [child for child in node.children if sizes[child] > pack]
            waiting: list[Node] = []
            for child in node.children:
                if sizes[child] > pack:
                    continue
                if sum(sizes[one] for one in waiting) + sizes[child] > pack:
                    pass_over(waiting, node.end)
                    waiting = []
                waiting.append(child)
            if waiting:
                pass_over(waiting, node.end)
            stack.extend(reversed(large))
