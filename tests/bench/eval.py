"""CPU-seconds of scoring five-shot multiple choice: lm-eval's HFLM and ours, the same requests, one thread, one run.

``YANMO_BENCH_SUBJECTS`` subjects of MMLU, C-Eval and CMMLU in ``../shared/benchmarks`` (default 20), and
``YANMO_BENCH_ITEMS`` questions of each (default 12; the whole of them takes hours). The model is the folder that
``YANMO_BENCH_MODEL`` names, or a fresh 20M Llama over a byte-level BPE learned from the questions. The token ceiling is
what HFLM multiplies over what a tree of ids has: with few questions a subject it is lower than over whole subjects.
Ours also makes fewer logits, so it can be passed.
"""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from corpus.sources.benchmarks import Item
from eval.likelihood import Request, hflm
from eval.prefixes import tree
from eval.tasks import TASKS
from eval.tasks.base import Question
from eval.tasks.files import load
from workbench.console import note, table

ITEMS = int(os.environ.get("YANMO_BENCH_ITEMS", "12"))
MODEL = os.environ.get("YANMO_BENCH_MODEL")
SUBJECTS = int(os.environ.get("YANMO_BENCH_SUBJECTS", "20"))
DATA = Path(__file__).resolve().parents[3] / "shared" / "benchmarks"


def questions(name: str) -> list[Question]:
    """Return the first items of some subjects, spread over the benchmark."""
    task = TASKS[name]
    asked = task.asked()
    loaded = load(task, DATA, asked)
    by_subject: dict[str, list[Item]] = {}
    for item in loaded.items:
        by_subject.setdefault(item.subject, []).append(item)
    subjects = sorted(by_subject)[:: max(1, len(by_subject) // SUBJECTS)][:SUBJECTS]
    return [
        task.ask(item, loaded.exemplars[name, subject], asked)
        for subject in subjects
        for item in by_subject[subject][:ITEMS]
    ]


BODY = {
    "hidden_size": 384,
    "intermediate_size": 1024,
    "num_hidden_layers": 8,
    "num_attention_heads": 6,
    "num_key_value_heads": 3,
}  # 20M parameters with 16,000 pieces


def fresh(
    texts: list[str], folder: Path, pieces_wanted: int = 16_000, body: Mapping[str, int] = BODY
) -> tuple[Any, Any]:
    """Return a Llama that has learned nothing, and a byte-level tokenizer learned from texts."""
    from tokenizers import ByteLevelBPETokenizer
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    pieces = ByteLevelBPETokenizer()
    pieces.train_from_iterator(texts, vocab_size=pieces_wanted, special_tokens=["<s>", "</s>"], show_progress=False)
    pieces.save(str(folder / "tokenizer.json"))
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_file=str(folder / "tokenizer.json"), bos_token="<s>", eos_token="</s>", pad_token="</s>"
    )
    config = LlamaConfig(vocab_size=pieces_wanted, max_position_embeddings=8192, **body)
    return LlamaForCausalLM(config).eval(), tokenizer


def named(folder: str) -> tuple[Any, Any]:
    from transformers import AutoModelForCausalLM, AutoTokenizer

    return AutoModelForCausalLM.from_pretrained(folder).eval(), AutoTokenizer.from_pretrained(folder)


def timed(work: Callable[[], Any]) -> tuple[float, Any]:
    began = time.process_time()
    found = work()
    return time.process_time() - began, found


def main() -> None:
    import torch

    torch.set_num_threads(1)
    if not DATA.is_dir():
        note("eval: ../shared/benchmarks is not there; nothing measured")
        return
    asked = {name: questions(name) for name in ("mmlu", "ceval", "cmmlu")}
    with tempfile.TemporaryDirectory() as folder:
        texts = [question.prompt.text for some in asked.values() for question in some]
        model, tokenizer = named(MODEL) if MODEL else fresh(texts, Path(folder))
    ours, theirs = hflm(model, tokenizer), hflm(model, tokenizer, shared=False)
    rows = []
    for name, some in asked.items():
        requests: list[Request] = [
            ((question.prompt.text, choice), *ours._encode_pair(question.prompt.text, choice))
            for question in some
            for choice in question.choices
        ]
        own_seconds, own = timed(lambda requests=requests: ours._loglikelihood_tokens(requests))  # type: ignore[misc]
        seconds, found = timed(
            lambda requests=requests: theirs._loglikelihood_tokens(requests, disable_tqdm=True)  # type: ignore[misc]
        )
        inputs = dict.fromkeys(tuple([*before, *after][:-1]) for _, before, after in requests)
        ceiling = sum(map(len, inputs)) / tree(list(inputs)).total
        apart = max(abs(one[0] - other[0]) for one, other in zip(own, found, strict=True))
        differ = sum(best(own, n) != best(found, n) for n in range(len(some)))
        rows.append((name, len(some), seconds, own_seconds, seconds / own_seconds, ceiling, apart, differ))
    head = ("5-shot", "questions", "HFLM CPU-s", "yanmo CPU-s", "yanmo is x", "token ceiling", "max |Δ| nats", "differ")
    table(head, rows, f"Scoring by letter, {SUBJECTS} subjects, {MODEL or 'a fresh 20M Llama'}")


def best(scored: list[tuple[float, bool]], question: int) -> int:
    """Return which of a question's four choices is likeliest."""
    return max(range(4), key=lambda n: scored[4 * question + n][0])


if __name__ == "__main__":
    main()
