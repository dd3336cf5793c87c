"""Two gloo processes train the alignment stages as one does: losses, and what is averaged beside them."""

import pytest

from tests.train.talk import dialogues, make_base, preferences, run, words
from tests.train.test_parallel import finish, torchrun
from tests.train.test_pt import series

LINE = {"batch": "4", "micro_batch": "2", "steps": "4", "optim.lr": "3e-3", "held_out": "0.2"}


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    return make_base(tmp_path_factory.mktemp("base"))


@pytest.mark.parametrize("stage", ["dpo", *(pytest.param(name, marks=pytest.mark.slow) for name in ("sft", "rm"))])
def test_two_processes_train_as_one(base, tmp_path, stage):
    make = dialogues if stage == "sft" else preferences
    data = make(tmp_path / "d.jsonl", 30)
    more = [f"{key}={value}" for key, value in LINE.items()] + (["packing=false"] if stage == "sft" else [])
    run(stage, base, data, tmp_path / "one", *more)
    code, _, err = finish(torchrun(2, words(stage, base, data, tmp_path / "two", *more)))
    assert code == 0, err
    for key in ("loss", "tokens", *(() if stage == "sft" else ("pair_accuracy", "reward_margin"))):
        assert series(tmp_path / "two", key) == pytest.approx(series(tmp_path / "one", key), abs=1e-5), key
