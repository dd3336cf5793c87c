import json
import subprocess
import sys
from pathlib import Path

import pytest

from train.cli import command
from train.pipeline import resolve_pipeline
from train.settings import RECIPES, resolve
from workbench.errors import ConfigError, InputError, UserError
from workbench.shipped import names_in

NEEDED = ["data=a", "tokenizer=b"]


def value(*words):
    return resolve(["stage=pt", *NEEDED, *words])[1]


def test_precedence_class_file_command_line(tmp_path):
    file = tmp_path / "我的.yaml"
    file.write_text("steps: 7\noptim: {lr: 3e-4, schedule: wsd}\n", encoding="utf-8")
    loaded = value(f"config={file}", "optim.lr=5e-4")
    assert (loaded.value.steps, loaded.value.optim.lr, loaded.value.optim.schedule) == (7, 5e-4, "wsd")
    assert loaded.value.optim.beta2 == 0.95
    assert loaded.origins["steps"] == "我的.yaml"
    assert loaded.origins["optim.lr"] == "command line"
    assert loaded.origins["optim.beta2"] == "default"


def test_chinese_paths_commas_and_equals_signs_need_no_quotes():
    loaded = resolve(["stage=pt", "data=数据/一,二=三", "tokenizer=词 表"])[1]
    assert loaded.value.data == Path("数据/一,二=三")
    assert loaded.value.tokenizer == Path("词 表")


def test_none_is_off_and_zero_is_a_value():
    loaded = value("optim.grad_clip=none", "optim.warmup=0", "micro_batch=none")
    assert loaded.value.optim.grad_clip is None
    assert loaded.value.optim.warmup == 0
    assert loaded.value.micro_batch is None


@pytest.mark.parametrize(
    ("words", "parts"),
    [
        (["optm.lr=1"], ["optm.lr", "did you mean optim.lr"]),
        (["confg=tiny-cpu"], ["confg", "did you mean config"]),
        (["steps=many"], ["steps", "'many'", "whole number"]),
        (["steps=0"], ["steps", "at least 1"]),
        (["precision=bf61"], ["precision", "did you mean bf16"]),
        (["optim.schedule=cosin"], ["did you mean cosine"]),
        (["config=tiny-gpu"], ["tiny-gpu", "did you mean tiny-cpu"]),
        (["steps=1", "steps=2"], ["steps", "twice"]),
        (["steps"], ["steps", "key=value"]),
    ],
)
def test_a_mistake_is_one_line_that_names_it(words, parts):
    with pytest.raises(ConfigError) as caught:
        value(*words)
    line = str(caught.value)
    assert "\n" not in line
    for part in parts:
        assert part in line


def test_missing_data_says_what_it_is():
    with pytest.raises(ConfigError, match=r"data.*tokenizer pack"):
        resolve(["stage=pt", "tokenizer=b"])


def test_unknown_stage_and_missing_stage():
    with pytest.raises(ConfigError, match=r"stage=ptt.*did you mean pt"):
        resolve(["stage=ptt"])
    with pytest.raises(ConfigError, match=r"stage.*is not set"):
        resolve(["steps=3"])


def test_a_recipe_names_its_stage(tmp_path):
    assert resolve(["config=tiny-cpu", *NEEDED])[0].name == "pt"
    other = tmp_path / "x.yaml"
    other.write_text("stage: sft\n")
    with pytest.raises(ConfigError, match="stage=sft"):
        resolve(["stage=pt", f"config={other}", *NEEDED])


def test_config_that_is_not_there():
    with pytest.raises(InputError, match="nowhere"):
        value("config=nowhere/x.yaml")
    with pytest.raises(InputError, match=r"^tiny-cpu\.yaml"):
        value("config=./tiny-cpu.yaml")


@pytest.mark.parametrize("name", names_in(RECIPES))
def test_every_shipped_recipe_loads(name):
    if name.startswith("pipeline"):
        assert len(resolve_pipeline([f"config={name}"]).steps) > 1
    else:
        resolve([f"config={name}", *NEEDED])


def test_settings_are_frozen():
    with pytest.raises(AttributeError):
        value().value.optim.lr = 1.0


def test_print_shows_values_and_origins(capsys):
    assert command(["stage=pt", "config=tiny-cpu", *NEEDED, "--print"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert any("optim.lr" in line and "0.001" in line and "tiny-cpu.yaml" in line for line in lines)
    assert any("seed" in line and "default" in line for line in lines)
    assert any("data" in line and "command line" in line for line in lines)


def test_flags_may_stand_anywhere(capsys):
    assert command(["--print", "stage=pt", *NEEDED, "--json", "steps=3"]) == 0
    assert '"steps": 3' in capsys.readouterr().out


def test_stages_lists_what_works(capsys):
    assert command(["stages"]) == 0
    out = capsys.readouterr().out
    assert "pt" in out
    assert "tiny-cpu" in out
    assert command(["stages", "--json"]) == 0
    stages = json.loads(capsys.readouterr().out)["stages"]
    assert {name: stage["chinese"] for name, stage in stages.items()}.items() >= {
        "sft": "指令微调",
        "rm": "奖励模型",
        "dpo": "直接偏好优化",
    }.items()
    assert all(stage["reads"] and stage["writes"] for stage in stages.values())
    with pytest.raises(UserError, match="did you mean stages"):
        command(["stage"])


@pytest.mark.parametrize(
    "module", ["train.cli", "eval.cli", "train.settings", "train.pt", "train.sft", "train.rm", "train.dpo"]
)
def test_importing_a_command_imports_no_torch(module):
    code = f"import sys, {module}; sys.exit(any(m in sys.modules for m in ('torch', 'transformers', 'matplotlib')))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize("module", ["train", "eval"])
def test_help_explains(module):
    done = subprocess.run([sys.executable, "-m", module, "--help"], capture_output=True, text=True, check=True)
    assert "examples:" in done.stdout
    assert ("key=value" if module == "train" else "bits") in done.stdout


def test_a_plan_is_of_pre_training():
    with pytest.raises(ConfigError, match="--plan: counts stage=pt, not sft"):
        command(["config=sft-tiny", *NEEDED, "--plan"])


def test_a_hard_pair_is_no_spike():
    weights = "model.weights=c"
    assert resolve(["stage=sft", *NEEDED, weights])[1].value.spikes.action == "skip"
    for stage in ("rm", "dpo"):
        assert resolve([f"stage={stage}", *NEEDED, weights])[1].value.spikes.action is None
