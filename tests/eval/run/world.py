"""Tiny official files, made up here in the official formats, and a tiny random model with its tokenizer."""

from __future__ import annotations

import csv
import gzip
import json
from pathlib import Path

LETTERS = "ABCD"
SUBJECTS = {
    "mmlu": ("anatomy", "astronomy"),
    "ceval": ("physician", "logic"),
    "cmmlu": ("anatomy", "arts", "virology"),
}
MEDICAL = {
    "mmlu": ("clinical_knowledge", "college_biology", "college_medicine", "medical_genetics"),
    "ceval": ("basic_medicine", "clinical_medicine"),
}


def make_data(root: Path, items: int = 4) -> Path:
    """Write all eight benchmarks (MATH as MATH-500)."""
    for subject in (*SUBJECTS["mmlu"], *MEDICAL["mmlu"]):
        for split, count in (("dev", 5), ("val", items), ("test", items)):
            rows = [_row(subject, split, n) for n in range(count)]
            _csv(root / "mmlu" / "data" / split / f"{subject}_{split}.csv", rows)
    for subject in (*SUBJECTS["ceval"], *MEDICAL["ceval"]):
        head = ["id", "question", *LETTERS]
        dev = [[n, *_row(subject, "dev", n), "因为如此"] for n in range(5)]
        val = [[n, *_row(subject, "val", n)] for n in range(items)]
        test = [[n, *_row(subject, "test", n)[:5]] for n in range(items)]
        _csv(root / f"ceval/dev/{subject}_dev.csv", [[*head, "answer", "explanation"], *dev])
        _csv(root / f"ceval/val/{subject}_val.csv", [[*head, "answer"], *val])
        _csv(root / f"ceval/test/{subject}_test.csv", [head, *test])
    for subject in SUBJECTS["cmmlu"]:
        for split, count in (("dev", 5), ("test", items)):
            rows = [[n, *_row(subject, split, n)] for n in range(count)]
            _csv(root / f"cmmlu/{split}/{subject}.csv", [["", "Question", *LETTERS, "Answer"], *rows])
    _jsonl(
        root / "gsm8k/test.jsonl", [{"question": f"What is {n} + 1?", "answer": f"#### {n + 1}"} for n in range(items)]
    )
    problems = [
        {"problem": f"Find ${n}^2$.", "solution": f"$\\boxed{{{n * n}}}$", "answer": str(n * n), "subject": "Algebra"}
        for n in range(items)
    ]
    _jsonl(root / "math/math500.jsonl", problems)
    functions = [
        {
            "task_id": f"Made/{n}",
            "prompt": f'def add_{n}(x):\n    """Return x plus {n}."""\n',
            "canonical_solution": f"    return x + {n}\n",
            "test": f"def check(candidate):\n    assert candidate(1) == {n + 1}\n",
            "entry_point": f"add_{n}",
        }
        for n in range(items)
    ]
    (root / "humaneval").mkdir(parents=True)
    with gzip.open(root / "humaneval/HumanEval.jsonl.gz", "wt", encoding="utf-8") as stream:
        stream.writelines(json.dumps(one) + "\n" for one in functions)
    programs = [
        {
            "text": f"Write a function that adds {n}.",
            "code": f"def f(x):\r\n    return x + {n}",
            "task_id": n,
            "test_setup_code": "",
            "test_list": [f"assert f({k}) == {n + k}" for k in range(3)],
        }
        for n in (*range(1, 11), *range(11, 11 + items))
    ]
    _jsonl(root / "mbpp/mbpp.jsonl", programs)
    for name in ("navigate", "word_sorting"):
        examples = [{"input": f"Is {n} even?", "target": "Yes" if n % 2 == 0 else "No"} for n in range(items)]
        _text(root / f"bbh/bbh/{name}.json", json.dumps({"canary": "none", "examples": examples}))
        shots = "\n\n".join(
            f"Q: Is {n} odd?\nA: Let's think step by step.\nWe look. So the answer is {'Yes' if n % 2 else 'No'}."
            for n in range(3)
        )
        _text(root / f"bbh/cot-prompts/{name}.txt", f"canary\n-----\nSay {name}.\n\n{shots}")
    return root


def make_model(folder: Path, *, positions: int = 4096) -> Path:
    """Write a random Llama of 60,000 parameters and a byte-level tokenizer."""
    import torch
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    torch.manual_seed(0)
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    words = Tokenizer(models.BPE({"<s>": 0, "</s>": 1} | {c: n + 2 for n, c in enumerate(letters)}, []))
    words.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    words.decoder = decoders.ByteLevel()
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=words, bos_token="<s>", eos_token="</s>", pad_token="</s>")
    config = LlamaConfig(
        vocab_size=264,
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=positions,
        bos_token_id=0,
        eos_token_id=1,
    )
    model = LlamaForCausalLM(config).eval()
    for weight in model.parameters():
        weight.data.mul_(4)  # far enough from uniform for choices to differ
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def _row(subject: str, split: str, n: int) -> list[str]:
    return [f"{subject} {split} 第{n}题？", *(f"{subject} choice {letter}{n}" for letter in LETTERS), LETTERS[n % 4]]


def _csv(path: Path, rows: list[list[object]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8", newline="") as stream:
        csv.writer(stream).writerows(rows)


def _jsonl(path: Path, rows: list[dict[str, object]]) -> None:
    _text(path, "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows))


def _text(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
