"""The report as one HTML page: how the corpus came about, what is in it, what was left out, and why.

Everything that comes from documents is escaped (``html``); a hostile title is shown, not run.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from corpus.report import html
from corpus.report.charts import distributions
from corpus.report.html import Html, bar, details, document, percent, table
from corpus.report.page_buckets import buckets
from workbench.console import format_cell

DOMAINS = 60  # rows of the table of domains; the others are summed up


def page(report: Mapping[str, Any]) -> str:
    """Return the whole page.

    Args:
        report: What ``measure`` returned.
    """
    results = report["results"]
    rate = results["bytes_read"] / 1e6 / max(1e-9, results["cpu_seconds"])
    raw = next(row for row in report["ledger"]["total"] if row["kind"] == "raw")
    entries: list[tuple[str, object]] = [
        ("records read 读入文档", results["records"]),
        ("kept 保留文档", results["kept"]),
        ("kept share 保留率", percent(results["kept"] / max(1, results["records"]))),
        ("effective characters 有效字数", report["kept"]["chars"]),
        ("of all characters 占读入字数", percent(report["kept"]["chars"] / max(1, raw["chars"]))),
    ]
    if "tokens" in report["kept"]:
        entries.append(("effective tokens 有效词元", report["kept"]["tokens"]))
    entries += [("unreadable 不可读", results["unreadable"]), ("MB per CPU-second 每核秒", rate)]
    reasons = {(one["stage"], one["reason"]): one["documents"] for one in report["reasons"]}
    sections = [
        ("ledger", "Ledger 账本", _ledger(report["ledger"])),
        ("funnel", "Funnel 漏斗", _funnel(report["steps"], results["records"])),
        ("domains", "Sources and domains 来源与领域", _domains(report["by_domain"])),
        ("buckets", "Buckets 分桶", buckets(report)),
        ("reasons", "Why documents were rejected 剔除原因", _reasons(report["reasons"])),
        ("duplicates", "Duplicates 重复簇", _clusters(report["clusters"])),
        ("signals", "Signals and thresholds 信号与阈值", distributions(report["signals"], reasons)),
        ("samples", "Samples by bucket 各桶样例", _samples(report["samples"])),
    ]
    if report["unreadable"]:
        columns = {"file": "file 文件", "offset": "byte 字节", "cause": "cause 原因"}
        sections.append(("unreadable", "Unreadable records 不可读的记录", table(report["unreadable"], columns)))
    lead = f"recipe 配方 {report['recipe']}"
    return html.page("语料报告 Corpus report", lead, sections, html.figures(entries))


def _ledger(ledger: Mapping[str, Any]) -> str:
    sources = sorted({row["source"] for row in ledger["rows"]})
    parts = [
        "<p>raw − everything taken = effective, exactly, in every column. Text taken inside documents is counted "
        "where a step rewrites them; below zero means that it made them longer. "
        "读入减去各步所取，恰等于有效；文档内删去的文字记在改写它的那一步，负数表示变长。</p>",
        _account(ledger["total"]),
    ]
    if ledger["tokenizer"] is None:
        note = "Tokens were not counted: corpus build --tokenizer DIR does. 未统计词元。"
    else:
        note = f"Tokens are counted by {ledger['tokenizer']}. 词元由该分词器统计。"
    parts.append(f"<p class='soft'>{html.text(note)}</p>")
    if len(sources) > 1:
        for source in sources:
            parts.append(details(source, _account([row for row in ledger["rows"] if row["source"] == source])))
    return "".join(parts)


def _account(rows: Sequence[Mapping[str, Any]]) -> str:
    raw = max(1, rows[0]["chars"])
    left, shown = 0, []
    for row in rows:
        sign = 1 if row["kind"] in ("raw", "effective") else -1
        left = row["chars"] if sign == 1 else left - row["chars"]
        one: dict[str, Any] = {
            "operation": {"raw": "raw 读入", "effective": "effective 有效"}.get(row["kind"], row["operation"])
        }
        for name in ("documents", "rewritten", "chars", "tokens"):
            if name in row:
                hidden = name == "documents" and row["kind"] == "inside"
                one[name] = None if hidden else row[name] if name == "rewritten" else sign * row[name]
        shown.append({**one, "share": percent(sign * row["chars"] / raw, 2), "left": bar(left / raw)})
    columns = {
        "operation": "operation 操作",
        "documents": "documents 文档",
        "rewritten": "texts rewritten 改写",
        "chars": "characters 字数",
        "tokens": "tokens 词元",
        "share": "of raw 占读入",
        "left": "left 剩余",
    }
    return table(shown, columns, sums=(0, len(rows) - 1))


def _funnel(steps: Sequence[Mapping[str, Any]], records: int) -> str:
    rows = []
    for step in steps:
        reasons = ", ".join(f"{reason} {count:,}" for reason, count in step["reasons"].items())
        row = {"step": step["name"], "in": step["rows_in"], "out": step["rows_out"]}
        row["bar"] = bar(step["rows_out"] / max(1, records))
        rows.append({**row, "reasons": reasons, "cpu": step["cpu_seconds"]})
    columns = {"step": "step 步骤", "in": "in 进", "out": "out 出", "bar": ""}
    columns |= {"reasons": "rejected for 剔除", "cpu": "CPU s 秒"}
    sources = sorted({source for step in steps for source in step["by_source"]})
    parts = [table(rows, columns)]
    if len(sources) > 1:
        parts.append("<h3>Documents left, by source 各来源所余文档</h3>")
        first = {source: max(1, steps[0]["by_source"][source]["rows_out"]) for source in sources}
        cells = [
            {"step": step["name"]}
            | {source: step["by_source"][source]["rows_out"] for source in sources}
            | {f"{source}%": percent(step["by_source"][source]["rows_out"] / first[source]) for source in sources}
            for step in steps
        ]
        columns = {"step": "step 步骤"}
        for source in sources:
            columns |= {source: source, f"{source}%": ""}
        parts.append(table(cells, columns))
    return "".join(parts)


def _domains(rows: Sequence[Mapping[str, Any]]) -> str:
    shown = []
    for row in rows[:DOMAINS]:
        share = row["kept"] / max(1, row["kept"] + row["rejected"])
        shown.append({**row, "share": percent(share)})
    columns = {
        "source": "source 来源",
        "domain": "domain 领域",
        "kept": "kept 保留",
        "rejected": "rejected 剔除",
        "share": "kept share 保留率",
        "kept_chars": "characters kept 保留字数",
        "kept_tokens": "tokens kept 保留词元",
    }
    rest = rows[DOMAINS:]
    more = (
        f"<p class='soft'>and {len(rest):,} more domains: {sum(row['kept'] for row in rest):,} kept</p>" if rest else ""
    )
    return table(shown, columns) + more


def _reasons(reasons: Sequence[Mapping[str, Any]]) -> str:
    parts = []
    for reason in reasons:
        shown = "".join(
            document(
                (one["id"], one["title"], one["detail"], f"⟵ {one['duplicate_of']}" if one["duplicate_of"] else None),
                one["text"],
            )
            for one in reason["examples"]
        )
        sources = ", ".join(f"{name} {count:,}" for name, count in sorted(reason["by_source"].items()))
        more = f" ({sources})" if len(reason["by_source"]) > 1 else ""
        size = f"{reason['documents']:,} documents 文档, {reason['chars']:,} characters 字"
        parts.append(details(f"{reason['stage']} · {reason['reason']} · {size}{more}", shown))
    return "".join(parts) or "<p>none 无</p>"


def _clusters(clusters: Mapping[str, Any]) -> str:
    if not clusters["clusters"]:
        return "<p>none 无</p>"
    sizes = []
    for one in clusters["sizes"]:
        upper = "+" if one["to"] is None else "" if one["to"] == one["from"] else f"–{one['to']:,}"
        sizes.append({"size": f"{one['from']:,}{upper}", "clusters": one["clusters"], "duplicates": one["duplicates"]})
    columns = {
        "size": "documents in a cluster 簇内文档",
        "clusters": "clusters 簇数",
        "duplicates": "duplicates rejected 剔除的重复",
    }
    parts = [
        f"<p>{clusters['documents']:,} documents are in {clusters['clusters']:,} clusters of such as say the same. "
        "The root is where a chain of duplicates ends: the document that stood for all. 重复链的尽头为该簇的代表。</p>",
        table(sizes, columns),
    ]
    for key, title in (
        ("near", "Largest with near-duplicates 含近似重复的最大簇"),
        ("exact", "Largest of exact copies 完全重复的最大簇"),
    ):
        if clusters[key]:
            parts.append(f"<h3>{title}</h3>" + "".join(_cluster(one) for one in clusters[key]))
    return "".join(parts)


def _cluster(one: Mapping[str, Any]) -> str:
    root = one["root"]
    kinds = ", ".join(f"{one[kind]:,} {kind}" for kind in ("near", "exact") if one[kind])
    name = root.get("title") or root["id"]
    shown = [document(("root 代表", root["id"], root.get("domain"), root.get("title")), root.get("text", ""))]
    for member in one["members"]:
        like = Html("") if member["jaccard"] is None else f"Jaccard {format_cell(member['jaccard'])}"
        shown.append(document((member["id"], member.get("title"), like), member.get("text", "")))
    left_out = one["size"] - 1 - len(one["members"])
    more = f"<p class='soft'>and {left_out:,} more</p>" if left_out else ""
    return details(f"{one['size']:,} documents ({kinds}): {name}", "".join(shown) + more)


def _samples(samples: Sequence[Mapping[str, Any]]) -> str:
    parts = []
    for bucket in samples:
        texts = []
        for one in bucket["examples"]:
            known = [
                f"{name} {format_cell(one[name])}" for name in ("perplexity", "quality") if one.get(name) is not None
            ]
            texts.append(document((one["id"], one["domain"], one["title"], *known), one["text"]))
        parts.append(details(bucket["bucket"], "".join(texts), opened=True))
    return "".join(parts)
