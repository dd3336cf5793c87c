"""A run as one HTML page: scores with their protocol, subjects, and the wrong answers of each subject.

Nothing of a benchmark or a model is trusted: all text is escaped, marks that turn the reading direction are shown as
such, and there is no script. At most ``SHOWN`` wrong answers a subject are laid out; the jsonl has them all.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from eval.bilingual import Text, plain
from eval.cli_run import also
from eval.page import both, esc, grid, heading, page, paragraph
from eval.samples import Sample
from eval.tasks import TASKS
from eval.tasks.base import LETTERS, Question

SHOWN, LONGEST = 10, 1500  # wrong answers a subject, characters of a text

_LEAD = Text(
    "All figures are percentages. ± is the standard error. micro is the mean over items, macro over subjects; the "
    "score is the one that the benchmark's own protocol takes.",
    "分数均为百分数，± 为标准误。micro 为按题平均，macro 为按科目平均；“分数”取该评测自身方法所用的那一种。",
)
_LIMITED = Text(
    "Only part of the items was asked: the figures are estimates and are not comparable with published ones.",
    "只测了部分题目：所列为估计值，不可与公开分数直接比较。",
)
_RIGHT = Text("No wrong answers.", "没有答错的题。")
_SPLITS = {"labelled": "test, val"}
_COLUMNS = (
    ("Benchmark", "评测", ""),
    ("Score", "分数", "n"),
    ("micro", "micro", "n"),
    ("macro", "macro", "n"),
    ("Items", "题数", "n"),
    ("Split", "划分", ""),
    ("Shots", "样例数", "n"),
    ("Format", "题式", ""),
    ("Protocol", "方法", ""),
    ("Beside it", "另注", "w"),
)


def run_page(
    scores: Mapping[str, Any], samples: Mapping[str, Sequence[Sample]], questions: Mapping[str, Question]
) -> str:
    """Return the whole page.

    Args:
        scores: What ``scores.json`` holds.
        samples: The samples of each task.
        questions: What was asked, by item.
    """
    tasks = scores["tasks"]
    parts = [paragraph(Text.once(scores["model"]), "lead"), paragraph(_LEAD, "lead")]
    if any("limit" in entry for entry in tasks.values()):
        parts.append(
            f"<p class='over' lang='zh-CN'>{esc(_LIMITED.zh)}</p><p class='over' lang='en'>{esc(_LIMITED.en)}</p>"
        )
    parts.append(_scores(tasks))
    for name, entry in tasks.items():
        parts += [heading(TASKS[name].name, TASKS[name].name), _subjects(entry), _wrong(samples[name], questions)]
    for name, file in scores.get("submissions", {}).items():
        text = Text(f"{name}: test labels are not public; submit {file}", f"{name}：测试集答案未公开，请提交 {file}")
        parts.append(paragraph(text))
    return page(Text("Evaluation report", "评测报告"), parts)


def _th(en: str, zh: str, kind: str = "") -> str:
    return f"<th{f' class={kind}' if kind else ''}>{both(Text(en, zh))}"


def _scores(tasks: Mapping[str, Any]) -> str:
    rows = []
    for name, e in tasks.items():
        rows.append(
            f"<tr><th class='s'>{esc(TASKS[name].name)}<td class='n'><b>{e['value']:.2f}</b> ± {e['stderr']:.2f}"
            f"<td class='n'>{e['micro']:.2f}<td class='n'>{e['macro']:.2f}<td class='n'>{e['n']:,}"
            f"<td>{esc(_SPLITS.get(e['split'], e['split']))}<td class='n'>{e['shots']}<td>{esc(e['format'])}"
            f"<td>{esc(e['protocol'])}<td class='w'>{esc(also(e)) or '–'}</tr>"
        )
    return heading("分数", "Scores") + grid([_th(*column) for column in _COLUMNS], rows)


def _subjects(entry: Mapping[str, Any]) -> str:
    found = sorted(entry["subjects"].items(), key=lambda pair: (pair[1]["value"], pair[0]))
    if len(found) < 2:
        return ""
    rows = [
        f"<tr><td>{esc(name)}<td class='n'>{one['value']:.1f}<td class='n'>{one['n']:,}<td class='n'>{one['of']:,}</tr>"
        for name, one in found
    ]
    head = [_th("Subject", "科目"), _th("Score", "分数", "n"), _th("Asked", "已测", "n"), _th("Items", "题数", "n")]
    title = both(Text(f"By subject ({len(found)}), lowest first", f"按科目（{len(found)}），由低到高"))
    return f"<details><summary>{title}</summary>{grid(head, rows)}</details>"


def _wrong(samples: Sequence[Sample], questions: Mapping[str, Question]) -> str:
    groups: dict[str, list[Sample]] = defaultdict(list)
    for sample in samples:
        if sample.correct < 1:
            groups[sample.subject].append(sample)
    if not groups:
        return paragraph(_RIGHT)
    parts = []
    for subject, wrong in sorted(groups.items(), key=lambda pair: (-len(pair[1]), pair[0])):
        shown = "".join(_item(sample, questions[sample.key]) for sample in wrong[:SHOWN])
        count = f"{min(len(wrong), SHOWN)} / {len(wrong):,}"
        parts.append(f"<details><summary>{esc(subject)} <small>{count}</small></summary>{shown}</details>")
    total = sum(len(wrong) for wrong in groups.values())
    title = both(Text(f"Wrong answers by subject ({total:,})", f"各科答错的题（{total:,}）"))
    return f"<details><summary>{title}</summary>{''.join(parts)}</details>"


def _item(sample: Sample, question: Question) -> str:
    listed = [f"{letter}. {choice}" for letter, choice in zip(LETTERS, question.item.choices, strict=False)]
    said = ", ".join("–" if one is None else one for one in sample.extracted)
    lines = [f"<article><small>{esc(sample.key)}</small>{_block(chr(10).join([question.item.question, *listed]))}"]
    if question.item.choices or not TASKS[sample.task].code:
        lines.append(
            f"<p>{_mark('Right', '正确')} {esc(_cut(sample.gold))} · {_mark('Said', '作答')} {esc(_cut(said))}</p>"
        )
    if sample.output:
        lines.append(f"<p>{_mark('Output', '输出')}</p>{_block(sample.output[0])}")
    ends = (sample.verdicts or {}).get("ends")
    if ends:
        lines.append(f"<p>{_mark('End', '结果')} {esc(', '.join(str(one) for one in ends))}</p>")
    return "".join([*lines, "</article>"])


def _mark(en: str, zh: str) -> str:
    return f"<small>{both(Text(en, zh))}</small>"


def _block(text: str) -> str:
    """Return a text of several lines, escaped line by line."""
    lines = (
        escape(line[: len(line) - len(line.lstrip(" \t"))].replace("\t", "    ") + plain(line))
        for line in _cut(text).splitlines()
    )
    return f"<pre>{chr(10).join(lines)}</pre>"


def _cut(text: str) -> str:
    return text if len(text) <= LONGEST else f"{text[:LONGEST]} …"
