"""What is too long loses whole exchanges, oldest first; an answer is never cut."""

from __future__ import annotations

import pytest

from corpus.instructions.rows import Conversation, Faulty, Preference, Prompt, Rated, Turn
from tokenizer.chat.encode import PRESETS, encode, encode_prompt, load
from tokenizer.chat.views import lengths_of, pieces_of, views_of
from tokenizer.chat.window import fit, fit_prompt, shorter

SYSTEM = Turn("system", "简短。")
TURNS = (
    SYSTEM,
    *(
        turn
        for n in range(5)
        for turn in (Turn("user", f"第{n}问：研墨几何？"), Turn("assistant", f"第{n}答：三百转。"))
    ),
)
ZIYA = PRESETS["ziya"]


@pytest.fixture(scope="module")
def chat(extended):
    return load(extended)


def test_an_exchange_is_a_question_and_all_that_follows_it():
    turns = (SYSTEM, Turn("user", "查"), Turn("call", "{}"), Turn("tool", "晴"), Turn("assistant", "晴"), *TURNS[1:3])
    assert shorter(turns) == (SYSTEM, *TURNS[1:3])
    assert shorter(TURNS[1:3]) is None
    assert shorter((SYSTEM, *TURNS[1:3])) is None


def test_the_oldest_exchanges_go_until_it_fits(chat):
    whole = Conversation("f:1", TURNS)
    sizes = [len(encode(chat, Conversation("", (SYSTEM, *TURNS[1 + 2 * n :])), ZIYA).ids) for n in range(5)]
    for dropped, size in enumerate(sizes):
        (one,) = fit(chat, [whole], ZIYA, size)
        assert one.dropped == dropped
        assert one.conversation.turns == (SYSTEM, *TURNS[1 + 2 * dropped :])
        assert len(one.encoded.ids) == size
    (one,) = fit(chat, [whole], ZIYA, sizes[-1] - 1)
    assert one == Faulty(
        "f:1", f"its last exchange alone has {sizes[-1]} tokens, {sizes[0]} in all; the window is {sizes[-1] - 1}"
    )
    (one,) = fit(chat, [Conversation("f:2", TURNS[1:3])], ZIYA, 3)
    assert one.cause.startswith("it has ")


def test_a_prompt_is_shortened_by_the_same_rule(chat):
    prompt = TURNS[:-1]
    ids, dropped = fit_prompt(chat, prompt, ZIYA, len(encode_prompt(chat, prompt, ZIYA)))
    assert dropped == 0
    last = encode_prompt(chat, (SYSTEM, TURNS[-2]), ZIYA)
    ids, dropped = fit_prompt(chat, prompt, ZIYA, len(last))
    assert (ids.tolist(), dropped) == (last.tolist(), 4)
    assert fit_prompt(chat, prompt, ZIYA, len(last) - 1) is None


def said(row, chat):
    return [(view.name, [text for text, bears in pieces_of(view, ZIYA, chat) if bears]) for view in views_of(row)]


def test_what_bears_loss_in_each_kind_of_row(chat):
    prompt = TURNS[:4]
    for tokenizer in (chat, None):
        assert said(Conversation("", TURNS[:5]), tokenizer) == [("", ["第0答：三百转。</s>", "第1答：三百转。</s>"])]
        assert said(Preference("", prompt, "好", "坏"), tokenizer) == [("chosen", ["好</s>"]), ("rejected", ["坏</s>"])]
        assert said(Rated("", prompt, "好", True), tokenizer) == [("good", ["好</s>"])]
        assert said(Prompt("", prompt), tokenizer) == [("prompt", [])]


def test_lengths_are_those_of_the_ids(chat):
    rows = (Conversation("", TURNS), Prompt("", TURNS[:-1]), Preference("", TURNS[:2], "好", "坏坏坏"))
    views = [view for row in rows for view in views_of(row)]
    expected = [
        len(encode(chat, rows[0], ZIYA).ids),
        len(encode_prompt(chat, rows[1].turns, ZIYA)),
        *(
            len(encode(chat, Conversation("", (*TURNS[:2], Turn("assistant", text))), ZIYA).ids)
            for text in ("好", "坏坏坏")
        ),
    ]
    assert lengths_of(views, ZIYA, chat).tolist() == expected
    assert lengths_of([views[1]], ZIYA, None).tolist() == [
        sum(len(text) for text, _ in pieces_of(views[1], ZIYA, None))
    ]
