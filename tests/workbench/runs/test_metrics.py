import json

import pytest

from workbench.errors import InputError
from workbench.runs import metrics
from workbench.runs.curves import draw


def test_what_is_not_finite_is_null_and_told(tmp_path):
    book = metrics.Metrics(tmp_path)
    book.write({"step": 1, "loss": float("nan"), "grad_norm": float("inf"), "events": ["a"]})
    book.close()
    line = (tmp_path / "metrics.jsonl").read_text()
    row = json.loads(line, parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))
    assert row == {"step": 1, "loss": None, "grad_norm": None, "events": ["a", "loss is nan", "grad_norm is inf"]}


def test_a_last_line_cut_short_is_left_out_and_one_in_the_middle_is_told(tmp_path):
    (tmp_path / "metrics.jsonl").write_text('{"step": 1}\n{"st')
    assert metrics.read(tmp_path) == [{"step": 1}]
    (tmp_path / "metrics.jsonl").write_text('{"st\n{"step": 1}\n')
    with pytest.raises(InputError, match=r"metrics.jsonl:1: is not JSON"):
        metrics.read(tmp_path)


def test_a_text_with_a_line_separator_of_unicode_stays_one_row(tmp_path):
    rows = [{"step": n, "answer": "一\u2028二\x85三"} for n in range(3)]
    text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    (tmp_path / "samples.jsonl").write_text(text, encoding="utf-8")
    assert metrics.trim(tmp_path, 1, "samples.jsonl") == 1
    assert metrics.read(tmp_path, "samples.jsonl") == rows[:2]


def test_trim_takes_away_what_comes_after_a_step(tmp_path):
    assert metrics.trim(tmp_path, 3) == 0
    (tmp_path / "metrics.jsonl").write_text("".join(f'{{"step": {n}, "events": ["中"]}}\n' for n in range(6)))
    assert metrics.trim(tmp_path, 3) == 2
    assert [row["step"] for row in metrics.read(tmp_path)] == [0, 1, 2, 3]
    assert "中" in (tmp_path / "metrics.jsonl").read_text(encoding="utf-8")


def test_curves_come_from_the_metrics_alone(tmp_path):
    with pytest.raises(InputError, match="name the folder of a run"):
        draw(tmp_path)
    book = metrics.Metrics(tmp_path)
    book.write({"step": 0, "tokens": 0, "bits_per_byte": 2.0})
    book.close()
    with pytest.raises(InputError, match="holds no step"):
        draw(tmp_path)
    book = metrics.Metrics(tmp_path)
    for n in range(1, 5):
        book.write(
            {"step": n, "tokens": n, "loss": 5 / n, "grad_norm": None, "lr": 1e-3, "tflops": 0.1, "events": ["x"]}
        )
    book.close()
    assert draw(tmp_path).read_bytes()[:4] == b"\x89PNG"
