"""The experiments of ``make bench-vocab`` and ``make bench-embed``, as small as they go: that they still run to the end."""

import pytest

from tests.bench import embed, vocab

TINY = ["--hidden", "16", "--layers", "1", "--seq-len", "64", "--batch", "1", "--seeds", "1", "--text-mb", "0.25"]


@pytest.mark.slow
def test_vocab(capsys):
    vocab.main([*TINY, "--base", "mistral"])
    said = capsys.readouterr().out
    for budget in ("equal text", "equal FLOPs"):
        assert budget in said
    for name in ("base", "zh7k", "zh7k-plus"):
        assert said.count(f"\n {name} ") == 3  # the sizes, and two tables of bits


@pytest.mark.slow
def test_embed(capsys):
    embed.main([*TINY, "--base", "mistral", "--base-mb", "0.25", "--stops", "0,2", "--inits", "mean,zero"])
    said = capsys.readouterr().out
    assert "mean" in said
    assert "zero" in said
