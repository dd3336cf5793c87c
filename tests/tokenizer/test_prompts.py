"""Prompts: read in any form, put in the template, shortened by whole exchanges, and what is left out is told."""

import json

import pytest

from tests.train.tiny_chat import make_tokenizer
from tokenizer.prompts import read_prompts
from workbench.errors import ConfigError, InputError

TEMPLATE = "{% for m in messages %}{{ m.content }}{{ '木火' if m.role == 'user' else '山' }}{% endfor %}"
DIALOGUE = [
    {"role": "user", "content": "天？"},
    {"role": "assistant", "content": "地"},
    {"role": "user", "content": "人？"},
]


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory):
    folder = make_tokenizer(tmp_path_factory.mktemp("tok"))
    (folder / "chat_template.jinja").write_text(TEMPLATE, encoding="utf-8")
    return folder


def ask(path, records, tokenizer, window=20, **more):
    lines = [r if isinstance(r, str) else json.dumps(r, ensure_ascii=False) for r in records]
    path.write_text("\n".join(lines), encoding="utf-8")
    return read_prompts([str(path)], tokenizer, template=more.get("template", "own"), window=window)


def test_any_form_without_its_answer(tmp_path, tokenizer):
    records = [
        {"prompt": "天地人？"},
        {"messages": [*DIALOGUE, {"role": "assistant", "content": "山"}]},
        {"prompt": "日？", "chosen": "月", "rejected": "水"},
    ]
    found = ask(tmp_path / "p.jsonl", records, tokenizer)
    assert [one.text for one in found.asked] == ["天地人？木火", "天？木火地山人？木火", "日？木火"]
    assert [len(one.ids) for one in found.asked] == [6, 10, 4]
    assert (found.end, found.left_out, found.shortened) == ("</s>", [], 0)


def test_the_window_takes_whole_exchanges(tmp_path, tokenizer):
    found = ask(tmp_path / "p.jsonl", [{"prompt": DIALOGUE}, {"prompt": "一二三四五六七八？"}], tokenizer, window=5)
    assert [one.text for one in found.asked] == ["人？木火"]
    assert found.shortened == 1
    assert "has 11 tokens" in found.left_out[0].cause


def test_faults_are_told(tmp_path, tokenizer):
    found = ask(tmp_path / "p.jsonl", [{"prompt": "天？"}, "{", {"prompt": " "}, {"x": 1}], tokenizer)
    assert [one.place for one in found.left_out] == ["p.jsonl:2", "p.jsonl:3", "p.jsonl:4"]
    with pytest.raises(InputError, match="no row is left of 1"):
        ask(tmp_path / "p.jsonl", [{"prompt": " "}], tokenizer)
    with pytest.raises(InputError, match="no prompt is left"):
        ask(tmp_path / "p.jsonl", [{"prompt": "天？"}], tokenizer, window=2)
    with pytest.raises(InputError, match=r"has no <\|im_end\|>, which ends an answer"):
        ask(tmp_path / "p.jsonl", [{"prompt": "天？"}], tokenizer, template="chatml")
    (tokenizer / "chat_template.jinja").unlink()
    with pytest.raises(ConfigError, match="no chat template of its own"):
        ask(tmp_path / "p.jsonl", [{"prompt": "天？"}], make_tokenizer_without(tmp_path / "bare", tokenizer))


def make_tokenizer_without(folder, tokenizer):
    folder.mkdir()
    for name in ("tokenizer.json", "tokenizer_config.json"):
        (folder / name).write_bytes((tokenizer / name).read_bytes())
    return folder
