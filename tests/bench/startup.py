"""CPU-seconds of ``evaluate run`` up to its first request: all nine tasks, 100 items each, a tiny model.

Processes of their own, their children counted, the least of ``RUNS``:

    imports         torch and lm-eval's HFLM, and nothing else
    lm-eval ready   ``HFLM(pretrained=DIR)``: with transformers' model classes, which it imports then, and the model
    yanmo           the command, ended where it would ask first; from folders, and from the archives of ``../shared``

What yanmo has beyond the first is its own: reading, counting and hashing 40,000 items, the plan, the trial of the
sandbox, tokenizer and model. The last row is a model that ``eval.decoder`` leaves to transformers, whose model
classes are imported as well: its rotation changes with the length.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

from workbench.console import note, table

from .eval import fresh

DATA = Path(__file__).resolve().parents[3] / "shared" / "benchmarks"
RUNS = 3
CPU = """
import os, resource, sys
def stop(*_, **__):
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    os.write(1, f"\\n{sum(one.ru_utime + one.ru_stime for one in used)}".encode())
    os._exit(0)
"""
IMPORTS = "import torch, lm_eval.models.huggingface; stop()"
READY = "from lm_eval.models.huggingface import HFLM; HFLM(pretrained=sys.argv[1], device='cpu'); stop()"
OURS = """
import eval.run
from eval.cli import command
eval.run.answer = stop
model, data, out, tasks = sys.argv[1:]
command(["run", "--model", model, "--data", data, "--out", out, "--tasks", tasks, "--limit", "100"])
"""


def seconds(code: str, *words: str) -> float:
    """Return the CPU-seconds that a program has used when it calls ``stop``."""
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false"}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)  # else this project alone is compiled anew each time
    with tempfile.TemporaryDirectory() as folder:
        arguments = [word.replace("OUT", f"{folder}/scores") for word in words]
        line = [sys.executable, "-c", CPU + code, *arguments]
        done = subprocess.run(line, capture_output=True, text=True, env=environment, check=True)
    return float(done.stdout.split("\n")[-1])


BODY = {"hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2, "num_attention_heads": 2}


def make_model(folder: Path) -> None:
    """Write a Llama of two layers, and a tokenizer of bytes."""
    folder.mkdir()
    for part in fresh([], folder, 258, BODY):
        part.save_pretrained(folder)


def turn_by_length(model: Path, folder: Path) -> None:
    """Write the same model with a rotary embedding that changes with the length."""
    shutil.copytree(model, folder)
    stated = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    stated["rope_parameters"] |= {"rope_type": "dynamic", "factor": 2.0}
    (folder / "config.json").write_text(json.dumps(stated), encoding="utf-8")


def main() -> None:
    if not DATA.is_dir():
        note("startup: ../shared/benchmarks is not there; nothing measured")
        return
    with tempfile.TemporaryDirectory() as scratch:
        model, files = Path(scratch) / "model", Path(scratch) / "files"
        other = Path(scratch) / "other"
        make_model(model)
        turn_by_length(model, other)
        for archive in sorted(DATA.glob("*.tar.xz")):
            with tarfile.open(archive) as tar:
                tar.extractall(files, filter="data")
        programs = {
            "imports": (IMPORTS,),
            "lm-eval ready": (READY, str(model)),
            "yanmo, nine tasks": (OURS, str(model), str(files), "OUT", "all"),
            "yanmo, nine tasks, from .tar.xz": (OURS, str(model), str(DATA), "OUT", "all"),
            "yanmo, MMLU": (OURS, str(model), str(files), "OUT", "mmlu"),
            "yanmo, GSM8K": (OURS, str(model), str(files), "OUT", "gsm8k"),
            "yanmo, nine tasks, a model left to transformers": (OURS, str(other), str(files), "OUT", "all"),
        }
        used = dict.fromkeys(programs, float("inf"))
        for _ in range(RUNS):  # in turns, so that a busy minute falls on all of them
            for name, words in programs.items():
                used[name] = min(used[name], seconds(*words))
    imports, ready = used["imports"], used["lm-eval ready"]
    rows = [(name, one, one - imports, one - ready) for name, one in used.items()]
    heads = ("up to the first request", "CPU-s", "beyond imports", "beyond lm-eval ready")
    table(heads, rows, f"Start-up, the least of {RUNS} runs")


if __name__ == "__main__":
    main()
