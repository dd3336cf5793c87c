"""lm-eval's Hugging Face model with every common beginning computed once: equal results, several times faster.

``SharedPrefixLM`` is ``lm_eval.models.huggingface.HFLM`` with two methods of its own. ``_loglikelihood_tokens`` lays
the requests out as a tree of ids (``eval.prefixes``) and runs the model over the tree (``eval.forward``): HFLM computes
a five-shot prompt of 700 ids whole for every question, of which 600 are those of the question before. Logits are made
only at the rows that are asked for; HFLM makes them for every row. ``generate_until`` is ``eval.generate``.
Same tokenisation (HFLM's own), same truncation from the left, same result to 1e-4 (measured on SmolLM2: 1.4e-5 nats).
A continuation that melts into the prompt's last id, which leaves HFLM nothing to score, is tokenised on its own.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from eval.forward import PACK, PACK_ELSEWHERE, run
from eval.models import shares
from eval.prefixes import Node, tree
from workbench.errors import MissingPackage

if TYPE_CHECKING:
    import torch

CHUNK = 256  # rows of logits in memory at once

Request = tuple[tuple[str, str], list[int], list[int]]


def hflm(model: Any, tokenizer: Any, *, batch: int = 8, shared: bool = True) -> Any:
    """Return a model behind lm-eval's interface.

    Args:
        model: A causal language model, in evaluation mode.
        tokenizer: Its tokenizer.
        batch: Sequences generated at once; HFLM's batch size.
        shared: False gives HFLM itself, to compare with.

    Raises:
        MissingPackage: If lm-eval is not installed.
    """
    kind = shared_prefix_lm() if shared and shares(model.config) else _base()
    logger = logging.getLogger("lm_eval.models.huggingface")
    level = logger.level
    logger.setLevel(logging.ERROR)  # it warns that a model object was passed, which is meant
    try:
        return kind(pretrained=model, tokenizer=tokenizer, batch_size=batch, max_length=context_of(model))
    finally:
        logger.setLevel(level)


def context_of(model: Any) -> int:
    """Return how many ids a model takes at most."""
    return int(getattr(model.config, "max_position_embeddings", 2048))


def _base() -> Any:
    try:
        from lm_eval.models.huggingface import HFLM
    except ImportError as error:
        raise MissingPackage("lm_eval", "eval") from error
    return HFLM


def shared_prefix_lm() -> Any:
    """Return the class ``SharedPrefixLM``; lm-eval is imported here, at first use."""

    class SharedPrefixLM(_base()):  # type: ignore[misc]
        """HFLM that computes what requests have in common once."""

        def _encode_pair(self, context: str, continuation: str) -> tuple[list[int], list[int]]:
            before, after = super()._encode_pair(context, continuation)
            return (before, after) if after else (before, self.tok_encode(continuation, add_special_tokens=False))

        def _loglikelihood_tokens(
            self, requests: Sequence[Request], disable_tqdm: bool = False, override_bs: int | None = None
        ) -> list[tuple[float, bool]]:
            pack = PACK if self.device.type == "cpu" else PACK_ELSEWHERE
            return score(self.model, [(one[1], one[2]) for one in requests], self.max_length, pack)

        def generate_until(self, requests: Sequence[Any], disable_tqdm: bool = False) -> list[str]:
            from eval.generate import generate_until

            return generate_until(self, requests)

    return SharedPrefixLM


def score(
    model: Any, pairs: Sequence[tuple[Sequence[int], Sequence[int]]], context: int, pack: int = PACK
) -> list[tuple[float, bool]]:
    """Return the log-probability of each continuation, and whether it is what the model would say first.

    Args:
        model: A model that ``eval.forward.shares``.
        pairs: Ids before, ids of the continuation; neither is empty.
        context: Ids the model takes at most; what is longer loses its beginning, as in HFLM.
        pack: Ids in a forward pass.
    """
    import torch

    inputs = [[*before, *after][-(context + 1) :] for before, after in pairs]
    by_ids: dict[tuple[int, ...], int] = {}
    ends = [by_ids.setdefault(tuple(ids[:-1]), len(by_ids)) for ids in inputs]
    root = tree(list(by_ids))
    wanted = _wanted(root, inputs, ends, [min(len(after), context) for _, after in pairs])
    log_probs = torch.zeros(len(pairs), dtype=torch.float64)
    greedy = torch.ones(len(pairs), dtype=torch.bool)
    done: dict[Node, int] = {}

    def visit(node: Node, states: torch.Tensor) -> None:
        low = done.get(node, 0)
        done[node] = low + len(states)
        here = [one for one in wanted.get(node, ()) if low <= one[0] < low + len(states)]
        rows = sorted({row for row, _, _ in here})
        at = {row: n for n, row in enumerate(rows)}
        for first in range(0, len(rows), CHUNK):
            some = [one for one in here if first <= at[one[0]] < first + CHUNK]
            picked = states[[row - low for row in rows[first : first + CHUNK]]]
            found = model.lm_head(picked).float().log_softmax(-1)
            best = found.argmax(-1)
            index = torch.tensor([at[row] - first for row, _, _ in some], device=found.device)
            target = torch.tensor([target for _, target, _ in some], device=found.device)
            who = torch.tensor([request for _, _, request in some])
            log_probs.index_add_(0, who, found[index, target].double().cpu())
            wrong = (best[index] != target).cpu()
            greedy[who[wrong]] = False

    run(model, root, visit, pack)
    return list(zip(log_probs.tolist(), greedy.tolist(), strict=True))


def _wanted(
    root: Node, inputs: Sequence[Sequence[int]], ends: Sequence[int], sizes: Sequence[int]
) -> dict[Node, list[tuple[int, int, int]]]:
    """Return what is asked of each node: (row within it, the id that follows, the request)."""
    requests: dict[int, list[int]] = {}
    for request, sequence in enumerate(ends):
        requests.setdefault(sequence, []).append(request)
    out: dict[Node, list[tuple[int, int, int]]] = {}
    path: list[Node] = []
    for node in root.walk():
        while path and path[-1].end > node.start:
            path.pop()
        path.append(node)
        for request in (one for sequence in node.sequences for one in requests[sequence]):
            ids = inputs[request]
            at = len(path) - 1
            for row in range(len(ids) - 2, len(ids) - 2 - sizes[request], -1):
                while path[at].start > row:
                    at -= 1
                out.setdefault(path[at], []).append((row - path[at].start, ids[row + 1], request))
    return out
