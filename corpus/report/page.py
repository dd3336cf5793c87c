"""The report as one HTML page: no script, no address outside, light and dark, Chinese set in Chinese faces.

Everything that comes from documents is escaped; a hostile title is shown, not run.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import Any

from workbench.console import format_cell

_STYLE = """
:root { color-scheme: light dark; --ink: #1c1b19; --paper: #faf8f3; --line: #d9d3c5; --soft: #6f685a; --bar: #8a3b2a; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #ebe6da; --paper: #17161a; --line: #3a3740; --soft: #a59d8c; --bar: #d98a6f; } }
* { box-sizing: border-box }
body { margin: 0 auto; max-width: 68rem; padding: 2rem 1.25rem 4rem; background: var(--paper); color: var(--ink);
  font: 16px/1.6 system-ui, "Noto Sans CJK SC", "Source Han Sans SC", "PingFang SC", "Microsoft YaHei", sans-serif }
h1 { font-size: 1.6rem; margin: 0 } h2 { font-size: 1.15rem; margin: 2.5rem 0 .6rem }
p.lead { color: var(--soft); margin: .25rem 0 1.5rem }
.figures { display: flex; flex-wrap: wrap; gap: .5rem 2.5rem } .figures b { display: block; font-size: 1.5rem }
.wide { overflow-x: auto }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; font-size: .92rem }
th, td { text-align: left; padding: .3rem .8rem .3rem 0; border-bottom: 1px solid var(--line); vertical-align: top }
th { color: var(--soft); font-weight: 500 } .n { text-align: right }
.share { display: inline-block; height: .6rem; background: var(--bar); min-width: 1px; vertical-align: baseline }
.text { white-space: pre-wrap; overflow-wrap: anywhere; color: var(--soft); font-size: .88rem; max-width: 46rem }
.grid { display: grid; grid-template-columns: repeat(auto-fill, minmax(15rem, 1fr)); gap: 1.2rem }
figure { margin: 0 } figcaption { font-size: .85rem; color: var(--soft) }
svg { width: 100%; height: 4.5rem; display: block }
rect { fill: var(--bar) } details { margin: .2rem 0 } summary { cursor: pointer }
"""


def page(report: Mapping[str, Any]) -> str:
    """Return the whole page.

    Args:
        report: What ``measure`` returned.
    """
    results = report["results"]
    share = results["kept"] / max(1, results["records"])
    rate = results["bytes_read"] / 1e6 / max(1e-9, results["cpu_seconds"])
    figures = [
        ("records read 读入", results["records"]),
        ("kept 保留", results["kept"]),
        ("kept share 保留率", f"{share:.1%}"),
        ("characters kept 保留字数", report["kept"]["chars"]),
        ("unreadable 不可读", results["unreadable"]),
        ("MB per CPU-second 每核秒", rate),
    ]
    parts = [
        "<!doctype html><html lang='zh'><head><meta charset='utf-8'>",
        "<meta name='viewport' content='width=device-width, initial-scale=1'>",
        f"<title>研墨 · corpus report · {escape(report['recipe'])}</title><style>{_STYLE}</style></head><body>",
        f"<h1>语料报告 · Corpus report</h1><p class='lead'>recipe {escape(report['recipe'])}</p>",
        "<div class='figures'>" + "".join(f"<div><b>{_cell(v)}</b>{escape(k)}</div>" for k, v in figures) + "</div>",
        _section("Funnel 漏斗", _funnel(report["steps"], results["records"])),
        _section("Sources and domains 来源与领域", _table(report["by_domain"], _DOMAIN)),
        _section("Buckets 分桶", _table(report["by_bucket"], _BUCKET)),
        _section("Why documents were rejected 剔除原因", _reasons(report["reasons"])),
        _section("Signals of the kept 保留文档的信号", _histograms(report["signals"])),
        _section("Samples by bucket 各桶样例", _samples(report["samples"])),
    ]
    if report["unreadable"]:
        columns = {"file": "file", "offset": "byte", "cause": "cause"}
        parts.append(_section("Unreadable records 不可读的记录", _table(report["unreadable"], columns)))
    return "\n".join([*parts, "</body></html>\n"])


_DOMAIN = {
    "source": "source",
    "domain": "domain",
    "kept": "kept",
    "rejected": "rejected",
    "kept_chars": "characters kept",
}
_BUCKET = {
    "bucket": "bucket",
    "documents": "documents",
    "chars": "characters",
    "perplexity": "median perplexity",
    "quality": "median quality",
}


def _cell(value: object) -> str:
    return escape(format_cell(value))


def _section(title: str, body: str) -> str:
    return f"<h2>{escape(title)}</h2>{body}"


def _table(rows: Sequence[Mapping[str, Any]], columns: Mapping[str, str]) -> str:
    shown = [name for name in columns if any(name in row for row in rows)]
    numeric = {name for name in shown if all(isinstance(row.get(name), int | float | None) for row in rows)}

    def line(tag: str, cells: Iterable[tuple[str, str]]) -> str:
        return "<tr>" + "".join(f"<{tag}{' class=n' if n in numeric else ''}>{c}</{tag}>" for n, c in cells) + "</tr>"

    head = line("th", ((name, escape(columns[name])) for name in shown))
    body = "".join(line("td", ((name, _cell(row.get(name))) for name in shown)) for row in rows)
    return f"<div class='wide'><table>{head}{body}</table></div>"


def _funnel(steps: Sequence[Mapping[str, Any]], records: int) -> str:
    rows = []
    for step in steps:
        reasons = ", ".join(f"{reason} {count:,}" for reason, count in step["reasons"].items())
        width = 16 * step["rows_out"] / max(1, records)
        rows.append(
            f"<tr><td>{escape(step['name'])}</td><td class=n>{step['rows_in']:,}</td>"
            f"<td class=n>{step['rows_out']:,}</td><td><span class='share' style='width:{width:.2f}rem'></span></td>"
            f"<td>{escape(reasons)}</td><td class=n>{step['cpu_seconds']:.2f}</td></tr>"
        )
    head = "<tr><th>step<th class=n>in<th class=n>out<th><th>rejected for<th class=n>CPU s</tr>"
    return f"<div class='wide'><table>{head}{''.join(rows)}</table></div>"


def _reasons(reasons: Sequence[Mapping[str, Any]]) -> str:
    parts = []
    for reason in reasons:
        shown = []
        for example in reason["examples"]:
            of = f" ⟵ {escape(example['duplicate_of'])}" if example["duplicate_of"] else ""
            label = f"{escape(example['id'])} · {escape(example['detail'] or '')}{of}"
            shown.append(f"<div>{label}</div><div class='text'>{escape(example['text'])}</div>")
        title = f"{escape(reason['stage'])} · {escape(reason['reason'])} · {reason['documents']:,}"
        parts.append(f"<details><summary>{title}</summary>{''.join(shown)}</details>")
    return "".join(parts) or "<p>none</p>"


def _histograms(signals: Sequence[Mapping[str, Any]]) -> str:
    figures = []
    for signal in signals:
        counts = signal["counts"]
        if not counts:
            continue
        top, width = max(counts), 100 / len(counts)
        bars = "".join(
            f"<rect x='{n * width:.2f}' y='{40 - 40 * c / top:.2f}' "
            f"width='{width * 0.9:.2f}' height='{40 * c / top:.2f}'/>"
            for n, c in enumerate(counts)
        )
        low, mid, high = (format_cell(signal[key]) for key in ("low", "p50", "high"))
        figures.append(
            f"<figure><svg viewBox='0 0 100 40' preserveAspectRatio='none' role='img'>{bars}</svg>"
            f"<figcaption>{escape(signal['signal'])}: {low} … median {mid} … {high}</figcaption></figure>"
        )
    return f"<div class='grid'>{''.join(figures)}</div><p class='lead'>from the 1st to the 99th percentile</p>"


def _samples(samples: Sequence[Mapping[str, Any]]) -> str:
    parts = []
    for bucket in samples:
        texts = "".join(
            f"<div>{escape(one['id'])} · {escape(one['domain'])}</div><div class='text'>{escape(one['text'])}</div>"
            for one in bucket["examples"]
        )
        parts.append(f"<details><summary>{escape(bucket['bucket'])}</summary>{texts}</details>")
    return "".join(parts)
