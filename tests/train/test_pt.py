"""The stage end to end on the toy world: it learns what can be learned, resumes exactly, hides nothing, refuses in a line."""

import importlib.util
import json
import os
import shutil
import signal
import subprocess
import sys
import time

import pytest

from tests.train.toy import SMALL, make_tokenizer, make_tokens
from tokenizer.embed import embed
from train.cli import command
from train.settings import resolve
from train.trainer import Discipline, NotFinite
from workbench import manifest
from workbench.errors import ConfigError, InputError, OutputError
from workbench.files import sha256_file
from workbench.runs import metrics


def words(toy, out, *more):
    given = [f"data={toy / 'tokens'}", f"tokenizer={toy / 'tok'}", f"out={out}", *SMALL, *more]
    unique = dict(word.split("=", 1) for word in given)
    return ["stage=pt", *(f"{key}={value}" for key, value in unique.items())]


def run(toy, out, *more):
    stage, loaded = resolve(words(toy, out, *more))
    return stage.run(loaded, False)


def series(out, key="loss"):
    return {row["step"]: row[key] for row in metrics.read(out) if key in row}


def exact(out):
    return {step: (round(loss, 6), series(out, "grad_norm")[step]) for step, loss in series(out).items()}


@pytest.fixture(scope="module")
def whole(toy, tmp_path_factory):
    """An uninterrupted run of 12 steps."""
    out = tmp_path_factory.mktemp("runs") / "whole"
    return out, run(toy, out, "steps=12", "checkpoint.every=5")


def test_the_folder_of_a_finished_run(toy, whole):
    out, results = whole
    assert manifest.read(out, "run", "train").results == results
    assert sorted(p.name for p in (out / "checkpoints").iterdir()) == ["step-000010", "step-000012"]
    for name in ("curves.png", "metrics.jsonl", "model/README.md", "model/model.safetensors", "model/tokenizer.model"):
        assert (out / name).stat().st_size > 0
    assert (out / "curves.png").read_bytes()[:4] == b"\x89PNG"
    assert not [p for p in out.rglob("*") if p.suffix in (".bin", ".pt", ".pth", ".pkl")]
    rows = metrics.read(out)
    assert [row["step"] for row in rows] == [*range(13), 12]
    assert rows.pop() == {"step": 12, "tokens": 12 * 128, "bits_per_byte": results["bits_after"]}
    assert {"loss", "grad_norm", "lr", "tokens", "seconds", "tflops", "tokens_per_second", "data_wait"} <= set(rows[-1])
    assert rows[-1]["tokens"] == 12 * 128
    assert results["bits_before"] == rows[0]["bits_per_byte"]
    card = (out / "model" / "README.md").read_text(encoding="utf-8")
    assert f"{results['bits_after']:.4f} after" in card


def test_the_final_model_is_the_one_that_was_scored(toy, whole):
    from eval.bits import bits_of_shards, total
    from eval.models import load_model
    from tokenizer.shards import TokenShards

    out, results = whole
    found = total(bits_of_shards(load_model(out, "cpu"), TokenShards.open(toy / "tokens", "validation")))
    assert found.per_byte == pytest.approx(results["bits_after"], rel=1e-6)


def test_the_same_command_again_does_nothing(toy, whole, capsys):
    out, results = whole
    before = {p: p.stat().st_mtime_ns for p in out.rglob("*")}
    assert command(words(toy, out, "steps=12", "checkpoint.every=4")) == 0  # when it saves changes no result
    assert {p: p.stat().st_mtime_ns for p in out.rglob("*")} == before
    captured = capsys.readouterr()
    assert "nothing to do" in captured.err
    assert f"{results['bits_after']:.4f}" in captured.out


def test_a_run_of_other_settings_is_refused(toy, whole):
    with pytest.raises(OutputError, match="other inputs or settings; name another out="):
        run(toy, whole[0], "steps=13")


