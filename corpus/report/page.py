"""The report as one HTML page: how the corpus came about, what is in it, what was left out, and why.

Everything that comes from documents is escaped (``html``); a hostile title is shown, not run.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from corpus.report import html
from corpus.report.charts import distributions
from corpus.report.html import Html, bar, details, document, percent, table
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
        ("buckets", "Buckets 分桶", _buckets(report)),
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
        one: dict[str, Any] = {"operation": {"raw": "raw 读入", "effective": "effective 有效"}.get(row["kind"], row["operation"])}
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
    more = f"<p class='soft'>and {len(rest):,} more domains: {sum(row['kept'] for row in rest):,} kept</p>" if rest else ""
    return table(shown, columns) + more


def _buckets(report: Mapping[str, Any]) -> str:
    columns = {
        "bucket": "bucket 桶",
        "documents": "documents 文档",
        "chars": "characters 字数",
        "tokens": "tokens 词元",
        "perplexity": "median perplexity 困惑度中位数",
        "quality": "median quality 质量中位数",
    }
    return table(report["by_bucket"], columns) + _joined(report["joined"]) + _proxy(report["proxy"])


def _joined(joined: Mapping[str, Any] | None) -> str:
    title = "<h3>Perplexity bucket × quality quantile 困惑度桶与质量分位</h3>"
    if joined is None:
        return title + "<p class='soft'>No document has a quality score. 没有质量分。</p>"
    count = joined["quantiles"]
    whole = max(1, sum(cell["documents"] for cell in joined["cells"]))
    names = [f"q{n}" for n in range(1, count + 1)]
    head = "".join(f"<th class=n>{name}{' lowest 最低' if name == 'q1' else ''}{' highest 最高' if name == names[-1] else ''}</th>" for name in names)
    lines = []
    for bucket in dict.fromkeys(cell["bucket"] for cell in joined["cells"]):
        cells = [cell for cell in joined["cells"] if cell["bucket"] == bucket]
        filled = "".join(
            f"<td class=n style='background:color-mix(in srgb, var(--bar) {min(80, 600 * c['documents'] / whole):.0f}%, transparent)'>"
            f"{c['documents']:,}<br><span class='soft'>{100 * c['documents'] / whole:.1f} %</span></td>"
            for c in cells
        )
        lines.append(f"<tr><td>{html.text(bucket)}</td>{filled}</tr>")
    begins = table(joined["begins"], {"lang": "language 语种", "documents": "documents 文档", **{n: n for n in names}})
    unknown = f" {joined['unknown']:,} documents have no score." if joined["unknown"] else ""
    return (
        f"{title}<div class='wide heat'><table><tr><th>bucket 桶</th>{head}</tr>{''.join(lines)}</table></div>"
        f"<p class='soft'>Quantiles of quality within each language, over the kept. 质量分位按语种、在保留文档内计算。{unknown}</p>"
        + details("where each quantile begins 各分位起点", begins)
    )


_VERDICTS = {"better": "beats 胜过", "worse": "loses to 不及", "no difference": "no different from 与之无异"}


def _proxy(proxy: Mapping[str, Any]) -> str:
    title = "<h3>What is learnt from each bucket 各桶可学到什么</h3>"
    if "skipped" in proxy:
        return f"{title}<p class='soft'>{html.text('Not judged: ' + proxy['skipped'] + '. 未评判。')}</p>"
    held = proxy["held_out"]
    rows = [{**one, "unseen_share": percent(one["unseen_share"], 2)} for one in proxy["buckets"]]
    columns = {
        "bucket": "trained on 训练于",
        "train_chars": "characters 字数",
        "bits_per_char": "bits per character 每字比特",
        "perplexity": "perplexity 困惑度",
        "unseen_share": "unseen characters 未见字",
    }
    said = []
    for pair in proxy["pairs"]:
        size = f"{pair['gain']:+.3f} ± {pair['standard_error']:.3f} bits"
        said.append(f"{pair['bucket']} {_VERDICTS[pair['verdict']]} {pair['against']} ({size})")
    what = "reference domains 参考领域" if held["reference"] else "all domains 全部领域"
    if proxy["order_holds"]:
        end = "Head beats middle beats tail, as the buckets promise. 头、中、尾依次递减，分桶有效。"
    else:
        end = "Head, middle, tail do not stand in that order on this text: do not weight by bucket on this evidence. 三桶在此文本上并非依次递减，不宜据此加权。"
    domains = "、".join(name or "–" for name in held["domains"][:12])
    return (
        f"{title}<p>A character {proxy['order']}-gram model of each bucket, as many characters and the same domains for each, "
        f"predicts {held['documents']:,} held-out documents ({held['chars']:,} characters) of {html.text(what)}: {html.text(domains)}. "
        f"Fewer bits are better. 每桶取同样字数、同样领域训练字符模型，预测同一批留出文本；比特越少越好。</p>{table(rows, columns)}"
        f"<p>{html.text('; '.join(said))}.</p><p><b>{html.text(end)}</b></p>"
        "<p class='soft'>The buckets are cut by a model of such text, so this checks the cut and does not prove quality; the errors are of "
        "the held-out documents, not of the training sample. 分桶所依据的模型也出自同类文本，故此为核验而非证明。"
        f" {proxy['cpu_seconds']:.2f} CPU s.</p>"
    )


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
        title = f"{reason['stage']} · {reason['reason']} · {reason['documents']:,} documents, {reason['chars']:,} characters{more}"
        parts.append(details(title, shown))
    return "".join(parts) or "<p>none 无</p>"


def _clusters(clusters: Mapping[str, Any]) -> str:
    if not clusters["clusters"]:
        return "<p>none 无</p>"
    sizes = []
    for one in clusters["sizes"]:
        upper = "+" if one["to"] is None else "" if one["to"] == one["from"] else f"–{one['to']:,}"
        sizes.append({"size": f"{one['from']:,}{upper}", "clusters": one["clusters"], "duplicates": one["duplicates"]})
    columns = {"size": "documents in a cluster 簇内文档", "clusters": "clusters 簇数", "duplicates": "duplicates rejected 剔除的重复"}
    parts = [
        f"<p>{clusters['documents']:,} documents say what another says, in {clusters['clusters']:,} clusters. The root of a "
        "chain of duplicates is the document that stood for them. 重复链的尽头为该簇的代表。</p>",
        table(sizes, columns),
    ]
    for key, title in (("near", "Largest with near-duplicates 含近似重复的最大簇"), ("exact", "Largest of exact copies 完全重复的最大簇")):
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
            known = [f"{name} {format_cell(one[name])}" for name in ("perplexity", "quality") if one.get(name) is not None]
            texts.append(document((one["id"], one["domain"], one["title"], *known), one["text"]))
        parts.append(details(bucket["bucket"], "".join(texts), opened=True))
    return "".join(parts)
