"""Rendered prompts: whole, on made-up items; by hash, on the official files; and beside lm-eval's own templates."""

import hashlib
import importlib.util
from functools import cache
from pathlib import Path

import pytest
import yaml

from corpus.sources.benchmarks import Item
from eval.tasks import TASKS, ceval, cmmlu, exemplars
from eval.tasks.files import load

# Of (id, prompt, choices, stop strings) of every item of the default split: task, protocol, format, mode.
PINNED = {
    ("bbh", "lm-eval", "generate", "cot"): "ac944de917fdee1c",
    ("bbh", "lm-eval", "generate", "direct"): "bd54bcc2194bf0bb",
    ("bbh", "official", "generate", "cot"): "8241ce24b690830a",
    ("bbh", "official", "generate", "direct"): "7c8a064d31bab593",
    ("ceval", "lm-eval", "cf", "direct"): "a196e361a8aa1e0a",
    ("ceval", "lm-eval", "mc", "direct"): "e6a46795f996b177",
    ("ceval", "official", "cf", "direct"): "f6f62e7ac1ca6e9a",
    ("ceval", "official", "generate", "cot"): "d3c8dd421b38c841",
    ("ceval", "official", "mc", "direct"): "45501df91cf65dd7",
    ("ceval", "qwen", "cf", "direct"): "de257e2b955b8581",
    ("ceval", "qwen", "mc", "direct"): "6f49c24187b69da9",
    ("cmmlu", "lm-eval", "cf", "direct"): "0ce53a3acfb5ff9d",
    ("cmmlu", "lm-eval", "mc", "direct"): "8dfa5e7677d40ff7",
    ("cmmlu", "official", "cf", "direct"): "4e724977e2442435",
    ("cmmlu", "official", "generate", "cot"): "a6c4752fcb94b4a9",
    ("cmmlu", "official", "mc", "direct"): "37a71567fccc4daa",
    ("cmmlu", "qwen", "cf", "direct"): "a393886abc15ff41",
    ("cmmlu", "qwen", "mc", "direct"): "8fbe1c60324bf252",
    ("gsm8k", "lm-eval", "generate", "cot"): "d11a0584aa850309",
    ("gsm8k", "lm-eval", "generate", "direct"): "8aba562007c0ae83",
    ("gsm8k", "official", "generate", "cot"): "d11a0584aa850309",
    ("gsm8k", "official", "generate", "direct"): "8aba562007c0ae83",
    ("humaneval", "lm-eval", "generate", "direct"): "7fbe6049ecb2b5c1",
    ("humaneval", "official", "generate", "direct"): "7fbe6049ecb2b5c1",
    ("math500", "lm-eval", "generate", "cot"): "75ce714852f02bd2",
    ("math500", "official", "generate", "cot"): "8af7cce23236c462",
    ("mbpp", "lm-eval", "generate", "direct"): "3b4577af34a38470",
    ("mbpp", "official", "generate", "direct"): "128dfbcfc7fb73ef",
    ("medical", "lm-eval", "cf", "direct"): "198ed1d29929c962",
    ("medical", "lm-eval", "mc", "direct"): "1706406cd53bfe05",
    ("medical", "official", "cf", "direct"): "ca9fea058ad5cf10",
    ("medical", "official", "mc", "direct"): "7d02abac10242a4e",
    ("medical", "qwen", "cf", "direct"): "15badf6c0f1c0077",
    ("medical", "qwen", "mc", "direct"): "34ba81c364aa8ba1",
    ("medical", "yanmo", "generate", "cot"): "0812c47692e7d72b",
    ("mmlu", "lm-eval", "cf", "direct"): "c7e9f44564a1b1c5",
    ("mmlu", "lm-eval", "mc", "direct"): "288821cf244df36a",
    ("mmlu", "official", "cf", "direct"): "96a12ca309b4bec9",
    ("mmlu", "official", "mc", "direct"): "8b3cd33fbbb3725e",
    ("mmlu", "qwen", "cf", "direct"): "9381c6220c5c2d2f",
    ("mmlu", "qwen", "mc", "direct"): "d8fd0977658a38f6",
    ("mmlu", "yanmo", "generate", "cot"): "92382c560378ec92",
}
COUNTS = {"mmlu": 14042, "ceval": 1346, "cmmlu": 11582, "gsm8k": 1319, "math500": 500, "humaneval": 164, "mbpp": 500}


@cache
def loaded(name, folder):
    task = TASKS[name]
    return load(task, folder, task.asked())


