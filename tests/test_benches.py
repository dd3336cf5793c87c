"""The experiments of ``make bench-vocab`` and ``make bench-embed``, as small as they go: that they still run to the end."""

import pytest

from tests.bench import embed, vocab
from tests.bench.texts import FILES, texts_of

TINY = ["--hidden", "16", "--layers", "1", "--seq-len", "64", "--batch", "1", "--seeds", "1", "--text-mb", "0.1"]
pytestmark = pytest.mark.slow


@pytest.fixture(autouse=True)
def short_documents(tmp_path, monkeypatch):
    """What pip brings, in documents of 20 lines, so that a little of it has some of each kind held out."""
    for name, texts in texts_of(tmp_path).items():
        (tmp_path / FILES[name]).write_text("\n".join(texts.head(2000)), encoding="utf-8")
    monkeypatch.setenv("YANMO_BENCH_TEXTS", str(tmp_path))


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
