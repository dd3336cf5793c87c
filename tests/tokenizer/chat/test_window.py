"""What is too long loses whole exchanges, oldest first; an answer is never cut."""

from __future__ import annotations

import pytest

from corpus.instructions.rows import Conversation, Faulty, Preference, Prompt, Rated, Turn
from tokenizer.chat.encode import PRESETS, encode, encode_answered, encode_prompt, load
from tokenizer.chat.views import pieces_of, shown, views_of
from tokenizer.chat.window import fit, shorter

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


def size(chat, turns):
    return len(encode(chat, Conversation("", turns), ZIYA).ids)


def test_an_exchange_is_a_question_and_all_that_follows_it():
    turns = (SYSTEM, Turn("user", "查"), Turn("call", "{}"), Turn("tool", "晴"), Turn("assistant", "晴"), *TURNS[1:3])
    assert [row.turns for row in shorter(Conversation("", turns))] == [(SYSTEM, *TURNS[1:3])]
    assert shorter(Conversation("", TURNS[1:3])) == shorter(Conversation("", (SYSTEM, *TURNS[1:3]))) == []
    assert [len(row.turns) for row in shorter(Conversation("", TURNS))] == [9, 7, 5, 3]
    assert [row.prompt for row in shorter(Rated("", TURNS[:4], "好", True))] == [(SYSTEM, TURNS[3])]


def test_the_oldest_exchanges_go_until_it_fits(chat):
    whole = Conversation("f:1", TURNS)
    sizes = [size(chat, (SYSTEM, *TURNS[1 + 2 * n :])) for n in range(5)]
    for dropped, most in enumerate(sizes):
        for window in (most, most + 1):
            (one,) = fit(chat, [whole], ZIYA, window)
            assert one.dropped == dropped
            assert one.row.turns == (SYSTEM, *TURNS[1 + 2 * dropped :])
            assert one.longest == most
            assert one.encoded[0].ids.tolist() == encode(chat, one.row, ZIYA).ids.tolist()
    (one,) = fit(chat, [whole], ZIYA, sizes[-1] - 1)
    found = f"its last exchange alone has {sizes[-1]} tokens, {sizes[0]} in all; the window is {sizes[-1] - 1}"
    assert one == Faulty("f:1", found)
    (one,) = fit(chat, [Conversation("f:2", TURNS[1:3])], ZIYA, 3)
    assert one.cause.startswith("it has ")


def test_prompts_and_pairs_are_shortened_by_the_same_rule(chat):
    prompt = TURNS[:-1]
    last = encode_prompt(chat, (SYSTEM, TURNS[-2]), ZIYA)
    (one,) = fit(chat, [Prompt("f:1", prompt)], ZIYA, len(last))
    assert (one.encoded[0].ids.tolist(), one.dropped) == (last.tolist(), 4)
    assert not one.encoded[0].loss.any()
    (one,) = fit(chat, [Prompt("f:1", prompt)], ZIYA, len(last) - 1)
    assert isinstance(one, Faulty)
    long = "三百转。" * 5
    (one,) = fit(
        chat,
        [Preference("f:1", prompt, "好", long)],
        ZIYA,
        size(chat, (*prompt[:1], *prompt[3:], Turn("assistant", long))),
    )
    assert one.dropped == 1  # the longer side decides for both
    assert [coded.ids.tolist() for coded in one.encoded] == [
        [*ids, *answer] for ids, answer in (encode_answered(chat, one.row.prompt, text, ZIYA) for text in ("好", long))
    ]


def test_rows_stay_in_order_and_each_gives_one_thing(chat):
    call = Conversation("f:2", (Turn("user", "查"), Turn("call", '{"name": "f"}')))
    rows = [Conversation(f"f:{n}", TURNS) for n in range(3)] + [call] + [Prompt("f:9", TURNS[:2])] * 300
    found = list(fit(chat, rows, ZIYA))
    assert len(found) == len(rows)
    assert found[3] == Faulty(
        "f:2", "template ziya: has no place for a turn of role call; take template=qwen or chatml"
    )
    assert [one.row for n, one in enumerate(found) if n != 3] == [row for row in rows if row != call]


def test_what_bears_loss_in_each_kind_of_row(chat):
    prompt = TURNS[:4]
    expected = (
        (Conversation("", TURNS[:5]), [("", ["第0答：三百转。</s>", "第1答：三百转。</s>"])]),
        (Preference("", prompt, "好", "坏"), [("chosen", ["好</s>"]), ("rejected", ["坏</s>"])]),
        (Rated("", prompt, "好", True), [("good", ["好</s>"])]),
        (Prompt("", prompt), [("prompt", [])]),
    )
    for row, wanted in expected:
        for cut in (shown, pieces_of):
            assert [(v.name, [text for text, bears in cut(v, ZIYA, chat) if bears]) for v in views_of(row)] == wanted
        for view in views_of(row):
            assert "".join(p.text for p in shown(view, ZIYA, chat)) == "".join(
                p.text for p in pieces_of(view, ZIYA, chat)
            )
