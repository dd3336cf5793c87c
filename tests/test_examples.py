"""The shell scripts and notebooks of docs/examples, executed in order with fewer steps.

Jupyter is not needed: a code cell's lines that begin with ``!`` go to the shell, all else is Python, in one namespace.
"""

import json
import os
import shutil
import stat
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parent.parent / "docs" / "examples"
NOTEBOOKS = sorted(EXAMPLES.glob("*.ipynb"))
FEW = {
    "pt": "pt.steps=4 pt.model.layers=1 pt.model.hidden_size=64 pt.model.heads=1 pt.eval.sequences=2",
    "sft": "sft.steps=2 sft.eval.sequences=4",
    "rm": "rm.steps=2 rm.eval.sequences=8",
    "dpo": "dpo.steps=2 dpo.eval.sequences=8",
    "ppo": "ppo.steps=1 ppo.rollout.max_new=8",
}
SCRIPTS = {"pt": "pt", "sft": "pt,sft", "rm": "pt,sft,rm", "dpo": "pt,sft,dpo", "rl": "pt,sft,rm,ppo"}


def test_the_notebooks_are_notebooks():
    assert len(NOTEBOOKS) == 2
    for path in NOTEBOOKS:
        book = json.loads(path.read_text(encoding="utf-8"))
        assert (book["nbformat"], book["metadata"]["kernelspec"]["name"]) == (4, "python3")
        ids = [cell["id"] for cell in book["cells"]]
        assert len(set(ids)) == len(ids)
        for cell in book["cells"]:
            assert cell["cell_type"] in ("markdown", "code")
            if cell["cell_type"] == "code":
                assert cell["outputs"] == []
                compile("".join(line for line in cell["source"] if not line.startswith("!")), path.name, "exec")
        shell = [line for cell in book["cells"] for line in cell["source"] if line.startswith("!sh ")]
        assert all((EXAMPLES / line.split()[1]).is_file() for line in shell)


def test_the_pairs_hold_what_their_rule_says(tmp_path):
    pytest.importorskip("snownlp")
    subprocess.run([sys.executable, EXAMPLES / "make_pairs.py", tmp_path], check=True, capture_output=True)
    pairs, asked = (
        [json.loads(line) for line in (tmp_path / f"{name}.jsonl").read_text(encoding="utf-8").splitlines()]
        for name in ("pairs", "instructions")
    )
    assert len(pairs) > 1500
    for pair in pairs:
        nouns = pair["prompt"].split("“")[1].split("”")[0], pair["prompt"].split("“")[2].split("”")[0]
        for answer in (pair["chosen"], pair["rejected"]):
            assert all(noun in answer for noun in nouns)
        long, short = sorted((len(pair["chosen"]), len(pair["rejected"])))[::-1]
        assert long <= 1.2 * short
    used = {pair[side] for pair in pairs for side in ("chosen", "rejected")}
    assert len(used) == 2 * len(pairs)
    assert not used & {row["output"] for row in asked}


def test_a_model_read_from_gguf_does_not_remember_it(tmp_path):
    """transformers refuses to train what its config says is quantised, though its weights are whole."""
    from importlib.util import module_from_spec, spec_from_file_location

    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    spec = spec_from_file_location("get_smollm2", EXAMPLES / "get_smollm2.py")
    script = module_from_spec(spec)
    spec.loader.exec_module(script)
    sizes = {"hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16}
    read = LlamaForCausalLM(LlamaConfig(vocab_size=32, **sizes))
    read.config.quantization_config = {"quant_method": "gguf", "dequantize": False}
    made = script.plain(read)
    made.save_pretrained(tmp_path)
    assert "quantization_config" not in json.loads((tmp_path / "config.json").read_text())
    for name, weight in read.state_dict().items():
        assert torch.equal(made.state_dict()[name], weight)


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A copy of the examples, and the four commands on the path."""
    pytest.importorskip("snownlp")
    folder = tmp_path_factory.mktemp("examples")
    shutil.copytree(EXAMPLES, folder, dirs_exist_ok=True)
    (folder / "bin").mkdir()
    for name, package in (("corpus", "corpus"), ("tokenizer", "tokenizer"), ("train", "train"), ("evaluate", "eval")):
        path = folder / "bin" / name
        path.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m {package} "$@"\n')
        path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return folder


def shell(place, line, pipeline):
    root, small = (
        str(EXAMPLES.parent.parent),
        " ".join(["prompts=4 max_new=8 items=4", *map(FEW.get, pipeline.split(","))]),
    )
    paths = {"PATH": f"{place}/bin:{os.environ['PATH']}", "PYTHONPATH": root, "PYTHON": sys.executable, "SMALL": small}
    environment = {**os.environ, **paths, "HF_HUB_OFFLINE": "1"}
    done = subprocess.run(["sh", "-c", line], cwd=place, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{line}\n{done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.mark.slow
def test_the_scripts_run_as_they_are(place):
    for name, pipeline in SCRIPTS.items():
        said = shell(place, f"sh run_{name}.sh", pipeline)
        assert "Does each stage help?" in said
    for run in ("01-pt", "02-sft", "03-rm", "03-dpo", "04-ppo"):
        assert (place / "data/runs/example" / run / "manifest.json").is_file()


@pytest.mark.slow
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_the_notebooks_run_as_they_are(place, path, monkeypatch, capsys):
    monkeypatch.chdir(place)
    scope, told = {}, ""
    for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]:
        if cell["cell_type"] != "code":
            continue
        for line in (line.rstrip("\n") for line in cell["source"] if line.startswith("!")):
            name = next((n for n in SCRIPTS if f"run_{n}.sh" in line), "pt")
            told += shell(place, line[1:], SCRIPTS[name])
        exec("".join(line for line in cell["source"] if not line.startswith("!")), scope)
    assert "Does each stage help?" in told
    assert "pipeline.html" in capsys.readouterr().out
