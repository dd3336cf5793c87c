"""The report's section on buckets: what they hold, how they meet quality, and what is learnt from each."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from corpus.report import html
from corpus.report.html import details, percent, table

_VERDICTS = {"better": "beats 胜过", "worse": "loses to 不及", "no difference": "does not differ from 无异于"}


def buckets(report: Mapping[str, Any]) -> str:
    """Return the section.

    Args:
        report: What ``measure`` returned.
    """
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
    names = [f"q{n}" for n in range(1, joined["quantiles"] + 1)]
    said = {names[0]: " lowest 最低", names[-1]: " highest 最高"}
    head = "".join(f"<th class=n>{name}{said.get(name, '')}</th>" for name in names)
    whole = max(1, sum(cell["documents"] for cell in joined["cells"]))
    lines = []
    for bucket in dict.fromkeys(cell["bucket"] for cell in joined["cells"]):
        counts = [cell["documents"] for cell in joined["cells"] if cell["bucket"] == bucket]
        filled = "".join(_cell(count, whole, len(joined["cells"])) for count in counts)
        lines.append(f"<tr><td>{html.text(bucket)}</td>{filled}</tr>")
    unknown = f" {joined['unknown']:,} documents have no score 无质量分." if joined["unknown"] else ""
    begins = {"lang": "language 语种", "documents": "documents 文档", **{name: name for name in names}}
    return (
        f"{title}<div class='wide heat'><table><tr><th>bucket 桶</th>{head}</tr>{''.join(lines)}</table></div>"
        "<p class='soft'>Documents, and their share of the kept. Quantiles of quality are taken within each language. "
        f"文档数及其占保留文档之比；质量分位按语种计算。{unknown}</p>"
        + details("where each quantile begins 各分位的起点", table(joined["begins"], begins))
    )


def _cell(count: int, whole: int, cells: int) -> str:
    """Return a cell whose colour is deeper, the more documents it has; an even share is a quarter."""
    deep = min(85, 25 * count * cells / whole)
    colour = f"color-mix(in srgb, var(--bar) {deep:.0f}%, transparent)"
    share = f"<span class='soft'>{100 * count / whole:.1f} %</span>"
    return f"<td class=n style='background:{colour}'>{count:,}<br>{share}</td>"


def _proxy(proxy: Mapping[str, Any]) -> str:
    title = "<h3>What is learnt from each bucket 各桶能学到什么</h3>"
    if "skipped" in proxy:
        return f"{title}<p class='soft'>{html.text('Not judged: ' + proxy['skipped'] + '. 未评判。')}</p>"
    held = proxy["held_out"]
    what = "reference domains 参考领域" if held["reference"] else "all domains 全部领域"
    domains = "、".join(name or "–" for name in held["domains"][:12])
    on = f"{held['documents']:,} held-out documents ({held['chars']:,} characters) of the {what}: {domains}"
    columns = {
        "bucket": "trained on 训练于",
        "train_chars": "characters a model 每模型字数",
        "bits_per_char": "bits per character 每字比特",
        "perplexity": "perplexity 困惑度",
        "unseen_share": "unseen characters 未见字",
    }
    rows = [{**one, "unseen_share": percent(one["unseen_share"], 2)} for one in proxy["buckets"]]
    said = [
        f"{pair['bucket']} {_VERDICTS[pair['verdict']]} {pair['against']} "
        f"({pair['gain']:+.3f} ± {pair['standard_error']:.3f} bits)"
        for pair in proxy["pairs"]
    ]
    return (
        f"{title}<p>Of each bucket, {proxy['models']} character {proxy['order']}-gram models learn from as many "
        f"characters of the same domains, and predict {html.text(on)}. Fewer bits are better. "
        "每桶取同样字数、同样领域训练字符模型，预测同一批留出文本，比特越少越好。</p>"
        f"{table(rows, columns)}<p>{html.text('; '.join(said))}.</p><p><b>{html.text(_verdict(proxy))}</b></p>"
        "<p class='soft'>The buckets were cut by a model of such text, so this checks the cut and proves no quality. "
        "The errors are of the held-out documents and of the training samples; three of them are believed. "
        "分桶所据的模型也出自同类文本，故此为核验而非证明；误差含留出文本与训练样本两部分，超过三倍方作数。"
        f"{proxy['cpu_seconds']:.2f} CPU s.</p>"
    )


def _verdict(proxy: Mapping[str, Any]) -> str:
    if proxy["order_holds"]:
        return "Head beats middle and middle beats tail, as the buckets promise. 头胜中、中胜尾，与分桶相符。"
    return (
        "Head, middle and tail are not shown to stand in that order: this is no ground for weighting by bucket. "
        "未见头、中、尾依次递减，不足以据此加权。"
    )