@pytest.mark.parametrize("stop_at", [3, 5, 11])
def test_stopped_by_a_signal_the_same_command_goes_on_exactly(toy, whole, tmp_path, monkeypatch, stop_at, capsys):
    out = tmp_path / "run"
    step = Discipline.check_step

    def stop(self, loss, norm):
        if self.state.global_step + 1 == stop_at:
            os.kill(os.getpid(), signal.SIGTERM)
        return step(self, loss, norm)

    monkeypatch.setattr(Discipline, "check_step", stop)
    with pytest.raises(KeyboardInterrupt):
        run(toy, out, "steps=12", "checkpoint.every=5")
    monkeypatch.undo()
    assert not (out / "manifest.json").exists()
    assert max(series(out)) == stop_at
    assert "saving after this step" in capsys.readouterr().err
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
    results = run(toy, out, "steps=12", "checkpoint.every=5")
    assert exact(out) == exact(whole[0])
    assert results["bits_after"] == whole[1]["bits_after"]
    assert (out / "model/model.safetensors").read_bytes() == (whole[0] / "model/model.safetensors").read_bytes()
    events = series(out, "events")
    assert events[stop_at] == ["stopped by SIGTERM"]
    assert events[stop_at + 1] == [f"resumed from step-{stop_at:06d}"]


def test_after_a_crash_steps_past_the_checkpoint_are_done_again(toy, whole, tmp_path, monkeypatch, capsys):
    out = tmp_path / "run"
    step = Discipline.check_step

    def crash(self, loss, norm):
        if self.state.global_step + 1 == 9:
            raise RuntimeError("power cut")
        return step(self, loss, norm)

    monkeypatch.setattr(Discipline, "check_step", crash)
    with pytest.raises(RuntimeError, match="power cut"):
        run(toy, out, "steps=12", "checkpoint.every=5")
    monkeypatch.undo()
    with (out / "metrics.jsonl").open("a") as file:
        file.write('{"step": 9, "lo')  # a line cut short
    run(toy, out, "steps=12", "checkpoint.every=5")
    assert "3 steps after the last checkpoint are done again" in capsys.readouterr().err
    assert exact(out) == exact(whole[0])
    assert [row["step"] for row in metrics.read(out)] == [*range(13), 12]


def test_a_damaged_checkpoint_is_passed_over_and_the_losses_are_the_same(toy, whole, tmp_path, capsys):
    out = tmp_path / "run"
    shutil.copytree(whole[0], out)
    (out / "manifest.json").unlink()
    mark = manifest.read(whole[0], "run", "train").fingerprint
    (out / "unfinished.json").write_text(json.dumps({"kind": "run", "fingerprint": mark}))
    weights = out / "checkpoints/step-000012/model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-7] + b"damaged")
    run(toy, out, "steps=12", "checkpoint.every=5")
    assert "step-000012: model.safetensors has another hash" in capsys.readouterr().err
    assert exact(out) == exact(whole[0])


def test_a_nan_is_never_hidden(toy, tmp_path, monkeypatch):
    import torch

    out = tmp_path / "run"
    step = Discipline.training_step

    def poison(self, model, inputs, *others):
        if self.state.global_step + 1 == 4:
            with torch.no_grad():
                model.model.norm.weight[0] = torch.nan
        return step(self, model, inputs, *others)

    monkeypatch.setattr(Discipline, "training_step", poison)
    with pytest.raises(NotFinite, match=r"loss is nan at step 4, samples 12 to 15") as caught:
        run(toy, out, "steps=12", "checkpoint.every=2")
    assert caught.value.exit_code == 3
    last = metrics.read(out)[-1]
    assert last["step"] == 4
    assert last["loss"] is None
    assert "loss is nan" in last["events"]
    assert max(p.name for p in (out / "checkpoints").iterdir()) == "step-000002"  # good weights, from before
    assert not (out / "model").exists()


def test_it_learns_what_can_be_learned_and_no_more(toy, tmp_path):
    """The grammar's entropy is known: log2(4 x 4 x 2) = 5 bits a sentence of 24 bytes, 0.208 bits a byte, and the ends."""
    results = run(toy, tmp_path / "run", "steps=150", "optim.lr=2e-2", "batch_tokens=256", "micro_batch=4")
    assert results["bits_before"] > 1.0
    assert 0.208 < results["bits_after"] < 0.33  # below: it sees what it predicts; above: it does not learn
    assert results["loss_last"] < 0.45 * results["loss_first"]


