"""Does each stage of a pipeline help? What each changed as a table on the terminal, and as a page with answers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from eval.bilingual import Text
from eval.page import both, esc, grid, heading, page, paragraph, stacked
from eval.stage_scores import BETTER, HIGHER, NONE, UNKNOWN, WORSE, Change, shown
from workbench.console import table

NAMES: Mapping[str, Text] = {
    "bits_per_byte": Text("bits per byte", "每字节比特数"),
    "held_out_loss": Text("loss of held-out answers", "留出答案的损失"),
    "pair_margin": Text("margin of held-out pairs", "留出偏好对的对数概率差"),
    "gold_answer": Text("gold answer, nats", "标准答案的负对数似然"),
    "reward": Text("reward of its answers", "答案的奖励分"),
    "win_rate": Text("answers beat the stage before", "胜过上一阶段的比例"),
    "accuracy": Text("held-out pairs in order", "留出偏好对判对率"),
}
VERDICTS: Mapping[str, Text] = {
    BETTER: Text(BETTER, "变好"),
    WORSE: Text(WORSE, "变差"),
    NONE: Text(NONE, "测不出变化"),
    UNKNOWN: Text(UNKNOWN, "无数据"),
}
HEAD = (
    Text("stage", "阶段"),
    Text("score", "指标"),
    Text("before", "之前"),
    Text("after", "之后"),
    Text("change, 95 % interval", "变化与 95% 置信区间"),
    Text("items", "题数"),
    Text("does it help?", "有帮助吗"),
)
LEAD = Text(
    "Each model is scored on the same held-out items as the one before it; the interval is of the paired difference. "
    "Where it holds zero, no change was detected. The first is compared with the weights that it began from.",
    "每个模型与上一阶段的模型在同一批留出数据上评分，区间是逐题配对之差的区间；区间含零即测不出变化。"
    "第一阶段与其起始权重相比。",
)


def stage_page(
    stages: Mapping[str, tuple[str, str]],
    changed: Mapping[str, Sequence[Change]],
    asked: Sequence[str],
    answers: Mapping[str, Sequence[str]],
) -> str:
    """Return the page.

    Args:
        stages: Of each stage its Chinese and English name.
        changed: What each changed.
        asked: Some prompts.
        answers: Each model's answers to them.
    """
    rows = [
        _row(Text(f"{name} {stages[name][1]}", stages[name][0]), one)
        for name, found in changed.items()
        for one in found
    ]
    parts = [paragraph(LEAD, "lead"), grid([f"<th>{stacked(text)}</th>" for text in HEAD], rows)]
    if asked:
        parts.append(heading("同一问题，各阶段的回答", "The same prompts, answered by each stage"))
        head = [f"<th>{both(Text('prompt', '问题'))}</th>", *(f"<th>{esc(name)}</th>" for name in answers)]
        lines = []
        for n, prompt in enumerate(asked):
            cells = "".join(f"<td class='w'>{esc(said[n])}</td>" for said in answers.values())
            lines.append(f"<tr><th class='w'>{esc(prompt)}</th>{cells}</tr>")
        parts.append(grid(head, lines))
    return page(Text("Does each stage help?", "每个阶段有帮助吗？"), parts)


def _row(stage: Text, one: Change) -> str:
    way = Text("higher is better", "越高越好") if one.score in HIGHER else Text("lower is better", "越低越好")
    apart = "" if one.difference is None else f"{one.difference:+.3f}"
    if one.low is not None and one.high is not None:
        apart += f" <small>[{one.low:+.3f}, {one.high:+.3f}]</small>"
    verdict = both(VERDICTS[one.verdict])
    told = f"<b>{verdict}</b>" if one.verdict in (BETTER, WORSE) else verdict
    return (
        f"<tr><th>{stacked(stage)}</th><td>{stacked(NAMES[one.score])}<small class='b'>{both(way)}</small></td>"
        f"<td class='n'>{shown(one.before)}</td><td class='n'>{shown(one.after)}</td><td class='n'>{apart}</td>"
        f"<td class='n'>{one.n:,}</td><td>{told}</td></tr>"
    )


def print_changes(results: Mapping[str, Any]) -> None:
    """Print the table of a finished pipeline, from the results in its manifest."""
    rows = []
    for stage, found in results["stages"].items():
        for one in found or [{"score": "", "verdict": UNKNOWN}]:
            name = NAMES[one["score"]].en if one["score"] else "nothing was scored"
            values = [shown(one.get(key)) for key in ("before", "after", "difference")]
            low, high = one.get("low"), one.get("high")
            apart = "" if low is None or high is None else f"{low:+.3f} to {high:+.3f}"
            rows.append((stage, name, *values, apart, one.get("n", 0), one["verdict"]))
    columns = ("stage", "score", "before", "after", "change", "95 % interval", "items", "does it help?")
    table(columns, rows, title="Does each stage help?")
    print(results["page"])
