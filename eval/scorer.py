"""Where an answer's score comes from: ``reward=`` a reward model's folder, python:FILE.py:FUNCTION, or rule:NAME.

A function is called with two lists of texts, prompts and answers, and returns a number for each answer. A reward model
is what stage rm writes: a sequence classifier of one label, read at the answer's last token. If its vocabulary is the
policy's it gets the very ids; if not, prompt and answer are put into words and tokenized again, and that is told. One
that is an adapter over the policy's own base is switched to, not loaded: no second base is in memory.
Cost: a forward pass of the reward model an answer; rules 10 µs.
"""

from __future__ import annotations

import math
import runpy
import traceback
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

from tokenizer.prompts import Prompt
from workbench import manifest
from workbench.command import did_you_mean
from workbench.console import note
from workbench.errors import ConfigError, InputError
from workbench.files import read_json

REMEDY = "give a reward model (stage rm makes one), python:FILE.py:FUNCTION or rule:NAME"
REWARD = "reward"  # PEFT's name of a reward model's adapter beside the policy's

Function = Callable[[list[str], list[str]], Sequence[float]]
Reward = Callable[[Sequence[Prompt], Sequence[Sequence[int]]], list[float]]


def _length(argument: str) -> Function:
    wanted = float(argument or 50)
    return lambda prompts, answers: [-abs(len(answer) - wanted) / wanted for answer in answers]


def _share(argument: str) -> Function:
    return lambda prompts, answers: [answer.count(argument) * len(argument) / max(1, len(answer)) for answer in answers]


RULES: Mapping[str, Callable[[str], Function]] = MappingProxyType(
    {
        "length": _length,  # rule:length:50, how near the answer is to so many characters: 0 is best
        "share": _share,  # rule:share:好, the share of the answer that this text makes up: 1 is best
    }
)


def make_reward(
    spec: str, tokenizer: Any, device: Any, size: int, *, speak: bool = True, shared: tuple[Any, Path] | None = None
) -> Reward:
    """Return what scores answers.

    Args:
        spec: The setting.
        tokenizer: Of the policy.
        device: Where a reward model goes.
        size: Answers in a forward pass of it.
        speak: Whether to tell that texts are tokenized again.
        shared: A policy's PEFT wrapper and its base: a reward model that is an adapter over the same base joins it.

    Raises:
        ConfigError: If there is no such rule, file or function.
        InputError: If a folder is no reward model.
    """
    kind, _, rest = spec.partition(":")
    if kind not in ("rule", "python"):
        return _model_reward(Path(spec), tokenizer, device, size, speak, shared)
    function = _rule(rest) if kind == "rule" else load_function(rest)

    def score(prompts: Sequence[Prompt], answers: Sequence[Sequence[int]]) -> list[float]:
        texts = tokenizer.batch_decode([list(answer) for answer in answers], skip_special_tokens=True)
        return checked(spec, function, [prompt.text for prompt in prompts], texts)

    return score


def check_reward(reward: str) -> None:
    """Refuse what is no reward model, and an adapter over a base in 4 bits: it would judge over another base.

    Raises:
        ConfigError: Naming the setting.
        InputError: If the folder, or an adapter's base, is no model, or a quantised one.
    """
    if reward.partition(":")[0] in ("rule", "python"):
        return
    _find(Path(reward))
    run = Path(reward) / manifest.NAME
    if run.is_file() and read_json(run)["config"].get("tune") == "qlora":
        found = f"{reward} is an adapter over a base in 4 bits"
        raise ConfigError("reward", found, f"merge it first: train merge {reward} --out DIR")


def checked(spec: str, function: Function, prompts: list[str], answers: list[str]) -> list[float]:
    """Call a function and see that it returns a finite number for each answer.

    Raises:
        InputError: If it does not, or raises: with the line it happened at.
    """
    try:
        scores = [float(score) for score in function(prompts, answers)]
    except Exception as error:  # the user's code may raise anything
        at = traceback.extract_tb(error.__traceback__)[-1]
        found = f"raised {type(error).__name__}: {error} ({Path(at.filename).name}:{at.lineno})"
        raise InputError(
            f"reward={spec}", found, "it takes two lists of texts and returns a list of numbers"
        ) from error
    if len(scores) != len(answers) or not all(map(math.isfinite, scores)):
        found = f"returned {len(scores)} scores for {len(answers)} answers, {sum(map(math.isfinite, scores))} finite"
        raise InputError(f"reward={spec}", found, "return one finite number for each answer")
    return scores


def _rule(words: str) -> Function:
    name, _, argument = words.partition(":")
    if name not in RULES:
        raise ConfigError(f"reward=rule:{name}", "no such rule", did_you_mean(name, RULES))
    try:
        return RULES[name](argument)
    except ValueError as error:
        raise ConfigError(f"reward=rule:{words}", f"{argument!r} is no number", f"write rule:{name}:50") from error


