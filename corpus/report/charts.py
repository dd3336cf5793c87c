"""Distributions as small drawings: all documents in grey, the rejected among them in colour, thresholds as lines.

Heights are square roots of counts, so that the few that a threshold cut can be seen beside the many it left. A solid
line is a threshold that suffices to reject, a broken one holds only together with another condition.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from math import sqrt
from typing import Any

from corpus.report.html import details, table
from corpus.report.signals import position
from workbench.console import format_cell

_HEIGHT = 40.0
_SIGNS = {">=": "≥", "<=": "≤", "<>": "≠"}
_NAMES = {
    "normalised_chars": "规范化改动字数",
    "boilerplate_chars": "模板文字字数",
    "private_masks": "隐私遮盖处数",
    "chars": "字数",
    "lines": "行数",
    "mean_line_chars": "平均行长",
    "han_share": "汉字占比",
    "latin_share": "拉丁字母占比",
    "digit_share": "数字占比",
    "punctuation_share": "标点占比",
    "broken_share": "乱码占比",
    "traditional_share": "繁体字占比",
    "stop_line_share": "完整句尾行占比",
    "repeat_share": "重复占比",
    "lang_score": "语种得分",
    "simplified_chars": "繁简转换字数",
    "near_jaccard": "近似重复相似度",
    "benchmark_overlap": "评测题重合度",
    "perplexity": "困惑度",
    "quality": "质量分",
    "sensitive_score": "敏感分",
    "sensitive_hits": "敏感词命中数",
    "veiled_share": "变体敏感词占比",
    "tokens": "词元数",
    "words": "词数",
    "lang": "语种",
    "boilerplate_kinds": "模板文字类别",
    "private_kinds": "隐私类别",
    "sensitive_category": "敏感类别",
    "mojibake_repaired": "乱码修复",
}


def distributions(signals: Sequence[Mapping[str, Any]], reasons: Mapping[tuple[str, str], int]) -> str:
    """Return all drawings, those with thresholds first, and the labels' tables.

    Args:
        signals: Of ``measure_signals``.
        reasons: How many documents each (stage, reason) rejected.
    """
    numbers = [one for one in signals if "known" in one]
    judged = [one for one in numbers if one["thresholds"]]
    others = [one for one in numbers if not one["thresholds"]]
    key = (
        "<p class='key'><i style='background:var(--all);margin-left:0'></i>all documents 全部"
        "<i style='background:var(--bar)'></i>rejected 剔除"
        "<i></i>│ threshold 阈值<i></i>┆ together with another condition 与另一条件并用</p>"
        "<p class='soft key'>Heights are square roots of counts; the outermost bars hold all beyond. "
        "柱高为文档数的平方根；首尾两柱含更远的值。</p>"
    )
    parts = [key]
    for some in (judged, others):
        parts.append("<div class='grid'>" + "".join(_figure(one, reasons) for one in some) + "</div><br>")
    labels = {"value": "value 值", "kept": "kept 保留", "rejected": "rejected 剔除"}
    for one in signals:
        if "values" in one:
            more = f" … {one['others']} more" if one["others"] else ""
            parts.append(details(f"{_title(one['signal'])}{more}", table(one["values"], labels)))
    return "".join(parts)


def _title(signal: str) -> str:
    return f"{signal} {_NAMES[signal]}" if signal in _NAMES else signal


def _figure(one: Mapping[str, Any], reasons: Mapping[tuple[str, str], int]) -> str:
    low, high, log = one["low"], one["high"], one["scale"] == "log"
    title = escape(_title(one["signal"]))
    cut = f", {one['rejected']:,} rejected" if one["rejected"] else ""
    said = f"{one['known']:,} known{cut}; median {format_cell(one['p50'])}, mean {format_cell(one['mean'])}"
    counts, gone = one["kept_counts"], one["rejected_counts"]
    if not counts:
        return f"<figure><figcaption><b>{title}</b><br>{said}</figcaption></figure>"
    both = [a + b for a, b in zip(counts, gone, strict=True)]
    top = sqrt(max(both))
    marks = []
    lines = []
    for mark in one["thresholds"]:
        at = 100 * float(position(low, high, log, mark["value"]))
        some = "" if mark["alone"] else " class='some'"
        lines.append(f"<line{some} x1='{at:.2f}' x2='{at:.2f}' y1='0' y2='{_HEIGHT:.0f}'/>")
        n = reasons.get((mark["stage"], mark["reason"]), 0)
        rule = f"{_SIGNS.get(mark['op'], mark['op'])} {format_cell(mark['value'])}"
        marks.append(f"<li{some}>{escape(mark['reason'])}: {escape(rule)} ({n:,} rejected 剔除)</li>")
    drawing = _bars("all", both, top) + _bars("cut", gone, top) + "".join(lines)
    scale = " (log 对数)" if log else ""
    frame = f"viewBox='0 0 100 {_HEIGHT:.0f}' preserveAspectRatio='none' role='img' aria-label='{title}'"
    return (
        f"<figure><svg {frame}>{drawing}</svg>"
        f"<div class='scale'><span>{format_cell(low)}</span><span>{escape(scale)}</span>"
        f"<span>{format_cell(high)}</span></div><figcaption><b>{title}</b><br>{said}</figcaption>"
        f"<ul class='marks'>{''.join(marks)}</ul></figure>"
    )


def _bars(kind: str, counts: Sequence[int], top: float) -> str:
    width = 100 / len(counts)
    out = []
    for n, count in enumerate(counts):
        if count:
            height = _HEIGHT * sqrt(count) / top
            place = f"x='{n * width:.2f}' y='{_HEIGHT - height:.2f}' width='{width * 0.92:.2f}' height='{height:.2f}'"
            out.append(f"<rect class='{kind}' {place}/>")
    return "".join(out)
