"""The experiments of ``make bench-vocab`` and ``make bench-embed``, as small as they go: that they still run to the end."""

import pytest

from tests.bench import embed, vocab

TINY = ["--hidden", "16", "--layers", "1", "--seq-len", "64", "--batch", "1", "--seeds", "1", "--text-mb", "0.3"]
pytestmark = pytest.mark.slow


def test_vocab(capsys):
    vocab.main([*TINY, "--base", "mistral"])
    said = capsys.readouterr().out
    for budget in ("equal text", "equal FLOPs"):
        assert budget in said
    for name in ("base", "zh7k", "zh7k-plus"):
        assert said.count(f"\n {name} ") == 3  # the sizes, and two tables of bits


def test_embed(capsys):
    embed.main([*TINY, "--base", "mistral", "--base-mb", "0.1", "--stops", "0,2", "--inits", "mean,zero"])
    said = capsys.readouterr().out
    assert said.count("\n mean ") == said.count("\n zero ") == 2  # a table a stop


def test_a_text_too_small_to_hold_some_of_each_kind_out_is_told():
    with pytest.raises(SystemExit, match=r"no document of .* is held out: give a larger --text-mb"):
        vocab.main([*TINY, "--base", "mistral", "--text-mb", "0.02"])