def load_function(words: str) -> Function:
    """Return the function of ``FILE.py:FUNCTION``.

    Raises:
        ConfigError: If there is no such file or function, or the file cannot be run.
    """
    name, _, function = words.rpartition(":")
    place, path = f"reward=python:{words}", Path(name)
    if path.suffix != ".py" or not path.is_file():
        raise ConfigError(place, f"{name or 'nothing'} is no Python file", "write python:path/to/file.py:function")
    try:
        scope = runpy.run_path(name, run_name=f"reward_{path.stem}")
    except Exception as error:  # the user's code may raise anything
        raise ConfigError(place, f"{name} cannot be run ({type(error).__name__}: {error})", "mend it") from error
    found = scope.get(function)
    if not callable(found):
        names = [n for n, value in scope.items() if callable(value) and not n.startswith("_")]
        raise ConfigError(place, f"{name} has no function {function}", did_you_mean(function, names))
    made: Function = found
    return made


def _model_reward(folder: Path, tokenizer: Any, device: Any, size: int, speak: bool, shared: Any) -> Reward:
    import torch
    from transformers import AutoTokenizer

    inner, score_texts = _open_model(folder, device, shared)
    own = AutoTokenizer.from_pretrained(inner, local_files_only=True)
    same = own.get_vocab() == tokenizer.get_vocab()
    if not same and speak:
        note(f"reward={folder}: has another tokenizer; prompts and answers are put into words and tokenized again")

    def ids(prompt: Prompt, answer: Sequence[int]) -> list[int]:
        if same:
            return [*prompt.ids, *answer]
        found: list[int] = own(prompt.text + tokenizer.decode(list(answer), skip_special_tokens=True))["input_ids"]
        ended = answer[-1] == tokenizer.eos_token_id and own.eos_token_id not in (None, found[-1])
        return [*found, own.eos_token_id] if ended else found

    @torch.no_grad()
    def score(prompts: Sequence[Prompt], answers: Sequence[Sequence[int]]) -> list[float]:
        return score_texts([ids(prompt, answer) for prompt, answer in zip(prompts, answers, strict=True)], size)

    return score


def _find(folder: Path) -> tuple[Path | None, Path]:
    """Return a reward model's adapter, where it is one, and the folder of the model or of the adapter's base."""
    from eval.models import ADAPTER, whole_model

    adapter = next((x for x in (folder, folder / ADAPTER) if (x / "adapter_config.json").is_file()), None)
    base = None if adapter is None else str(read_json(adapter / "adapter_config.json")["base_model_name_or_path"])
    try:
        return adapter, whole_model(folder if base is None else Path(base))
    except InputError as error:
        raise InputError(f"reward={folder}", error.found, REMEDY) from error


def _open_model(folder: Path, device: Any, shared: Any) -> tuple[Path, Callable[[list[list[int]], int], list[float]]]:
    """Return where the reward model's tokenizer lies, and what gives texts their numbers."""
    import torch
    from safetensors.torch import load_file
    from transformers import AutoModelForSequenceClassification

    from eval.draw import by_length, padded
    from eval.models import model_folder

    adapter, inner = _find(folder)
    switched = adapter is not None and shared is not None and inner.resolve() == model_folder(shared[1]).resolve()
    if adapter is not None and switched:
        shared[0].load_adapter(str(adapter), REWARD)  # a second adapter over the policy's own base
        shared[0].set_adapter("default")
        backbone = shared[0].get_base_model().base_model
        weights = load_file(adapter / "adapter_model.safetensors")
        head = next((x for name, x in weights.items() if name.endswith("score.weight")), None)
    else:
        told = "SequenceClassification" in str(read_json(inner / "config.json").get("architectures"))
        if adapter is None and not told:
            raise InputError(f"reward={folder}", "is a language model, not a reward model", REMEDY)
        model, about = AutoModelForSequenceClassification.from_pretrained(
            inner,
            local_files_only=True,
            use_safetensors=True,
            dtype="auto",
            output_loading_info=True,
            **({} if adapter is None else {"num_labels": 1}),
        )
        if adapter is not None:
            from peft import PeftModel

            model = PeftModel.from_pretrained(model, str(adapter)).merge_and_unload()
        elif about["missing_keys"]:
            raise InputError(f"reward={folder}", f"lacks {sorted(about['missing_keys'])[0]}", REMEDY)
        backbone, head = model.to(device).eval().requires_grad_(False).base_model, model.score.weight
    if head is None or len(head) != 1:
        found = "has no score head" if head is None else f"has {len(head)} labels, a reward model has one"
        raise InputError(f"reward={folder}", found, REMEDY)
    weight = head.to(device)

    def score_texts(texts: list[list[int]], size: int) -> list[float]:
        out = [0.0] * len(texts)
        if switched:
            shared[0].set_adapter(REWARD)
        for rows in by_length([len(text) for text in texts], size):
            block, mask = padded([texts[i] for i in rows], device)
            states = backbone(block, attention_mask=mask, use_cache=False)[0]
            last = states[torch.arange(len(rows), device=device), mask.sum(1) - 1]  # no pad id is needed to find it
            for i, value in zip(rows, (last.to(weight.dtype) @ weight.T)[:, 0].tolist(), strict=True):
                out[i] = value
        if switched:
            shared[0].set_adapter("default")
        return out

    return adapter or inner, score_texts
