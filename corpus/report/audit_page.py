"""The audit as HTML: a page of figures to file, and pages of the sample for people to read.

Cost: 370 MB of sample per CPU-second. Nothing that comes from documents is run (``html``).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from corpus.report import html
from corpus.report.html import Html, details, document, percent, table

PAGE = 500  # documents a page of the sample
PAGE_CHARS = 5_000  # of a document; the table has more

_STATES = {
    "met": "<span class='good'>met 达到</span>",
    "missed": "<span class='bad'>missed 未达到</span>",
    "pending": "pending 待评",
    "not run": "not run 未做",
    "short": "<span class='bad'>short 不足</span>",
}
_CATEGORIES = {
    "politics": "政治",
    "terror": "暴恐",
    "porn": "色情",
    "gambling": "赌博",
    "drugs": "毒品",
    "fraud": "诈骗",
    "insult": "辱骂",
    "spam": "垃圾广告",
}
_KINDS = {"open": "open 开源", "own": "own 自采", "commercial": "commercial 商业", "users": "users 使用者输入"}


def audit_page(report: Mapping[str, Any], pages: int) -> str:
    """Return the page of an audit.

    Args:
        report: What ``audit.json`` holds.
        pages: Pages of the sample, ``sample-1.html`` and so on.
    """
    standard = report["standard"]
    rows = [{**gate, "state": Html(_STATES[gate["state"]])} for gate in report["gates"]]
    columns = {
        "gate": "figure 指标",
        "state": "state 状态",
        "clause": "clause 条款",
        "found": "found 结果",
        "needed": "needed 要求",
    }
    sections = [
        ("gates", "Figures of the standard 标准指标", table(rows, columns)),
        ("origin", "Origin and licence of each source 来源与许可", _origins(report["sources"])),
        ("harmful", "Harmful content by source 各来源违法不良信息", _harmful(report)),
        ("machines", "Keywords and classifier 关键词与分类模型", _keywords(report) + _classifier(report)),
        ("people", "Reading by people 人工抽检", _people(report, pages)),
        ("limits", "What this does not tell 局限", _limits(report)),
    ]
    made = f"recipe {report['recipe']} · fingerprint {report['fingerprint']} · seed {report['seed']}"
    lead = f"{report['corpus']} · {standard['title']} · {made}"
    return html.page(f"语料审计 Corpus audit · {standard['name']}", lead, sections)


def _origins(sources: Sequence[Mapping[str, Any]]) -> str:
    rows = []
    for one in sources:
        said = one["origin"]
        row = {"source": one["source"], "read": sum(one["documents"].values())}
        row |= {name: said[name] for name in ("origin", "licence", "evidence", "collected", "note")}
        row |= {"kind": _KINDS.get(said["kind"], said["kind"]), "in": "、".join(said["stated_in"]) or None}
        rows.append(row)
    columns = {
        "source": "source 来源",
        "read": "documents read 读入文档",
        "origin": "origin 出处",
        "kind": "kind 类型",
        "licence": "licence 许可",
        "evidence": "evidence 凭证",
        "collected": "collected 采集时间",
        "note": "note 备注",
        "in": "stated in 声明于",
    }
    return f"<p>As its owner declares it; nothing is inferred. 以所有者的声明为准，未作推断。</p>{table(rows, columns)}"


def _harmful(report: Mapping[str, Any]) -> str:
    standard = report["standard"]
    limit = standard["source"]["max_harmful_share"]
    names = list(dict.fromkeys(name for one in report["sources"] for name in one["categories"]))
    rows = []
    for one in report["sources"]:
        seen = max(1, one["collected"]["sampled"])
        row: dict[str, Any] = {"source": one["source"], "sampled": one["collected"]["sampled"]}
        row |= {side: _interval(one[side], limit) for side in ("collected", "kept")}
        rows.append(row | {name: percent(one["categories"].get(name, 0) / seen, 2) for name in names})
    columns = {
        "source": "source 来源",
        "sampled": "sampled 抽样",
        "collected": "harmful, as collected 采集时",
        "kept": "harmful, as kept 保留后",
        **{name: f"{name} {_CATEGORIES.get(name, '')}" for name in names},
    }
    told = ", ".join(standard["told"])
    note = f" Not counted as harmful, only told: {told}. 仅列出、不计入：{told}。" if told else ""
    return (
        "<p>Share of documents that the keyword check finds harmful: of all that was read of a source, and of what is "
        f"kept; with 95 % intervals, flagged over {100 * limit:g} %. Categories are of all that was read."
        f"{html.text(note)}采集时指读入的全部文档，保留后指清洗所余；括号内为 95 % 置信区间。</p>"
        f"{table(rows, columns)}"
    )


def _interval(share: Mapping[str, Any], limit: float) -> Html:
    if share["share"] is None:
        return Html("–")
    cell = f"{100 * share['share']:.2f} % ({100 * share['low']:.1f}–{100 * share['high']:.1f})"
    return Html(f"<span class='bad'>{cell}</span>" if share["share"] > limit else cell)


def _keywords(report: Mapping[str, Any]) -> str:
    words, standard = report["keywords"], report["standard"]
    limit = standard["technical"]["keyword_score"]
    rows = [
        {"category": f"{name} {_CATEGORIES.get(name, '')}", "terms": count, "group": standard["harmful"].get(name)}
        for name, count in words["terms_by_category"].items()
    ]
    columns = {"category": "category 类别", "terms": "terms 词数", "group": "group in appendix A 附录 A 分组"}
    return (
        f"<p>Keywords: {html.text(words['library'])}; {words['terms']:,} terms. Of {words['sampled']:,} kept documents "
        f"{words['failed']:,} fail: they score {limit:g} or more in a harmful category. {words['any_hit']:,} have any "
        "word of the lists that tells something in their domain, which by itself is no fault. "
        f"得分达到 {limit:g} 者不合格；仅含个别词语不算不合格。</p>{table(rows, columns)}"
        + _worst("Documents that fail by keywords 关键词不合格的文档", words["worst"])
    )


def _classifier(report: Mapping[str, Any]) -> str:
    model, limit = report["classifier"], report["standard"]["technical"]["classifier_probability"]
    if model is None:
        return "<p class='soft'>No classification model was given (--classifier FILE). 未提供分类模型。</p>"
    labels = "、".join(model["harmful_labels"])
    return (
        f"<p>Classification model {html.text(model['model'])}, harmful labels {html.text(labels)}: "
        f"of {model['sampled']:,} kept documents {model['failed']:,} fail, at a probability of {limit:g} or more, "
        "by their first 1,000 characters. 分类模型据文档前一千字判定。</p>"
        + _worst("Documents that fail by the model 分类模型不合格的文档", model["worst"])
    )


def _worst(title: str, rows: Sequence[Mapping[str, Any]]) -> str:
    shown = "".join(
        document((one["id"], one["domain"], one["title"], f"score {one['score']:.2f}", one["why"]), one["text"])
        for one in rows
    )
    return details(f"{title} ({len(rows)})", shown) if rows else ""


def _people(report: Mapping[str, Any], pages: int) -> str:
    people = report["people"]
    rate = "–" if people["pass_rate"] is None else f"{100 * people['pass_rate']:.2f} %"
    links = " ".join(f"<a href='sample-{n}.html'>{n}</a>" for n in range(1, pages + 1))
    parts = [
        f"<p>{people['sample']:,} documents, drawn by the seed in proportion to source and bucket, are laid out in "
        "sample.csv, whose column verdict is for pass or fail. "
        "按来源与分桶等比例抽取；在 sample.csv 的 verdict 列填写“合格”或“不合格”。</p>"
        f"<p>Pages 页：{links}</p>"
        f"<p>Read 已读：{people['read']:,}; failed 不合格：{people['failed']:,}; pass rate 合格率：<b>{rate}</b></p>"
    ]
    if people["sample"] < people["asked"]:
        note = f"The corpus has fewer than the {people['asked']:,} asked for: all of it is to be read."
        parts.append(f"<p>{note} 语料不足，须全部阅读。</p>")
    rows = [
        {
            "source": name,
            **one,
            "pass": percent((one["read"] - one["failed"]) / max(1, one["read"]), 2),
            "why": ", ".join(f"{word} {n:,}" for word, n in people["categories"].get(name, {}).items()),
        }
        for name, one in people["by_source"].items()
    ]
    columns = {
        "source": "source 来源",
        "read": "read 已读",
        "failed": "failed 不合格",
        "pass": "pass 合格率",
        "why": "for 原因",
    }
    return "".join(parts) + (table(rows, columns) if rows else "")


def _limits(report: Mapping[str, Any]) -> str:
    words, lexicon = report["keywords"], report["standard"]["lexicon"]
    said = []
    if words["terms"] < lexicon["min_terms"]:
        said.append(
            f"The keyword library has {words['terms']:,} terms; {lexicon['clause']} asks for {lexicon['min_terms']:,}. "
            "Give your own lists by --sensitive DIR. 关键词库规模不足，请提供自有词库。"
        )
    if words["without_terms"]:
        names = ", ".join(words["without_terms"])
        said.append(f"No term of the library belongs to {names}. 词库中没有这些类别的词。")
    groups = "、".join(dict.fromkeys(report["standard"]["harmful"].values()))
    said += [
        f"Keywords cover the groups {groups} of appendix A in part; discrimination, infringement and accuracy need "
        "people or a model. 关键词只部分覆盖附录 A 的分组；歧视、侵权与准确性须靠人工或模型。",
        "A document that the build rejected by the same lists cannot be found again among the kept; a check by other "
        "lists, by a model and by people says more. 清洗与核验若用同一词库，则不独立，应辅以他种词库、模型与人工。",
        "A share of a sample has an error, told as an interval; the state goes by the share itself. "
        "抽样比例有误差；状态按比例本身判定。",
        "Whether a licence permits training is a lawyer's question. 许可是否允许训练，须由法务判断。",
    ]
    return "<ul>" + "".join(f"<li>{html.text(one)}</li>" for one in said) + "</ul>"


def sample_pages(documents: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """Yield the pages of the sample.

    Args:
        documents: id, source, domain, bucket, title, text, in the order of the table.
    """
    pages = max(1, -(-len(documents) // PAGE))
    for number in range(1, pages + 1):
        first = (number - 1) * PAGE
        shown = documents[first : first + PAGE]
        others = [f"<a href='sample-{n}.html'>{n}</a>" if n != number else f"<b>{n}</b>" for n in range(1, pages + 1)]
        links = "<a href='audit.html'>audit 审计</a> · " + " ".join(others)
        parts = []
        for n, one in enumerate(shown, first + 1):
            text = str(one["text"])
            cut = text[:PAGE_CHARS] + (f"…（全文 {len(text):,} 字，见 sample.csv）" if len(text) > PAGE_CHARS else "")
            parts.append(document((n, one["id"], one["domain"], one["title"]), cut))
        parts = [f"<div class='reading'>{''.join(parts)}</div>"]
        title = "人工抽检样本 Sample for reading"
        lead = f"{first + 1:,}–{first + len(shown):,} / {len(documents):,}"
        yield html.page(title, lead, [("read", "Documents 文档", "".join(parts))], f"<p>{links}</p>")
