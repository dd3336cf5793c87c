"""Answers drawn from a model so that each is reproducible by itself: the same seed and number, the same answer.

The draw is by inversion: an answer has uniform numbers of its own, from (seed, number of the answer), so it depends
neither on its batch nor on the number of devices nor on a restart. It is from the plain softmax over the temperature:
top-p or a repetition penalty would draw from another distribution than the log-probabilities are of, and a
generation_config.json with such is set aside. Prompts are batched by length and padded on the left, where all rows draw
the same position. Cost over ``generate``'s own sampling: a cumulative sum over the vocabulary a token.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
from torch import Tensor
from transformers import GenerationConfig, LogitsProcessor, LogitsProcessorList

from workbench.errors import ConfigError

Ids = Sequence[int]
VLLM_MEMORY = 0.4  # of the device: the rest is for training


class Draw(LogitsProcessor):  # type: ignore[misc]  # transformers carries no types
    """Leaves one id standing in each row: the one that the row's next uniform number falls on."""

    def __init__(self, numbers: Ids, seed: int, start: int, longest: int, temperature: float) -> None:
        """Make the uniform numbers of answers that begin at place ``start``."""
        draws = [np.random.default_rng([seed, number]).random(longest, np.float32) for number in numbers]
        self.draws, self.start, self.temperature = torch.from_numpy(np.stack(draws)), start, temperature

    def __call__(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        """Return scores that are 0 at the drawn id and -inf elsewhere, shape (rows, vocabulary)."""
        mass = (scores.float() / self.temperature).softmax(-1).cumsum(-1)
        total = mass[:, -1:]
        wanted = self.draws[:, input_ids.shape[1] - self.start, None].to(mass.device) * total
        last = (mass < total).sum(-1, keepdim=True)  # rounding must not draw from behind the last that has any mass
        chosen = torch.searchsorted(mass, wanted, right=True).minimum(last)
        return torch.full_like(scores, -torch.inf).scatter_(1, chosen, 0.0)


def by_length(lengths: Ids, size: int) -> Iterator[list[int]]:
    """Yield batches of at most ``size`` places, the short before the long."""
    order = sorted(range(len(lengths)), key=lengths.__getitem__)
    return (order[low : low + size] for low in range(0, len(order), size))


def padded(texts: Sequence[Ids], device: Any, *, left: bool = False) -> tuple[Tensor, Tensor]:
    """Return ids, 0 where there are none, and the mask of those that there are, each (texts, longest)."""
    width = max(map(len, texts))
    ids = torch.tensor([[0] * (width - len(t)) + [*t] if left else [*t] + [0] * (width - len(t)) for t in texts])
    places, lengths = torch.arange(width), torch.tensor([len(text) for text in texts])[:, None]
    return ids.to(device), (places >= width - lengths if left else places < lengths).long().to(device)


@torch.no_grad()
def draw_answers(
    model: Any,
    prompts: Sequence[Ids],
    numbers: Ids,
    *,
    seed: int,
    longest: int,
    temperature: float,
    size: int,
    end: int,
) -> list[list[int]]:
    """Return an answer to each prompt, its end-of-text included; one without was cut off at ``longest``.

    Args:
        model: A causal language model.
        prompts: Ids of each.
        numbers: Which answers of the run they are: the same numbers draw the same answers.
        seed: The run's.
        longest: Tokens of an answer at most.
        temperature: Of the softmax.
        size: Answers drawn at once.
        end: The id that ends an answer.
    """
    out: list[list[int]] = [[] for _ in prompts]
    own, model.generation_config = model.generation_config, GenerationConfig()
    settings = GenerationConfig(
        max_new_tokens=longest, do_sample=False, use_cache=True, eos_token_id=end, pad_token_id=end
    )
    try:
        for rows in by_length([len(prompt) for prompt in prompts], size):
            ids, mask = padded([prompts[i] for i in rows], model.device, left=True)
            width = ids.shape[1]
            draw = LogitsProcessorList([Draw([numbers[i] for i in rows], seed, width, longest, temperature)])
            drawn = model.generate(ids, attention_mask=mask, generation_config=settings, logits_processor=draw)
            for i, answer in zip(rows, drawn[:, width:].tolist(), strict=True):
                out[i] = answer[: answer.index(end) + 1] if end in answer else answer
    finally:
        model.generation_config = own
    return out


class Vllm:
    """vLLM over a policy's base: before each draw it is given the adapter as it stands then. One device.

    Its draws are seeded by number too, but by vLLM's generator: they are others than ``draw_answers`` makes.
    """

    def __init__(self, base: Path, rank: int, window: int) -> None:
        """Load the base a second time, in vLLM's own memory.

        Args:
            base: The folder of the policy's base.
            rank: Of the adapter.
            window: Tokens of a prompt with its answer at most.

        Raises:
            ConfigError: If vLLM is not installed.
        """
        try:
            from vllm import LLM
        except ImportError as error:
            raise ConfigError("rollout.engine", "vllm is not installed", "pip install vllm, or engine=hf") from error
        share = {"enable_lora": True, "max_lora_rank": rank, "max_model_len": window}
        self.engine, self.draws = LLM(model=str(base), gpu_memory_utilization=VLLM_MEMORY, **share), 0

    def draw(
        self,
        adapter: Any,
        prompts: Sequence[Ids],
        numbers: Ids,
        *,
        seed: int,
        longest: int,
        temperature: float,
        end: int,
    ) -> list[list[int]]:
        """Return an answer to each prompt, as ``draw_answers`` does, from the base with PEFT's adapter."""
        from vllm import SamplingParams
        from vllm.lora.request import LoRARequest

        self.draws += 1  # vLLM keeps adapters by number: a new one is read anew
        settings = [
            SamplingParams(
                temperature=temperature,
                max_tokens=longest,
                stop_token_ids=[end],
                seed=int(np.random.SeedSequence([seed, number]).generate_state(1)[0]),
            )
            for number in numbers
        ]
        with TemporaryDirectory() as folder:
            adapter.save_pretrained(folder, selected_adapters=["default"], save_embedding_layers=False)
            found = self.engine.generate(
                [{"prompt_token_ids": list(prompt)} for prompt in prompts],
                settings,
                use_tqdm=False,
                lora_request=LoRARequest(f"draw-{self.draws}", self.draws, folder),
            )
        return [list(one.outputs[0].token_ids) for one in found]