@pytest.mark.parametrize("name", [name for name in TASKS if name != "math"])
def test_prompts_on_the_official_files_are_pinned(shared, name):
    task, found = TASKS[name], loaded(name, shared / "benchmarks")
    assert found.official is True
    assert found.remarks == []
    assert len(found.items) == COUNTS.get(name, len(found.items))
    for (_, protocol, form, mode), want in ((key, value) for key, value in PINNED.items() if key[0] == name):
        asked = task.asked(protocol=protocol, form=form if "mc" in task.formats and mode != "cot" else None, mode=mode)
        assert (asked.protocol, asked.format, asked.mode) == (protocol, form, mode)
        state = hashlib.sha256()
        for item in found.items:
            q = task.ask(item, found.exemplars.get((item.benchmark, item.subject), ()), asked)
            state.update("\x1f".join((item.id, q.prompt.text, *q.choices, *q.stop, "\x1e")).encode())
        assert state.hexdigest()[:16] == want, (name, protocol, form, mode)


def test_every_way_to_ask_is_pinned():
    ways = {
        (task.id, protocol, form if mode == task.modes[0] else "generate", mode)
        for task in TASKS.values()
        if task.id != "math"
        for mode in task.modes
        for protocol in ((task.cot_protocol,) if mode == "cot" and task.cot_protocol else task.protocols)
        for form in task.formats
    }
    assert ways == set(PINNED)


def item(benchmark, subject, number=0, answer="B", split="test", **more):
    return Item(benchmark, subject, split, number, f"问{number}？", ("一", "二", "三", "四"), answer, more)


LISTED = "问{}？\nA. 一\nB. 二\nC. 三\nD. 四"


@pytest.mark.parametrize(
    ("name", "protocol", "form", "shot", "ask", "choices"),
    [
        ("mmlu", "official", "mc", "The following are multiple choice questions (with answers) about  world religions.\n\n" + LISTED.format(1) + "\nAnswer: C\n\n", LISTED.format(0) + "\nAnswer:", " A| B| C| D"),
        ("mmlu", "lm-eval", "mc", "The following are multiple choice questions (with answers) about world religions.\n\n" + LISTED.format(1) + "\nAnswer: C\n\n", LISTED.format(0) + "\nAnswer:", " A| B| C| D"),
        ("mmlu", "qwen", "mc", "The following are multiple choice questions (with answers) about world religions.\n\nQuestion: " + LISTED.format(1) + "\nAnswer: C\n\n", "Question: " + LISTED.format(0) + "\nAnswer:", " A| B| C| D"),
        ("mmlu", "official", "cf", "The following are multiple choice questions (with answers) about  world religions.\n\n问1？\nAnswer: 三\n\n", "问0？\nAnswer:", " 一| 二| 三| 四"),
        ("ceval", "official", "mc", "以下是中国关于医师资格考试的单项选择题，请选出其中的正确答案。\n\n" + LISTED.format(1) + "\n答案：C\n\n", LISTED.format(0) + "\n答案：", "A|B|C|D"),
        ("ceval", "lm-eval", "mc", "以下是中国关于医师资格的单项选择题，请选出其中的正确答案。\n\n" + LISTED.format(1) + "\n答案： C\n\n", LISTED.format(0) + "\n答案：", " A| B| C| D"),
        ("ceval", "qwen", "mc", "问题：" + LISTED.format(1) + "\n答案：C\n\n", "问题：" + LISTED.format(0) + "\n答案：", "A|B|C|D"),
        ("ceval", "official", "cf", "以下是中国关于医师资格考试的单项选择题，请选出其中的正确答案。\n\n问1？\n答案：三\n\n", "问0？\n答案：", "一|二|三|四"),
        ("cmmlu", "official", "mc", "以下是关于中医中药的单项选择题，请直接给出正确答案的选项。\n\n题目：" + LISTED.format(1) + "\n答案是：C\n\n", "题目：" + LISTED.format(0) + "\n答案是：", "A|B|C|D"),
        ("cmmlu", "lm-eval", "mc", "以下是关于中医中药的单项选择题，请直接给出正确答案的选项。\n\n" + LISTED.format(1) + "\n答案： C\n\n", LISTED.format(0) + "\n答案：", " A| B| C| D"),
    ],
)  # fmt: skip
def test_a_choice_as_each_protocol_writes_it(name, protocol, form, shot, ask, choices):
    subject = {"mmlu": "world_religions", "ceval": "physician", "cmmlu": "traditional_chinese_medicine"}[name]
    task = TASKS[name]
    q = task.ask(item(name, subject), [item(name, subject, 1, "C")], task.asked(shots=1, protocol=protocol, form=form))
    assert q.prompt.text == shot + ask
    assert "|".join(q.choices) == choices
    assert q.drop_longest == (name == "cmmlu" and protocol == "official")


