"""``evaluate chat``: the template, the history, whole characters, the end of the input."""

import io
import sys

import pytest
import torch

from eval.chat import Manner, Shown, chat
from eval.cli import command
from tests.train.tiny_chat import make_model
from workbench.errors import ConfigError

TEMPLATE = "{% for m in messages %}{{ m.content }}{{ '天' if m.role == 'user' else '地' }}{% endfor %}"
GREEDY = Manner(max_new=6, temperature=0)


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    folder = make_model(tmp_path_factory.mktemp("chat") / "模型", initializer_range=0.3)
    (folder / "chat_template.jinja").write_text(TEMPLATE, encoding="utf-8")
    return folder


def talk(model, *lines, manner=GREEDY):
    out = []
    chat(model, lines, out.append, manner)
    return "".join(out).split("\n")[:-1]


def greedy(model, text, count=6):
    """What the model says to a text, token by token without a cache."""
    from transformers import AutoModelForCausalLM, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(model)
    network, ids = AutoModelForCausalLM.from_pretrained(model), tokenizer(text, add_special_tokens=False)["input_ids"]
    start = len(ids)
    with torch.no_grad():
        while len(ids) - start < count and (len(ids) == start or ids[-1] != tokenizer.eos_token_id):
            ids.append(int(network(torch.tensor([ids])).logits[0, -1].argmax()))
    return tokenizer.decode(ids[start:], skip_special_tokens=True)


def test_it_answers_in_the_template_and_remembers(model):
    first = greedy(model, "日？天")
    second = greedy(model, f"日？天{first}地月？天")
    assert talk(model, "日？\n", "\n", "月？") == [first, second]
    assert talk(model, "日？", "/new", "月？") == [first, greedy(model, "月？天")]
    assert second != greedy(model, "月？天")


def test_history_that_does_not_fit_is_forgotten_and_told(model, capsys):
    long = Manner(max_new=50, temperature=0)  # of 64 positions: 14 for the prompt
    talk(model, "日？", "月？", "一" * 40, manner=long)
    said = capsys.readouterr().err
    assert "1 of the oldest exchanges are forgotten" in said
    assert "not asked: " in said


def test_a_seed_gives_one_answer(model):
    one, two, three = (talk(model, "日？", manner=Manner(max_new=6, temperature=1, seed=s)) for s in (1, 1, 2))
    assert one == two != three


def test_half_a_character_is_not_shown():
    class Bytes:
        def decode(self, ids, skip_special_tokens):
            return bytes(ids).decode("utf-8", errors="replace")

    out = []
    shown = Shown(Bytes(), out.append)
    shown.put(torch.tensor([[1, 2, 3]]))
    for byte in "天A".encode():
        shown.put(torch.tensor([byte]))
    shown.end()
    assert [piece for piece in out if piece] == ["天", "A"]


def test_from_a_pipe_to_the_end_of_the_input(model, monkeypatch, capsys):
    monkeypatch.setattr(sys, "stdin", io.StringIO("日？\n"))
    assert command(["chat", "--model", str(model), "--max-new", "6", "--temperature", "0"]) == 0
    assert capsys.readouterr().out == greedy(model, "日？天") + "\n"


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (("--max-new", "64"), "has 64 positions"),
        (("--max-new", "0"), "below 1"),
        (("--temperature", "-1"), "not from 0"),
        (("--template", "zyia"), "did you mean ziya"),
    ],
)
def test_bad_input_is_one_line(model, more, said):
    with pytest.raises(ConfigError, match=said):
        command(["chat", "--model", str(model), *more])