def test_going_on_from_weights_begins_where_they_ended(toy, whole, tmp_path):
    results = run(toy, tmp_path / "run", "steps=2", f"model.weights={whole[0]}", "optim.lr=0")
    assert results["bits_before"] == pytest.approx(whole[1]["bits_after"], rel=1e-5)
    assert results["bits_after"] == results["bits_before"]  # a rate of zero changes nothing


def test_accumulation_changes_no_result(toy, whole, tmp_path):
    run(toy, tmp_path / "run", "steps=3", "micro_batch=1")
    for step, loss in series(tmp_path / "run").items():
        if step == 1:
            assert loss == pytest.approx(series(whole[0])[step], abs=1e-5)


def test_scores_during_the_run_and_without_clipping(toy, tmp_path):
    out = tmp_path / "run"
    run(toy, out, "steps=5", "eval.every=2", "optim.grad_clip=none", "eval.sequences=3")
    rows = metrics.read(out)
    assert [row["step"] for row in rows if row.get("bits_per_byte")] == [0, 2, 4, 5]
    assert all(row["grad_norm"] > 0 for row in rows if "lr" in row)


def test_bf16_stays_near_fp32(toy, whole, tmp_path):
    results = run(toy, tmp_path / "run", "steps=12", "precision=bf16")
    assert results["loss_last"] == pytest.approx(whole[1]["loss_last"], rel=0.03)


@pytest.mark.parametrize(("able", "found"), [(True, "bf16"), (False, "fp32")])
def test_auto_takes_what_the_device_computes_in(toy, tmp_path, monkeypatch, able, found):
    monkeypatch.setattr("eval.device.computes_in_bf16", lambda device: able)
    assert run(toy, tmp_path / "run", "steps=2", "precision=auto")["precision"] == found


