"""Near-duplicates and benchmark items among rows: what goes, what stays, and what is said of it."""

from __future__ import annotations

import json

from corpus.instructions.clean import clean
from corpus.instructions.rows import Conversation, Preference, Rated, Turn

QUESTION = "请用三句话说明研墨的步骤，并指出初学者最容易犯的错误是什么，应当怎样避免。"
ANSWER = "先在砚中滴少许清水，再执墨锭垂直轻推慢磨，待墨汁浓淡合宜即止。初学者常常用力过猛，应当匀速缓行。"
OTHER = "砚台以石质细润者为上，端砚、歙砚、洮砚、澄泥砚并称四大名砚，各有所长，选择时看发墨与下墨。"


def row(place, question, answer):
    return Conversation(place, (Turn("user", question), Turn("assistant", answer)), "集")


def test_a_row_goes_if_prompt_and_answer_are_known():
    rows = [
        row("f:1", QUESTION, ANSWER),
        row("f:2", QUESTION, ANSWER.replace("缓行", "慢行")),  # says the same
        row("f:3", QUESTION, OTHER),  # another answer
        row("f:4", "砚台怎样选？" + QUESTION[::-1], ANSWER),  # another question
        row("f:5", QUESTION, ANSWER),
    ]
    found = clean(rows)
    assert [one.id for one in found.kept] == ["f:1", "f:3", "f:4"]
    assert [(one.id, one.reason, one.of) for one in found.removed] == [
        ("f:2", "duplicate", "集: f:1"),
        ("f:5", "duplicate", "集: f:1"),
    ]
    assert found.removed[1].detail == "similarity 1.00"
    assert 0.8 <= float(found.removed[0].detail.split()[1]) < 1
    assert found.counts() == {"duplicate": 2}
    assert clean(rows, min_jaccard=None).kept == rows


def test_the_pairs_of_a_ranked_list_are_no_duplicates():
    prompt = (Turn("user", QUESTION),)
    pairs = [
        Preference(f"f:1/{n}", prompt, ANSWER, ANSWER.replace("清水", water), "集")
        for n, water in (("1>2", "净水"), ("1>3", "井水"))
    ]
    assert clean(pairs).removed == []
    assert [
        one.id
        for one in clean([*pairs, Preference("f:2", prompt, ANSWER, ANSWER.replace("清水", "净水"), "集")]).removed
    ] == ["f:2"]


def test_opposite_answers_to_a_long_prompt_are_no_duplicates():
    prompt = (Turn("user", QUESTION * 20),)
    assert (
        clean([Rated("f:1", prompt, "是的。", True, "集"), Rated("f:2", prompt, "不是。", False, "集")]).removed == []
    )


def test_a_benchmark_item_in_prompt_or_answer_is_named(tmp_path):
    (tmp_path / "gsm8k").mkdir()
    items = [{"question": QUESTION, "answer": "#### 3"}, {"question": OTHER, "answer": "#### 4"}]
    (tmp_path / "gsm8k/test.jsonl").write_text("\n".join(map(json.dumps, items)), encoding="utf-8")
    rows = [row("f:1", f"题目：{QUESTION}谢谢", ANSWER), row("f:2", "选砚？", OTHER), row("f:3", "研墨？", ANSWER)]
    found = clean(rows, benchmarks=tmp_path)
    assert [one.id for one in found.kept] == ["f:3"]
    assert [(one.id, one.reason, one.of) for one in found.removed] == [
        ("f:1", "contaminated", "gsm8k/all/test/0"),
        ("f:2", "contaminated", "gsm8k/all/test/1"),
    ]


def test_no_rows_are_no_trouble():
    assert clean([]).kept == []
