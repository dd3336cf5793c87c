"""Every published cell against the figures as they were handed down, and the form of the file."""

import pytest
import yaml

from eval.published import SHIPPED, published
from workbench.errors import ConfigError

# model | MMLU C-Eval GSM8K MATH HumanEval MBPP BBH CMMLU
GIVEN = """
LLaMA2-7B | 46.8 32.5 16.7 3.3 12.8 20.8 38.2 31.8
LLaMA2-13B | 55.0 41.4 29.6 5.0 18.9 30.3 45.6 38.4
LLaMA2-34B | 62.6 - 42.2 6.2 22.6 33.0 44.1 -
ChatGLM2-6B | 47.9 51.7 32.4 6.5 - - 33.7 -
InternLM-7B | 51.0 53.4 31.2 6.3 10.4 14.0 37.0 51.8
InternLM-20B | 62.1 58.8 52.6 7.9 25.6 35.6 52.5 59.0
Baichuan2-7B | 54.7 56.3 24.6 5.6 18.3 24.2 41.6 57.1
Baichuan2-13B | 59.5 59.0 52.8 10.1 17.1 30.2 49.0 62.0
Yi-34B | 76.3 81.8 67.9 15.9 26.2 38.2 66.4 82.6
XVERSE-65B | 70.8 68.6 60.3 - 26.3 - - -
Qwen-1.8B | 45.3 56.1 32.3 2.3 15.2 14.2 22.3 52.1
Qwen-7B | 58.2 63.5 51.7 11.6 29.9 31.6 45.0 62.2
Qwen-14B | 66.3 72.1 61.3 24.8 32.3 40.8 53.4 71.0
Qwen-72B | 77.4 83.3 78.9 35.2 35.4 52.2 67.7 83.6
DeepSeek LLM 67B Chat | 71.1 65.2 84.1 - 73.8 - 71.7 67.8
TigerBot | 68.03 67.75 84.91 - - - - -
Yuan-2.0 (102B) | - - 76.6 - 67.1 - - -
DeepSeek LLM 67B Base | 71.3 66.1 63.4 - 42.7 57.4 68.7 70.8
"""
COLUMNS = ("mmlu", "ceval", "gsm8k", "math", "humaneval", "mbpp", "bbh", "cmmlu")


@pytest.fixture(scope="module")
def shipped():
    return published()


def test_all_cells_as_given(shipped):
    assert tuple(b.id for b in shipped.benchmarks) == COLUMNS
    lines = [line.split(" | ") for line in GIVEN.strip().splitlines()]
    assert [row.model for row in shipped.rows] == [model for model, _ in lines]
    for row, (model, cells) in zip(shipped.rows, lines, strict=True):
        given = {b: None if cell == "-" else float(cell) for b, cell in zip(COLUMNS, cells.split(), strict=True)}
        assert {b: row.figures[b].value if b in row.figures else None for b in COLUMNS} == given, model


def test_each_figure_has_kind_shots_protocol_and_source(shipped):
    assert [(b.name, b.shots) for b in shipped.benchmarks] == [
        ("MMLU", 5),
        ("C-Eval", 5),
        ("GSM8K", 8),
        ("MATH", 4),
        ("HumanEval", 0),
        ("MBPP", 3),
        ("BBH", 3),
        ("CMMLU", 5),
    ]
    header = {b.id: b.shots for b in shipped.benchmarks}
    for row in [*shipped.rows[:14], shipped.rows[17]]:
        assert row.kinds == ("base",)
        assert {b: figure.shots for b, figure in row.figures.items()} == {b: header[b] for b in row.figures}
    chat, tiger, yuan = shipped.rows[14:17]
    assert {b: figure.shots for b, figure in chat.figures.items()} == {
        "mmlu": 0,
        "ceval": 0,
        "gsm8k": 0,
        "cmmlu": 0,
        "humaneval": None,
        "bbh": None,
    }
    assert {figure.shots for row in (tiger, yuan) for figure in row.figures.values()} == {None}
    assert {figure.kind for row in (chat, tiger, yuan) for figure in row.figures.values()} == {"chat"}
    for row in shipped.rows:
        for figure in row.figures.values():
            assert figure.source in shipped.sources
            assert figure.protocol in shipped.protocols
    assert [row.sources for row in shipped.rows[:14]] == [("qwen",)] * 14


def test_the_eighteenth_row_is_marked_as_added(shipped):
    assert [row.origin for row in shipped.rows] == ["published"] * 17 + ["added"]


def test_a_wrong_file_is_one_line(tmp_path):
    def broken(change):
        raw = yaml.safe_load(SHIPPED.read_text(encoding="utf-8"))
        change(raw)
        path = tmp_path / "p.yaml"
        path.write_text(yaml.safe_dump(raw, allow_unicode=True), encoding="utf-8")
        with pytest.raises(ConfigError) as caught:
            published(path)
        assert "\n" not in str(caught.value)
        return str(caught.value)

    assert "rows[3] (ChatGLM2-6B).figures.mmul: no such key; did you mean mmlu?" in broken(
        lambda raw: raw["rows"][3]["figures"].update(mmul=1)
    )
    assert "rows[0] (LLaMA2-7B).kind: 'bass' is not known; did you mean base?" in broken(
        lambda raw: raw["rows"][0].update(kind="bass")
    )
    assert "rows[0] (LLaMA2-7B).figures.mmlu: 468 is out of range" in broken(
        lambda raw: raw["rows"][0]["figures"].update(mmlu=468)
    )
    assert "rows[1] (LLaMA2-7B).model: 'LLaMA2-7B' is there twice" in broken(
        lambda raw: raw["rows"][1].update(model="LLaMA2-7B")
    )
    assert "source: 'kwen' is not known; did you mean qwen?" in broken(lambda raw: raw["rows"][0].update(source="kwen"))
    assert "benchmarks: is missing" in broken(lambda raw: raw.pop("benchmarks"))
    assert "benchmarks[0] (mmlu).shots: is missing" in broken(lambda raw: raw["benchmarks"][0].pop("shots"))
