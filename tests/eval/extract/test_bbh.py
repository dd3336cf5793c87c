"""BBH's answers, of every official exemplar and of texts cut short."""

import subprocess

import pytest

from eval.extract.bbh import answer


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (" Let's think step by step.\n… So the answer is (B).\n\nQ: Which? So the answer is (C).", "(B)"),
        ("So the answer is False.", "False"),
        ("So the answer is No", "No"),
        ("So the answer is ] } ].", "] } ]"),
        ("so The Answer is: valid.", "valid"),
        ("Q: again", None),
        ("I do not know", None),
        ("So the answer is", None),
    ],
)
def test_answers(text, expected):
    assert answer(text) == expected


def test_every_official_exemplar_ends_in_an_answer(shared, tmp_path):
    subprocess.run(["tar", "-xJf", shared / "benchmarks/bbh.tar.xz", "-C", tmp_path], check=True)
    files = sorted(tmp_path.glob("bbh/cot-prompts/*.txt"))
    assert len(files) == 27
    for file in files:
        exemplars = file.read_text(encoding="utf-8").split("\nQ:")[1:]
        found = [answer(exemplar) for exemplar in exemplars]
        assert len(found) == 3
        assert all(found), file.name
        assert not any(one.endswith(".") for one in found)
