"""Stages chained: each goes on from the run before, an interruption changes nothing, and what each changed is measured."""

import json
import os
import signal
import subprocess
import sys
import time

import pytest
import torch

from tests.train.talk import dialogues, preferences
from tests.train.toy import make_tokenizer, make_tokens
from tokenizer.export import export
from tokenizer.model import read_model
from train.cli import command
from train.pipeline import resolve_pipeline
from train.settings import RECIPES
from workbench import manifest
from workbench.errors import ConfigError
from workbench.lineage import chain
from workbench.shipped import names_in

PT = [
    "steps=6",
    "batch_tokens=128",
    "micro_batch=2",
    "model.hidden_size=64",
    "model.layers=2",
    "model.heads=2",
    "model.mlp_size=128",
    "model.max_positions=160",
    "optim.lr=1e-2",
]
ROWS = ["window=96", "min_jaccard=none", "held_out=0.3", "batch=8", "micro_batch=8", "steps=5", "checkpoint.every=2"]
PPO = ["steps=2", "prompts=8", "minibatch=8", "rollout.max_new=12", "rollout.max_prompt=96"]
WHOLE = ["prompts=8", "max_new=12", "items=20"]
CHECKED = "optim.warmup=1"


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    """Products of this size are done before a second thread has woken up."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    folder, specials = tmp_path_factory.mktemp("管道"), ("<human>", "<bot>")
    tok = make_tokenizer(folder / "tok", symbols=specials)
    export(read_model(tok / "tokenizer.model"), tok, specials=specials)
    make_tokens(folder / "tokens", tok, train=60, validation=10)
    dialogues(folder / "sft.jsonl", 60)
    preferences(folder / "pairs.jsonl", 80)
    return folder


def words(world, out, pipeline, *more):
    parts = {
        "pt": [f"data={world}/tokens", f"tokenizer={world}/tok", *PT, CHECKED],
        "sft": [f"data={world}/sft.jsonl", "template=ziya", "optim.lr=1e-2", *ROWS, CHECKED],
        "rm": [f"data={world}/pairs.jsonl", "optim.lr=3e-3", *ROWS, CHECKED],
        "dpo": [f"data={world}/pairs.jsonl", "optim.lr=3e-3", *ROWS, CHECKED],
        "ppo": [f"data={world}/pairs.jsonl", *PPO],
    }
    own = {
        f"{stage}.{word}".split("=", 1)[0]: f"{stage}.{word}" for stage in pipeline.split(",") for word in parts[stage]
    }
    own |= {word.split("=", 1)[0]: word for word in more}
    return [f"pipeline={pipeline}", f"out={out}", *WHOLE, *own.values()]


@pytest.fixture(scope="module")
def whole(world, tmp_path_factory):
    out = tmp_path_factory.mktemp("runs") / "ppo"
    assert command(words(world, out, "pt,sft,rm,ppo")) == 0
    return out


@pytest.fixture(scope="module")
def uncut(world, tmp_path_factory):
    out = tmp_path_factory.mktemp("runs") / "dpo"
    assert command(words(world, out, "pt,sft,dpo")) == 0
    return out


def weights(out, run):
    return (out / run / "model" / "model.safetensors").read_bytes()


def changed(out):
    return {
        (s, c["score"]): c for s, found in manifest.read(out, "pipeline", "").results["stages"].items() for c in found
    }


def test_each_stage_goes_on_from_the_run_before(whole):
    settings = {p.name: json.loads((p / "manifest.json").read_text())["config"] for p in whole.glob("0*")}
    assert {name: one["model"]["weights"] for name, one in settings.items()} == {
        "01-pt": None,
        "02-sft": str(whole / "01-pt"),
        "03-rm": str(whole / "02-sft"),
        "04-ppo": str(whole / "02-sft"),
    }
    assert settings["04-ppo"]["reward"] == str(whole / "03-rm")
    assert {"01-pt", "02-sft", "03-rm", "04-ppo", "tokens", "tok"} <= {
        entry["folder"].rsplit("/", 1)[-1] for entry in chain(whole)
    }


def test_what_each_stage_changed(whole, uncut):
    found = changed(whole)
    assert found["01-pt", "bits_per_byte"]["verdict"] == "better"
    assert found["02-sft", "held_out_loss"]["verdict"] == "better"
    assert found["03-rm", "accuracy"]["after"] > 0.9
    assert {("04-ppo", "reward"), ("04-ppo", "win_rate"), ("02-sft", "win_rate")} <= found.keys()
    assert found["04-ppo", "win_rate"]["n"] == 8
    margin = changed(uncut)["03-dpo", "pair_margin"]
    assert margin["verdict"] == "better"
    assert not any(score in ("reward", "win_rate") for _, score in changed(uncut))
    for (stage, score), one in found.items():
        if stage not in ("01-pt", "03-rm") and score not in ("win_rate", "reward"):
            before = "01-pt" if stage == "02-sft" else "02-sft"
            assert one["before"] == found[before, score]["after"]


def test_the_scores_are_those_of_the_stages_themselves(whole):
    """Measured again by the pipeline, on the same held-out rows, in other batches."""
    found = changed(whole)
    results = {run: manifest.read(whole / run, "run", "").results for run in ("01-pt", "02-sft", "03-rm")}
    bits, loss = found["01-pt", "bits_per_byte"], found["02-sft", "held_out_loss"]
    assert [bits["before"], bits["after"]] == pytest.approx(results["01-pt"]["scores"]["bits_per_byte"], abs=1e-4)
    assert [loss["before"], loss["after"]] == pytest.approx(results["02-sft"]["scores"]["held_out_loss"], abs=1e-4)
    assert found["03-rm", "accuracy"]["after"] == results["03-rm"]["scores"]["accuracy"][1]


def test_a_finished_pipeline_does_nothing(world, uncut, capsys):
    before = {
        path: path.stat().st_mtime_ns for path in uncut.rglob("*") if path.is_file() and "scores" not in path.parts
    }
    assert command(words(world, uncut, "pt,sft,dpo")) == 0
    said = capsys.readouterr()
    assert said.err.count("nothing to do") == 4
    assert "scoring" not in said.err
    assert "Does each stage help?" in said.out
    after = {
        path: path.stat().st_mtime_ns for path in uncut.rglob("*") if path.is_file() and "scores" not in path.parts
    }
    assert after == before


def test_interrupted_in_its_second_stage_it_goes_on_there(world, uncut, tmp_path, monkeypatch, capsys):
    from train.trainer import Discipline

    step = Discipline.training_step

    def crash(self, *given):
        if self.settings.out.name == "02-sft" and self.state.global_step == 3:
            raise RuntimeError("power cut")
        return step(self, *given)

    monkeypatch.setattr(Discipline, "training_step", crash)
    with pytest.raises(RuntimeError):
        command(words(world, tmp_path / "run", "pt,sft,dpo"))
    monkeypatch.undo()
    first = (tmp_path / "run/01-pt/manifest.json").stat().st_mtime_ns
    assert command(words(world, tmp_path / "run", "pt,sft,dpo")) == 0
    said = capsys.readouterr().err
    assert "01-pt: this run is complete" in said
    assert (tmp_path / "run/01-pt/manifest.json").stat().st_mtime_ns == first
    assert "resumed from step-000002" in (tmp_path / "run/02-sft/metrics.jsonl").read_text()
    for run in ("01-pt", "02-sft", "03-dpo"):
        assert weights(tmp_path / "run", run) == weights(uncut, run), run
    assert changed(tmp_path / "run") == changed(uncut)


@pytest.mark.slow
def test_a_killed_process_goes_on(world, uncut, tmp_path):
    line = [sys.executable, "-m", "train", *words(world, tmp_path / "run", "pt,sft,dpo")]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}
    process = subprocess.Popen(line, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while not (tmp_path / "run/02-sft/checkpoints/step-000002").is_dir():
        assert process.poll() is None
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert not (tmp_path / "run/03-dpo").exists()
    assert subprocess.run(line, env=environment, check=False, capture_output=True).returncode == 0
    assert weights(tmp_path / "run", "03-dpo") == weights(uncut, "03-dpo")


def test_another_setting_of_a_stage_asks_for_overwrite_and_keeps_those_before(world, tmp_path, uncut):
    import shutil

    from workbench.errors import OutputError

    shutil.copytree(uncut, tmp_path / "run")
    # a copied pipeline has other paths of weights: only its first stage is the same
    with pytest.raises(OutputError, match="02-sft: holds a run of other inputs or settings"):
        command(words(world, tmp_path / "run", "pt,sft,dpo"))


def test_an_adapter_is_merged_before_it_is_handed_on(world, tmp_path):
    more = ("sft.tune=lora", "sft.lora.rank=4", "dpo.steps=1")
    assert command(words(world, tmp_path / "run", "pt,sft,dpo", *more)) == 0
    made = json.loads((tmp_path / "run/03-dpo/manifest.json").read_text())
    assert made["config"]["model"]["weights"] == str(tmp_path / "run/02-sft-merged")
    assert ("02-sft", "held_out_loss") in changed(tmp_path / "run")


def test_the_page_and_the_file_of_scores(whole):
    page = (whole / "pipeline.html").read_text(encoding="utf-8")
    for part in (
        "每个阶段有帮助吗？",
        "Does each stage help?",
        "prefers-color-scheme: dark",
        "&lt;human&gt;",
        "胜过上一阶段",
    ):
        assert part in page
    assert "<script" not in page
    assert "<human>" not in page
    kept = json.loads((whole / "scores/04-ppo.json").read_text(encoding="utf-8"))
    assert {one["score"] for one in kept["changed"]} >= {"win_rate", "bits_per_byte"}


def test_a_slice_of_multiple_choice(world, uncut, tmp_path, capsys):
    folder = tmp_path / "bench" / "ceval" / "val"
    folder.mkdir(parents=True)
    lines = ["id,question,A,B,C,D,answer", *(f"{n},医生在山上做什么？{n},看病,种田,教书,望月,A" for n in range(9))]
    (folder / "toy_val.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    more = (f"mc={tmp_path}/bench", "dpo.steps=1")
    assert command(words(world, tmp_path / "run", "pt,sft,dpo", *more)) == 0
    gold = changed(tmp_path / "run")["01-pt", "gold_answer"]
    assert (gold["n"], gold["verdict"]) == (9, "better")


# --- settings ----------------------------------------------------------------------------------------------------------


def test_sections_of_a_file_and_recipes_below_them(world, tmp_path, capsys):
    path = tmp_path / "p.yaml"
    text = f"pipeline: pt,sft,dpo\npt: {{data: {world}/tokens, tokenizer: {world}/tok, optim: {{lr: 0.5}}}}\n"
    text += "sft: {config: sft-tiny, data: a.jsonl, epochs: 3}\ndpo: {data: b.jsonl}\nppo: {steps: 9}\n"
    path.write_text(text, encoding="utf-8")
    plan = resolve_pipeline([f"config={path}", "sft.optim.lr=1e-9", "out=x"])
    pt, sft, dpo = (step.loaded.value for step in plan.steps)
    assert (pt.optim.lr, sft.epochs, sft.batch, sft.optim.lr) == (0.5, 3, 4, 1e-9)
    assert [str(one.out) for one in (pt, sft, dpo)] == ["x/01-pt", "x/02-sft", "x/03-dpo"]
    assert command([f"config={path}", "--print", "--json"]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert shown["02-sft"]["origins"]["batch"] == "sft-tiny.yaml"
    assert shown["02-sft"]["origins"]["model.weights"] == "the pipeline"
    assert resolve_pipeline([f"config={path}", "pipeline=pt"]).steps[0].name == "01-pt"


@pytest.mark.parametrize("name", [name for name in names_in(RECIPES) if name.startswith("pipeline")])
def test_a_shipped_recipe_has_both_ways(name):
    for pipeline, names in (("pt,sft,rm,ppo", ["01-pt", "02-sft", "03-rm", "04-ppo"]), ("pt,sft,dpo", None)):
        plan = resolve_pipeline([f"config={name}", f"pipeline={pipeline}"])
        assert [step.name for step in plan.steps] == (names or ["01-pt", "02-sft", "03-dpo"])


def test_the_bundled_example_is_of_some_20m_parameters():
    from train.plan import make_plan

    plan = make_plan(
        resolve_pipeline(["config=pipeline-tiny", "pipeline=pt", "pt.plan.seq_len=256"]).steps[0].loaded.value
    )
    assert plan.parameters == 20_449_920  # as the run tells, of 39,424 rows


def test_every_stage_of_the_longer_recipe_is_an_adapter_over_the_one_before():
    plan = resolve_pipeline(["config=pipeline-smollm2-lora"])
    settings = [step.loaded.value for step in plan.steps]
    assert [one.tune for one in settings] == ["lora"] * 4
    merged = plan.steps[1].weights
    assert merged.name == "02-sft-merged"
    assert [one.model.weights for one in settings[2:]] == [merged, merged]  # so that ppo's reward shares its base
    assert settings[3].reward == str(plan.steps[2].run)


@pytest.mark.parametrize(
    ("pipeline", "more", "said"),
    [
        ("pt,stf", (), "did you mean sft"),
        ("sft,pt", (), "pt is not the first"),
        ("pt,pt", (), "stands in it twice"),
        ("rm", (), "no stage that makes a language model"),
        ("pt,sft,dpo", ("sft.dta=x",), r"command line: sft: dta: no such setting, did you mean data|sft: dta"),
        ("pt,sft,dpo", ("rm.steps=1",), "rm is not in pipeline=pt,sft,dpo"),
        ("pt,sft,dpo", ("sft.model.weights=x",), "is handed over by the pipeline"),
        ("pt,sft,dpo", ("dpo.out=x",), "is handed over by the pipeline"),
        ("pt,sft,ppo", (), r"ppo.reward: is not set"),
        ("sft,dpo", (), r"sft.model.weights: is not set"),
        ("pt,sft,dpo", ("dop.steps=1",), "no such stage or setting"),
        ("pt,sft,dpo", ("stage=pt",), "stands beside pipeline"),
        ("pt,sft,dpo", ("items=1",), "items"),
    ],
)
def test_what_cannot_be_is_one_line(world, pipeline, more, said):
    known = [word for word in words(world, "x", "pt,sft,dpo") if word.split(".")[0] in (*pipeline.split(","), "out=x")]
    if "ppo" in pipeline:
        known.append(f"ppo.data={world}/pairs.jsonl")
    with pytest.raises(ConfigError, match=said) as caught:
        command([f"pipeline={pipeline}", *known, *more])
    assert "\n" not in str(caught.value)


def test_plan_is_for_pt(world):
    with pytest.raises(ConfigError, match="counts stage=pt, not a pipeline"):
        command([*words(world, "x", "pt,sft,dpo"), "--plan"])