def test_an_emulated_precision_is_told(toy, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("eval.device.computes_in_bf16", lambda device: False)
    assert run(toy, tmp_path / "run", "steps=2", "precision=bf16")["precision"] == "bf16"
    assert "emulates bf16" in capsys.readouterr().err


def test_shards_of_another_tokenizer(toy, tmp_path):
    other = make_tokenizer(tmp_path / "other", seed=9)
    with pytest.raises(InputError, match="packed with another tokenizer"):
        run(toy, tmp_path / "run", f"tokenizer={other}")
    tokens = make_tokens(tmp_path / "tokens", other)
    run(toy, tmp_path / "a", "steps=1")
    with pytest.raises(InputError, match="packed with another tokenizer than"):
        run(toy, tmp_path / "b", f"data={tokens}", f"tokenizer={other}", f"model.weights={tmp_path / 'a'}")


def test_the_tokenizer_beside_a_model_is_taken_as_pack_takes_it(tmp_path, capsys):
    from transformers import LlamaConfig, LlamaForCausalLM

    extended = make_tokenizer(tmp_path / "tok", symbols=("<|im_end|>",))
    (extended / "report.json").write_text('{"base_pieces": 300, "total": 320}')
    config = LlamaConfig(
        vocab_size=300, hidden_size=32, num_hidden_layers=1, num_attention_heads=2, intermediate_size=32
    )
    LlamaForCausalLM(config).save_pretrained(tmp_path / "plain")
    model = tmp_path / "model"
    embed(tmp_path / "plain", extended, model, init="mean", pad_to=None)
    toy = tmp_path
    make_tokens(toy / "tokens", model)
    results = run(toy, tmp_path / "run", "steps=1", f"tokenizer={model}", f"model.weights={model}")
    assert results["started_from"] == str(model)
    assert (tmp_path / "run/model/tokenizer.model").is_file()
    made = manifest.read(tmp_path / "run", "run", "train")
    named = [entry.get("sha256") for entry in made.inputs if entry["path"] == str(model)]  # as tokenizer, as weights
    assert named == [sha256_file(model / "tokenizer.model"), None]
    assert command(["lineage", str(tmp_path / "run")]) == 0
    assert str(model) in capsys.readouterr().out


@pytest.mark.parametrize("method", ["gptq", "awq", "bitsandbytes"])
def test_quantised_weights_are_refused_in_a_line(toy, whole, tmp_path, capsys, method):
    model = tmp_path / "quantised"
    shutil.copytree(whole[0] / "model", model)
    config = json.loads((model / "config.json").read_text())
    (model / "config.json").write_text(json.dumps({**config, "quantization_config": {"quant_method": method}}))
    out = f"out={tmp_path / 'run'}"
    rows = ["stage=sft", "data=none.jsonl", f"model.weights={model}", out]
    reward = ["stage=ppo", "data=none.jsonl", f"model.weights={whole[0]}", f"reward={model}", out]
    for given in (words(toy, tmp_path / "run", f"model.weights={model}"), rows, reward):
        with pytest.raises(InputError) as caught:
            command(given)
        assert str(caught.value).count("\n") == 0
        assert caught.value.exit_code == 2
        assert f"says that the weights are quantised ({method})" in str(caught.value)
    assert not (tmp_path / "run").exists()


def test_ids_beyond_the_embedding_of_the_weights(toy, tmp_path):
    from transformers import LlamaConfig, LlamaForCausalLM

    small = LlamaConfig(vocab_size=64, hidden_size=16, num_hidden_layers=1, num_attention_heads=1, intermediate_size=16)
    LlamaForCausalLM(small).save_pretrained(tmp_path / "small")
    with pytest.raises(InputError, match="embedding has 64 rows, the shards hold ids up to 319; extend it first"):
        run(toy, tmp_path / "run", f"model.weights={tmp_path / 'small'}")


def test_weights_that_are_pickled_are_refused(toy, whole, tmp_path):
    shutil.copytree(whole[0] / "model", tmp_path / "model")
    (tmp_path / "model/model.safetensors").rename(tmp_path / "model/pytorch_model.bin")
    with pytest.raises(InputError, match=r"pytorch_model\.bin, not safetensors"):
        run(toy, tmp_path / "run", f"model.weights={tmp_path / 'model'}")


@pytest.mark.parametrize(
    ("change", "kind", "said"),
    [
        ("data=nowhere", InputError, "nowhere: no such folder; make one with: tokenizer pack"),
        ("tokenizer=nowhere", InputError, "nowhere: no such folder; make one with: tokenizer extend"),
        ("model.hidden_size=33", ConfigError, "model.hidden_size: 33 is not divisible by model.heads=2"),
        ("model.kv_heads=3", ConfigError, "model.kv_heads: 3 does not divide model.heads=2"),
        ("model.max_positions=16", ConfigError, "sequences of 32 tokens, the model has 16 positions"),
        ("batch_tokens=100", ConfigError, "batch_tokens: 100 is no multiple of 64"),
        ("batch_tokens=64000", InputError, "do not fill one batch of 64,000 tokens"),
        ("precision=fp16", ConfigError, "fp16 on a CPU is emulated"),
        ("model.weights=nowhere", InputError, "nowhere: no such folder"),
    ],
)
def test_bad_input_is_one_line(toy, tmp_path, change, kind, said):
    with pytest.raises(kind) as caught:
        run(toy, tmp_path / "run", "steps=2", change)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_folder_of_something_else_is_left_alone(toy, tmp_path):
    (tmp_path / "mine.txt").write_text("letters")
    with pytest.raises(OutputError, match="is not empty and holds no run"):
        run(toy, tmp_path)
    with pytest.raises(OutputError, match="holds a tokens, not a run"):
        run(toy, toy / "tokens")


@pytest.mark.slow
def test_killed_in_mid_run_the_same_command_goes_on_exactly(toy, tmp_path):
    """SIGKILL of a real process: nothing of it can run any more."""
    out = tmp_path / "run"
    line = [sys.executable, "-m", "train", *words(toy, out, "steps=150", "checkpoint.every=5", "eval.sequences=4")]
    uncut = tmp_path / "uncut"
    short = [word for word in line if not word.startswith(("steps=", "out="))]
    process = subprocess.Popen(line, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    until = time.monotonic() + 120
    while time.monotonic() < until:
        if (out / "metrics.jsonl").is_file() and max(series(out), default=0) >= 8:
            break
        time.sleep(0.02)
    process.kill()
    assert process.wait() == -signal.SIGKILL
    reached = max(series(out))
    assert 8 <= reached < 150
    subprocess.run(line, check=True, capture_output=True)
    subprocess.run([*short, "steps=150", f"out={uncut}"], check=True, capture_output=True)
    assert exact(out) == exact(uncut)
    assert any("resumed" in event for events in series(out, "events").values() for event in events)


KILLED_IN_A_SAVE = """
import os, signal, sys
from train import checkpoint, cli
plain, saves = checkpoint.save_rng, []
def save_rng(folder):
    saves.append(folder)
    if len(saves) == 2:  # weights and optimizer are written, the rest and the manifest are not
        os.kill(os.getpid(), signal.SIGKILL)
    return plain(folder)
checkpoint.save_rng = save_rng
cli.command(sys.argv[1:])
"""


@pytest.mark.slow
def test_killed_in_the_middle_of_a_save(toy, whole, tmp_path, capsys):
    out = tmp_path / "run"
    line = words(toy, out, "steps=12", "checkpoint.every=5")
    done = subprocess.run([sys.executable, "-c", KILLED_IN_A_SAVE, *line], capture_output=True, check=False)
    assert done.returncode == -signal.SIGKILL
    left = sorted(p.name for p in (out / "checkpoints").iterdir())
    assert len(left) == 2
    assert left[0].startswith(".step-000010-")
    assert left[1] == "step-000005"
    results = run(toy, out, "steps=12", "checkpoint.every=5")
    assert "a save that was cut off" in capsys.readouterr().err
    assert exact(out) == exact(whole[0])
    assert results["bits_after"] == whole[1]["bits_after"]


@pytest.mark.slow
@pytest.mark.parametrize("recompute", ["none", "full"])
def test_compiled_layers_change_no_result(toy, whole, tmp_path, recompute):
    from torch import nn

    compiled, original = [], nn.Module.compile

    def counted(layer):
        compiled.append(layer)
        original(layer)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(nn.Module, "compile", counted)
        run(toy, tmp_path / "run", "steps=4", "compile=true", f"recompute={recompute}")
    losses = series(tmp_path / "run")
    assert len(compiled) == 2  # the layers
    assert all(losses[n] == pytest.approx(series(whole[0])[n], abs=1e-4) for n in (1, 2))


def test_compiled_layers_are_not_divided(toy, tmp_path):
    with pytest.raises(ConfigError, match="compile: compiled layers are not divided by fsdp2"):
        run(toy, tmp_path / "run", "compile=true", "parallel=fsdp2")


def test_recomputed_activations_change_no_result(toy, whole, tmp_path, monkeypatch):
    from transformers.models.llama.modeling_llama import LlamaMLP

    calls, plain = [], LlamaMLP.forward

    def counted(self, x):
        calls.append(self.training)
        return plain(self, x)

    monkeypatch.setattr(LlamaMLP, "forward", counted)
    run(toy, tmp_path / "run", "steps=4", "recompute=full")
    losses = series(tmp_path / "run")
    assert all(losses[n] == pytest.approx(series(whole[0])[n], abs=1e-4) for n in (1, 2))
    assert sum(calls) == 4 * 2 * 2 * 2  # steps x micro-steps x layers, once more in backward


def test_rows_go_to_tensorboard_too(toy, whole, tmp_path, monkeypatch):
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    monkeypatch.setenv("TENSORBOARD_LOGGING_DIR", str(tmp_path / "board"))
    run(toy, tmp_path / "run", "steps=3", "report_to=tensorboard")
    events = EventAccumulator(str(next((tmp_path / "board").rglob("events.*")).parent))
    events.Reload()
    found = {e.step: e.value for e in events.Scalars("train/loss")}
    assert found == pytest.approx(series(tmp_path / "run"), rel=1e-5)


@pytest.mark.skipif(importlib.util.find_spec("swanlab") is not None, reason="swanlab is installed")
def test_an_integration_that_is_not_installed(toy, tmp_path):
    with pytest.raises(ConfigError, match=r"report_to: swanlab cannot be used .*; pip install it"):
        run(toy, tmp_path / "run", "steps=3", "report_to=swanlab")
