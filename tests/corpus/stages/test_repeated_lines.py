from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

import polars as pl
from hypothesis import given
from hypothesis import strategies as st

from corpus.meeting import meet
from corpus.stages.repeated_lines import LineKeys, RepeatedLines

from ..made import prose

FOOTER = "本站所有内容均由网友上传，如有侵权请联系我们删除。"


class InMemory:
    """Survivors of two shards."""

    def __init__(self, batch: pl.DataFrame) -> None:
        half = len(batch) // 2
        self.shards = [batch[:half], batch[half:]]

    def each(self, names: Sequence[str], *, only: pl.Series | None = None, said: str = "") -> Iterator[pl.DataFrame]:
        for shard in self.shards:
            yield shard.select("doc", *names)

    def meet(self, key: str, names: Sequence[str]) -> Iterator[pl.DataFrame]:
        return meet(self, key, names)


def cut(texts: list[str], tmp_path: Path, *, min_documents: int = 3, min_chars: int = 15) -> pl.DataFrame:
    batch = pl.DataFrame({"doc": range(len(texts)), "text": texts}, schema={"doc": pl.UInt64, "text": pl.String})
    keyed = LineKeys(min_chars=min_chars).mark(batch, tmp_path)
    step = RepeatedLines(min_documents=min_documents)
    step.prepare(InMemory(keyed), tmp_path)  # type: ignore[arg-type]
    return step.mark(keyed, tmp_path)


def test_a_footer_of_many_documents_goes_from_all_but_the_first(tmp_path: Path) -> None:
    rng = random.Random(5)
    bodies = [prose(rng, 3) for _ in range(6)]
    out = cut([f"{body}\n\n{FOOTER}" for body in bodies], tmp_path)
    assert out["text"].to_list() == [f"{bodies[0]}\n\n{FOOTER}", *bodies[1:]]
    assert out["repeated_line_chars"].to_list() == [0, *[len(FOOTER) + 2] * 5]
    assert out["chars_left"].to_list() == out["text"].str.len_chars().to_list()


def test_what_two_documents_quote_and_what_is_short_stays(tmp_path: Path) -> None:
    quoted = "海内存知己，天涯若比邻。无为在歧路，儿女共沾巾。"
    texts = [
        f"第{n}篇。\n{quoted if n < 2 else '别的话，写得长一些，不和谁一样' + str(n)}\n谢谢大家。" for n in range(6)
    ]
    assert cut(texts, tmp_path)["text"].to_list() == texts


def test_a_line_that_one_document_repeats_is_one_document(tmp_path: Path) -> None:
    texts = ["\n".join([FOOTER] * 9), "别的文字，很长很长的一行，没有重复。"]
    assert cut(texts, tmp_path)["text"].to_list() == texts


LINE = st.sampled_from(["甲甲", "乙乙乙", "丙", "丁丁丁丁", "", " x"])


@given(st.lists(st.lists(LINE, max_size=6).map("\n".join), min_size=2, max_size=8), st.integers(2, 4))
def test_equal_to_a_slow_reference(tmp_path_factory: object, texts: list[str], least: int) -> None:
    documents = [[line for line in text.split("\n") if len(line) >= 2] for text in texts]
    counts = Counter(line for lines in documents for line in set(lines))
    first = {line: next(n for n, lines in enumerate(documents) if line in lines) for line in counts}
    wanted = []
    for n, text in enumerate(texts):
        gone = {line for line in documents[n] if counts[line] >= least and first[line] != n}
        wanted.append([line for line in text.split("\n") if line and line not in gone])
    folder: Path = tmp_path_factory.mktemp("lines")  # type: ignore[attr-defined]
    out = cut(texts, folder, min_documents=least, min_chars=2)
    for text, lines in zip(out["text"].to_list(), wanted, strict=True):
        assert [line for line in text.split("\n") if line] == lines