def test_texts_as_the_papers_write_them():
    gsm8k = TASKS["gsm8k"].ask(Item("gsm8k", "all", "test", 0, "How many?"), (), TASKS["gsm8k"].asked())
    assert len(gsm8k.prompt.shots) == 8
    assert gsm8k.prompt.shots[0].startswith("Q: There are 15 trees")
    assert gsm8k.prompt.shots[0].endswith(" = 6. The answer is 6.\n\n")
    assert gsm8k.prompt.question == "Q: How many?\nA:"
    plain = TASKS["gsm8k"].ask(gsm8k.item, (), TASKS["gsm8k"].asked(mode="direct"))
    assert plain.prompt.shots[0].endswith("\nA: The answer is 6.\n\n")
    maths = TASKS["math500"].ask(Item("math500", "Algebra", "test", 0, "Find $x$."), (), TASKS["math500"].asked())
    assert len(maths.prompt.shots) == 4
    assert all("\n\nSolution:\n" in s and "I hope it is correct.\n\n" in s for s in maths.prompt.shots)
    assert maths.prompt.question == "Problem:\nFind $x$.\n\nSolution:"
    shots = [
        Item("mbpp", "python", "dev", n, f"Do {n}.", (), f"a = {n}\r\nb", {"tests": ["assert 1"], "setup": ""})
        for n in range(1, 11)
    ]
    mbpp = TASKS["mbpp"].ask(shots[0], shots, TASKS["mbpp"].asked())
    opening = "You are an expert Python programmer, and here is your task: Do {}. Your code should pass these tests:\n\nassert 1\n[BEGIN]\n"
    assert mbpp.prompt.shots == tuple(opening.format(n) + f"a = {n}\nb\n[DONE]\n\n" for n in (2, 3, 4))
    assert mbpp.prompt.question == opening.format(1)
    one = Item(
        "bbh", "navigate", "cot", 0, "Left?", (), "No", {"about": "About.", "solution": "\nWe go. So the answer is No."}
    )
    bbh = TASKS["bbh"].ask(Item("bbh", "navigate", "test", 0, "Right?", (), "Yes"), [one], TASKS["bbh"].asked(shots=1))
    assert (
        bbh.prompt.text
        == "About.\n\nQ: Left?\nA: Let's think step by step.\nWe go. So the answer is No.\n\nQ: Right?\nA: Let's think step by step."
    )


def lm_eval_folder():
    return Path(importlib.util.find_spec("lm_eval").submodule_search_locations[0]) / "tasks"


@pytest.mark.parametrize(
    ("name", "template", "subject_file", "subject"),
    [
        ("mmlu", "mmlu/default/_default_template_yaml", "mmlu/default/mmlu_anatomy.yaml", "anatomy"),
        ("ceval", "ceval/_default_ceval_yaml", "ceval/ceval-valid_physician.yaml", "physician"),
        ("cmmlu", "cmmlu/_default_template_yaml", "cmmlu/cmmlu_arts.yaml", "arts"),
    ],
)
def test_protocol_lm_eval_is_what_lm_evals_own_template_gives(name, template, subject_file, subject):
    from jinja2 import Environment

    folder = lm_eval_folder()
    rules = yaml.safe_load((folder / template).read_text(encoding="utf-8"))
    head = yaml.safe_load((folder / subject_file).read_text(encoding="utf-8"))["description"]
    write = Environment(keep_trailing_newline=True).from_string(rules["doc_to_text"])

    def text(one):
        letters = dict(zip("ABCD", one.choices, strict=True))
        return write.render(question=one.question, Question=one.question, choices=one.choices, **letters)

    shot, asked = item(name, subject, 1, "C"), item(name, subject)
    q = TASKS[name].ask(asked, [shot], TASKS[name].asked(shots=1, protocol="lm-eval"))
    assert q.prompt.text == f"{head}{text(shot)} C\n\n{text(asked)}"
    assert q.choices == (" A", " B", " C", " D")


def test_subjects_and_exemplars_are_complete():
    assert len(ceval.SUBJECTS) == 52
    assert len(cmmlu.SUBJECTS) == 67
    assert len(exemplars.gsm8k()) == 8
    assert len(exemplars.maths()) == 4
