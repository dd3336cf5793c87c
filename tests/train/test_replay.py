import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.train.test_pt import exact, run
from tests.train.toy import make_tokenizer, make_tokens, open_train
from tokenizer.joined import Joined
from train.data import MixedOrder, Order
from train.trainer import Discipline
from workbench.errors import InputError
from workbench.lineage import chain


@given(st.integers(1, 60), st.integers(1, 40), st.floats(0, 0.9), st.integers(1, 300))
def test_the_share_is_exact_and_each_side_keeps_its_order(main, replayed, share, count):
    taken = [MixedOrder(main, replayed, share, 3)[k] for k in range(count)]
    again = [i - main for i in taken if i >= main]
    own = [i for i in taken if i < main]
    assert len(again) == int(count * share)
    assert own == [Order(main, 3)[k] for k in range(len(own))]
    assert again == [Order(replayed, 4)[k] for k in range(len(again))]


@pytest.fixture(scope="module")
def general(toy, tmp_path_factory):
    return make_tokens(tmp_path_factory.mktemp("general") / "tokens", toy / "tok", train=40, seed=77)


def test_two_splits_as_one(toy, general):
    main, other = open_train(toy / "tokens"), open_train(general)
    mixed = Joined(main, other)
    assert len(mixed) == len(main) + len(other)
    for i, shards, at in ((3, main, 3), (len(main), other, 0), (len(mixed) - 1, other, len(other) - 1)):
        assert np.array_equal(mixed.ids(i), shards.ids(at))
        assert np.array_equal(mixed.starts(i), shards.starts(at))
        assert np.array_equal(mixed.position_ids(i), shards.position_ids(at))
        assert mixed.valid(i) == shards.valid(at)
        assert mixed.documents(i) == shards.documents(at)


def test_a_run_with_replay_resumes_exactly(toy, general, tmp_path, monkeypatch):
    line = ("steps=8", "checkpoint.every=3", f"replay.data={general}", "replay.share=0.25")
    results = run(toy, tmp_path / "whole", *line)
    assert results["replay_share"] == 0.25
    assert [e["kind"] for e in chain(tmp_path / "whole")].count("tokens") == 2
    step = Discipline.check_step

    def crash(self, loss, norm):
        if self.state.global_step + 1 == 6:
            raise RuntimeError("power cut")
        return step(self, loss, norm)

    monkeypatch.setattr(Discipline, "check_step", crash)
    with pytest.raises(RuntimeError):
        run(toy, tmp_path / "cut", *line)
    monkeypatch.undo()
    run(toy, tmp_path / "cut", *line)
    assert exact(tmp_path / "cut") == exact(tmp_path / "whole")
    plain = run(toy, tmp_path / "plain", "steps=8")
    assert exact(tmp_path / "plain") != exact(tmp_path / "whole")
    assert plain["replay_share"] == 0


def test_what_was_packed_otherwise_is_refused(toy, tmp_path):
    short = make_tokens(tmp_path / "short", toy / "tok", seq_len=16, train=10)
    with pytest.raises(InputError, match="sequences of 16, not 32"):
        run(toy, tmp_path / "run", "steps=1", f"replay.data={short}")
    other = make_tokens(tmp_path / "other", make_tokenizer(tmp_path / "tok", seed=9), train=10)
    with pytest.raises(InputError, match="another tokenizer"):
        run(toy, tmp_path / "run", "steps=1", f"replay.data={other}")
