"""Every form as people have it: one record, and the rows that each stage is given of it."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from corpus.instructions.convert import STAGES, convert
from corpus.instructions.forms import FORMS, form_of
from corpus.instructions.messages import Bad
from corpus.instructions.reading import detect, read
from corpus.instructions.rows import Conversation, Faulty, Preference, Prompt, Rated, Turn


def user(text):
    return Turn("user", text)


def bot(text):
    return Turn("assistant", text)


TWO_TURNS = (user("问"), bot("答"), user("再问"), bot("再答"))
CALL = '{"name": "天气", "arguments": {"城市": "北京"}}'
MESSAGES = [{"role": "user", "content": "问"}, {"role": "assistant", "content": "答"}]

# The record, its form, and the turns it holds.
DIALOGUES = [
    ({"instruction": "翻译", "input": "墨", "output": "ink"}, "alpaca", (user("翻译\n墨"), bot("ink"))),
    ({"instruction": "翻译", "input": "", "output": " ink \n"}, "alpaca", (user("翻译"), bot("ink"))),
    (
        {"instruction": "再问", "output": "再答", "history": [["问", "答"]], "system": "简短"},
        "alpaca",
        (Turn("system", "简短"), *TWO_TURNS),
    ),
    ({"instruction": "Human:问\nAssistant:答\nHuman:再问\nAssistant:", "output": "再答"}, "alpaca", TWO_TURNS),
    ({"instruction": "User: 问\nAssistant: 答", "input": "\nUser: 再问", "output": "再答"}, "alpaca", TWO_TURNS),
    ({"instruction": " <user>: 问 <bot>: 答 <user>: 再问", "output": "再答", "input": ""}, "alpaca", TWO_TURNS),
    ({"text": "### Human: 问### Assistant: 答### Human: 再问### Assistant: 再答"}, "text-dialogue", TWO_TURNS),
    (
        {"conversations": [{"from": "human", "value": "问"}, {"from": "gpt", "value": "答"}], "system": "简短"},
        "sharegpt",
        (Turn("system", "简短"), user("问"), bot("答")),
    ),
    (
        {
            "conversations": [
                {"from": "human", "value": "问"},
                {"from": "function_call", "value": CALL},
                {"from": "observation", "value": "晴"},
                {"from": "gpt", "value": "晴天"},
            ],
            "tools": "[{}]",
        },
        "sharegpt",
        (user("问"), Turn("call", CALL), Turn("tool", "晴"), bot("晴天")),
    ),
    ({"messages": MESSAGES}, "messages", (user("问"), bot("答"))),
    ({"messages": [{"role": "system", "content": ""}, *MESSAGES]}, "messages", (user("问"), bot("答"))),
    (
        {
            "messages": [
                {"role": "user", "content": [{"type": "text", "text": "问"}, {"type": "text", "text": "呢"}]},
                {
                    "role": "assistant",
                    "content": "查",
                    "tool_calls": [{"type": "function", "function": {"name": "f", "arguments": '{"a": 1}'}}],
                },
                {"role": "tool", "content": "2"},
                {
                    "role": "assistant",
                    "content": [{"type": "reasoning", "value": "想"}, {"type": "text", "value": "二"}],
                },
            ]
        },
        "messages",
        (
            user("问\n呢"),
            bot("查"),
            Turn("call", '{"name": "f", "arguments": {"a": 1}}'),
            Turn("tool", "2"),
            bot("<think>\n想\n</think>\n\n二"),
        ),
    ),
    (
        {"conversation": [{"human": "问", "assistant": "答"}, {"human": "再问", "assistant": "再答"}]},
        "conversation",
        TWO_TURNS,
    ),
    ({"prompt": "问", "completion": "答"}, "completion", (user("问"), bot("答"))),
    ({"prompt": MESSAGES[:1], "completion": MESSAGES[1:]}, "completion", (user("问"), bot("答"))),
    ({"input": "问", "target": "答", "answer_choices": None}, "completion", (user("问"), bot("答"))),
    ({"question": "问", "answer": 7}, "completion", (user("问"), bot("7"))),
    ({"title": "咳", "ask": "咳三天", "answer": "喝水"}, "consultation", (user("咳三天"), bot("喝水"))),
    ({"title": "头痛", "ask": "三天了", "answer": "休息"}, "consultation", (user("头痛\n三天了"), bot("休息"))),
]

PAIR = ((user("问"),), ("好", "坏"))
PAIRS = [
    ({"question": "问", "response_chosen": "好", "response_rejected": "坏"}, "reward", PAIR),
    ({"prompt": "问", "chosen": "好", "rejected": "坏"}, "pair", PAIR),
    ({"system": "", "history": [], "question": "问", "chosen": "好", "rejected": "坏"}, "pair", PAIR),
    (
        {"system": "简短", "history": [["一", "二"]], "question": "问", "chosen": "好", "rejected": "坏"},
        "pair",
        ((Turn("system", "简短"), user("一"), bot("二"), user("问")), ("好", "坏")),
    ),
    ({"conversations": [{"from": "human", "value": "问"}], "chosen": "好", "rejected": "坏"}, "pair", PAIR),
    (
        {
            "conversations": [{"from": "human", "value": "问"}],
            "chosen": {"from": "gpt", "value": "好"},
            "rejected": {"from": "gpt", "value": "坏"},
        },
        "pair",
        PAIR,
    ),
    (
        {
            "prompt": "问",
            "chosen": [MESSAGES[0], {"role": "assistant", "content": "好"}],
            "rejected": [MESSAGES[0], {"role": "assistant", "content": "坏"}],
        },
        "pair",
        PAIR,
    ),
    (
        {
            "prompt": MESSAGES[:1],
            "chosen": [{"role": "assistant", "content": "好"}],
            "rejected": [{"role": "assistant", "content": "坏"}],
        },
        "pair",
        PAIR,
    ),
    ({"instruction": "问", "input": "", "chosen": "好", "rejected": "坏"}, "pair", PAIR),
    (
        {"chosen": "\n\nHuman: 问\n\nAssistant: 好", "rejected": "\n\nHuman: 问\n\nAssistant: 坏"},
        "hh-rlhf",
        PAIR,
    ),
    (
        {
            "chosen_messages": [MESSAGES[0], {"role": "assistant", "content": "好"}],
            "rejected_messages": [MESSAGES[0], {"role": "assistant", "content": "坏"}],
        },
        "pair-messages",
        PAIR,
    ),
    ({"prompt": "\n\nHuman: 问\n\nAssistant:", "response": " 好", "chosen": " 好", "rejected": " 坏"}, "pair", PAIR),
    ({"prompt": {"role": "user", "content": "问"}, "chosen": "好", "rejected": "坏"}, "pair", PAIR),
    ({"prompt": "问", "pos_resp": "好", "neg_resp": "坏"}, "cvalues", PAIR),
    ({"instruction": "问", "input": "", "output": ["好", "坏"], "history": []}, "ranked", PAIR),
]


@pytest.mark.parametrize(("record", "name", "turns"), DIALOGUES)
def test_a_dialogue(record, name, turns):
    form = form_of(record)
    assert form.name == name
    (held,) = form.make(record, "f:1")
    assert held == Conversation("f:1", turns, tools="[{}]" if "tools" in record else None)
    (prompt,) = convert(held, "ppo", "集", None)
    assert prompt == Prompt("f:1", turns[:-1], turns[-1].content, "集", held.tools)


@pytest.mark.parametrize(("record", "name", "expected"), PAIRS)
def test_a_pair(record, name, expected):
    prompt, (best, worst) = expected
    form = form_of(record)
    assert form.name == name
    (held,) = form.make(record, "f:1")
    axis = "harmless" if name == "cvalues" else None
    for stage in ("rm", "dpo"):
        assert list(convert(held, stage, "集", None)) == [Preference("f:1", prompt, best, worst, "集", axis=axis)]
    assert list(convert(held, "sft", "集", None)) == [Conversation("f:1", (*prompt, bot(best)), "集")]
    assert list(convert(held, "kto", "集", None)) == [
        Rated("f:1/chosen", prompt, best, True, "集"),
        Rated("f:1/rejected", prompt, worst, False, "集"),
    ]
    assert list(convert(held, "ppo", "集", None)) == [Prompt("f:1", prompt, best, "集")]


@pytest.mark.parametrize(
    ("record", "name"),
    [
        ({"messages": MESSAGES, "label": True}, "kto-messages"),
        ({"prompt": "问", "completion": "答", "label": "False"}, "kto"),
        ({"prompt": "问", "completion": "答", "label": 0}, "kto"),
        (
            {"conversations": [{"from": "human", "value": "问"}, {"from": "gpt", "value": "答"}], "kto_tag": True},
            "kto-messages",
        ),
    ],
)
def test_a_rating(record, name):
    form = form_of(record)
    assert form.name == name
    (held,) = form.make(record, "f:1")
    good = record.get("label", True) is True
    assert held == Rated("f:1", (user("问"),), "答", good)
    (sft,) = convert(held, "sft", "", None)
    assert sft == (
        Conversation("f:1", (user("问"), bot("答")))
        if good
        else Faulty("f:1", "its label is false: no answer to learn from")
    )


def test_a_label_that_is_no_verdict_is_not_kto():
    assert form_of({"prompt": "问", "completion": "答", "label": "内科"}).name == "completion"


def test_a_ranked_list_gives_every_pair_and_tells_equal_ones():
    (held,) = form_of(record := {"instruction": "问", "output": ["一", "二", "二"]}).make(record, "f:3")
    rows = list(convert(held, "rm", "集", "helpful"))
    assert [(row.chosen, row.rejected, row.id) for row in rows[:2]] == [
        ("一", "二", "f:3/1>2"),
        ("一", "二", "f:3/1>3"),
    ]
    assert rows[2] == Faulty("f:3/2>3", "chosen and rejected are the same")
    assert {row.axis for row in rows[:2]} == {"helpful"}


def test_a_seed_task_gives_a_row_an_instance():
    record = {"instruction": "译", "instances": [{"input": "墨", "output": "ink"}, {"input": "砚", "output": "stone"}]}
    rows = form_of(record).make(record, "f:1")
    assert [row.turns[0].content for row in rows] == ["译\n墨", "译\n砚"]
    assert [row.id for row in rows] == ["f:1", "f:1/1"]


def test_margin_and_axis_are_the_records_own():
    record = {
        "prompt": "问",
        "chosen": "好",
        "rejected": "坏",
        "score_chosen": 8.5,
        "score_rejected": 6,
        "axis": "Honesty",
    }
    (held,) = form_of(record).make(record, "f:1")
    assert (held.margin, held.axis) == (2.5, "honest")
    (row,) = convert(held, "rm", "", "helpful")  # the record's own word wins over the set's
    assert (row.margin, row.axis) == (2.5, "honest")


def test_a_prompt_alone_serves_reinforcement_only():
    form = form_of({"prompt": "问", "domain": "环境"})
    assert form.name == "prompt"
    assert form.make({"prompt": "问"}, "f:1") == [Prompt("f:1", (user("问"),))]


BAD = [
    ({"instruction": "问", "input": "", "output": " "}, "the answer is empty"),
    ({"instruction": "", "input": "", "output": "答"}, "the instruction is empty"),
    ({"instruction": "问", "output": {"a": 1}}, "the answer is a dict, not text"),
    ({"instruction": "问", "output": "答", "history": ["一"]}, "history is not pairs of question and answer"),
    ({"messages": MESSAGES[:1]}, "roles out of order: ends with user, not with an answer"),
    ({"messages": MESSAGES[1:]}, "roles out of order: begins with assistant"),
    ({"messages": [*MESSAGES, MESSAGES[1]]}, "roles out of order: assistant after assistant at turn 3"),
    ({"messages": [MESSAGES[1], *MESSAGES]}, "roles out of order: begins with assistant"),
    (
        {"messages": [*MESSAGES, {"role": "system", "content": "迟"}, *MESSAGES]},
        "roles out of order: system after assistant at turn 3",
    ),
    ({"messages": [{"role": "user", "content": ""}, MESSAGES[1]]}, r"turn 1 of 2 \(user\) is empty"),
    ({"messages": [{"role": "narrator", "content": "问"}]}, r"messages\[0\] has an unknown role, narrator"),
    ({"messages": [{"content": "问"}]}, r"messages\[0\] has no role"),
    ({"messages": "问答"}, "messages is a str, not a list of messages"),
    ({"messages": ["问"]}, r"messages\[0\] is a str, not a message"),
    (
        {"messages": [{"role": "user", "content": [{"type": "image_url", "value": "1.jpg"}]}]},
        "a part of type image_url, which is not text",
    ),
    (
        {"conversations": [{"from": "human", "value": "问"}, {"from": "function_call", "value": "去查"}]},
        "a tool call that is not JSON",
    ),
    (
        {"conversations": [{"from": "human", "value": "问"}, {"from": "gpt", "value": "答"}], "tools": "天气"},
        "tools is not a JSON list",
    ),
    ({"instruction": "问", "output": ["一"]}, "the ranked list has 1 answers"),
    ({"chosen": "好", "rejected": "坏"}, "chosen is neither a transcript"),
    (
        {"chosen": "\n\nHuman: 甲\n\nAssistant: 好", "rejected": "\n\nHuman: 乙\n\nAssistant: 坏"},
        "chosen and rejected share 0 turns, not all but the last answer",
    ),
    ({"chosen": "\n\nHuman: 甲", "rejected": "\n\nHuman: 乙"}, "do not end with an answer"),
    ({"prompt": [MESSAGES[1]], "chosen": "好", "rejected": "坏"}, "roles out of order: begins with assistant"),
]


@pytest.mark.parametrize(("record", "cause"), BAD)
def test_a_bad_record_says_what_was_found(record, cause):
    with pytest.raises(Bad, match=cause):
        form_of(record).make(record, "f:1")


@pytest.mark.parametrize(
    ("chosen", "rejected", "cause"), [("", "坏", "the chosen answer"), ("好", " ", "the rejected answer")]
)
def test_an_empty_side_of_a_pair(chosen, rejected, cause):
    (held,) = form_of(record := {"prompt": "问", "chosen": chosen, "rejected": rejected}).make(record, "f:1")
    for stage in ("rm", "dpo", "kto"):
        assert list(convert(held, stage, "", None)) == [Faulty("f:1", f"{cause} is empty")]


def test_the_table_reads_what_the_documentation_lists():
    assert len({form.name for form in FORMS}) == len(FORMS)
    named = {name for _, name, _ in [*DIALOGUES, *PAIRS]}
    assert {form.name for form in FORMS} == named | {"kto", "kto-messages", "seed-tasks", "prompt", "message-lines"}


@pytest.mark.parametrize("stage", STAGES)
def test_each_stage_reads_pairs(stage, tmp_path):
    (tmp_path / "a.jsonl").write_text(json.dumps({"prompt": "问", "chosen": "好", "rejected": "坏"}), encoding="utf-8")
    assert not any(isinstance(row, Faulty) for row in read(tmp_path / "a.jsonl", stage))
    assert detect(tmp_path / "a.jsonl").name == "pair"


@pytest.mark.parametrize("page", ["instructions.md", "instructions.zh-CN.md"])
def test_the_pages_list_every_form_in_order(page):
    text = (Path(__file__).parents[3] / "docs" / page).read_text(encoding="utf-8")
    assert re.findall(r"^\| `([a-z-]+)` \| [^|]*[a-z]", text, re.MULTILINE)[: len(FORMS)] == [
        form.name for form in FORMS
    ]
