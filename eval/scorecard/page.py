"""The judgement as one HTML page on which a team can argue: every score with its reason, every doubt with its cause."""

from __future__ import annotations

from collections.abc import Iterable

from eval.bilingual import Text
from eval.page import both, esc, grid, heading, page, paragraph, stacked
from eval.published import NOT_STATED, Benchmark, Figure
from eval.scorecard.card import Candidate, Fact, SizeClass
from eval.scorecard.figures import Claim, FigureRank, Figures
from eval.scorecard.judge import Judgement, Ranked
from eval.table import number, shots_text

_BY_POINTS = Text("by points", "按分数")
_BY_HAND = Text("by hand", "人工")
_NO_REASON = Text("no reason given", "未给理由")


def scorecard_page(found: Judgement, figures: Figures, benchmarks: Iterable[Benchmark]) -> str:
    """Return the whole page.

    Args:
        found: The judgement.
        figures: What benchmark figures say of it.
        benchmarks: The columns of the published table, for their names.
    """
    names = {benchmark.id: benchmark.name for benchmark in benchmarks}
    parts = [
        *(paragraph(text, "lead") for text in found.card.about),
        _winners(found),
        _ranking(found),
        _scores(found),
        _beside(found, figures, names),
        _eliminated(found, figures, names),
        _candidates(found),
        _families(found),
    ]
    return page(found.card.title, parts)


def _th(en: str, zh: str, kind: str = "") -> str:
    return f"<th{f' class={kind}' if kind else ''}>{both(Text(en, zh))}"


def _points(value: float | None) -> str:
    return "–" if value is None else f"{value:g}"


def _winners(found: Judgement) -> str:
    cards = []
    for size_class in found.card.classes:
        who = found.winner(size_class.id)
        if who is None:
            tied = any(ranked.place == 1 for ranked in found.ranking[size_class.id])
            name = both(Text("a tie", "并列") if tied else Text("nobody", "无"))
        else:
            first = found.ranking[size_class.id][0]
            name = f"{both(found.name(who))} <small>{esc(first.size.text)} · {_how(first)}</small>"
        cards.append(f"<div>{both(size_class.name)}<span class='big'>{name}</span></div>")
    return heading("各档首选", "Winner by class") + f"<div class='cards'>{''.join(cards)}</div>"


def _how(one: Ranked) -> str:
    return both(_BY_POINTS if one.by_hand is None else _BY_HAND)


def _ranking(found: Judgement) -> str:
    return heading("排名", "Ranking") + "".join(_class(found, size_class) for size_class in found.card.classes)


def _class(found: Judgement, size_class: SizeClass) -> str:
    head = [_th("Place", "名次"), _th("Candidate", "候选"), _th("Size", "规模"), _th("Total", "总分", "n")]
    head += [_th("By", "依据"), _th("Reason", "理由", "w")]
    rows = [
        f"<tr><td>{one.place}<th class='s'>{both(found.name(one.candidate))}<td>{esc(one.size.text)}"
        f"<td class='n'>{_points(one.total)}<td class='s'>{_how(one)}"
        f"<td>{stacked(one.by_hand) if one.by_hand else '–'}</tr>"
        for one in found.ranking[size_class.id]
    ]
    if not rows:
        rows = [f"<tr><td colspan='6'>{both(Text('Nobody has a place here.', '此档无人排名。'))}</tr>"]
    return f"<h3>{both(size_class.name)}</h3>{grid(head, rows)}"


def _scores(found: Judgement) -> str:
    card, over = found.card, {(x.candidate, x.criterion) for x in found.excesses}
    if not card.scores:
        return ""
    head = [_th("Criterion", "标准"), _th("Reference", "参考分", "n")]
    for who in card.scores:
        head += [f"<th class='n'>{both(found.name(who))}", _th("Reason", "理由", "w")]
    rows = []
    for criterion in card.criteria:
        line = [f"<tr><th>{stacked(criterion.name)}<td class='n'>{_points(criterion.reference_points)}"]
        for who, scores in card.scores.items():
            score, above = scores[criterion.id], (who, criterion.id) in over
            mark = f" <small>&gt; {_points(criterion.reference_points)}</small>" if above else ""
            line.append(f"<td class='n{' over' if above else ''}'>{score.points:g}{mark}")
            line.append(f"<td>{stacked(score.reason) if score.reason else f'<small>{both(_NO_REASON)}</small>'}")
        rows.append("".join([*line, "</tr>"]))
    total = [f"<tr><th>{stacked(Text('Total', '总分'))}<td class='n'>{found.reference_total:g}"]
    total += [f"<td class='n'><b>{found.totals[who]:g}</b><td>" for who in card.scores]
    rows.append("".join([*total, "</tr>"]))
    parts = [heading("打分", "Scores"), paragraph(card.reference_note, "lead") if card.reference_note else ""]
    if over:
        text = Text(
            "Tinted: points above the reference points of their criterion. They are shown, and not changed.",
            "底色标出高于参考分的得分，仅作提示，不作改动。",
        )
        parts.append(paragraph(text, "lead"))
    return "".join([*parts, grid(head, rows)])


def _figure(figure: Figure | None) -> str:
    if figure is None:
        return "–"
    return (
        f"{number(figure.value)} <small class='s'>{esc(figure.kind or NOT_STATED)} · {shots_text(figure.shots)}</small>"
    )


def _beside(found: Judgement, figures: Figures, names: dict[str, str]) -> str:
    if not figures.ranks:
        return ""
    scored = list(found.card.scores)
    head = [_th("Criterion", "标准"), _th("Benchmark", "评测")]
    head += [f"<th>{both(found.name(who))}" for who in scored]
    head += [_th("Against the typed order", "与所打分的次序"), _th("Comparable", "可比")]
    criteria = {criterion.id: criterion for criterion in found.card.criteria}
    rows, before = [], ""
    for rank in figures.ranks:
        if rank.criterion != before:
            rows.append(_typed(found, rank, criteria[rank.criterion].name, scored))
            before = rank.criterion
        grey = " class=grey" if rank.why_not else ""
        line = [f"<tr><td><td>{esc(names[rank.benchmark])}"]
        line += [f"<td{grey}>{_placed(rank, who)}" for who in scored]
        line += [
            "<td>" + (both(Text("agrees", "一致")) if rank.agrees else f"<b>≠ {both(Text('disagrees', '不一致'))}</b>")
        ]
        line += [f"<td>{stacked(rank.why_not) if rank.why_not else both(Text('yes', '是'))}</tr>"]
        rows.append("".join(line))
    lead = Text(
        "Typed scores stand. Beside them, the rank that published figures give, and where the two orders disagree. "
        "Grey figures are not comparable with one another.",
        "所打的分数不变。旁列公开分数得出的名次，并标出两者不一致之处。灰色分数彼此不可比。",
    )
    return heading("与公开分数对照", "Beside the published figures") + paragraph(lead, "lead") + grid(head, rows)


def _typed(found: Judgement, rank: FigureRank, name: Text, scored: list[str]) -> str:
    cells = []
    for who in scored:
        points = found.card.scores[who][rank.criterion].points
        place = f"{rank.typed[who]}. " if who in rank.typed else ""
        cells.append(f"<td>{place}{points:g} <small>{both(Text('points', '分'))}</small>")
    head = f"<th class='s'>{stacked(name)}<td class='s'>{both(Text('typed', '所打分'))}"
    return f"<tr class='own'>{head}{''.join(cells)}<td><td></tr>"


def _placed(rank: FigureRank, who: str) -> str:
    return f"{rank.ranks[who]}. {_figure(rank.figures[who])}" if who in rank.figures else "–"


def _eliminated(found: Judgement, figures: Figures, names: dict[str, str]) -> str:
    if not found.card.eliminated:
        return ""
    head = [_th("Candidate", "候选"), _th("Rule", "规则", "w"), _th("Reason", "理由", "w")]
    rows = [
        f"<tr><th class='s'>{both(found.name(gone.candidate))}<td>{stacked(found.card.rules[gone.rule])}"
        f"<td>{stacked(gone.reason)}</tr>"
        for gone in found.card.eliminated.values()
    ]
    return heading("淘汰", "Eliminated") + grid(head, rows) + _claims(found, figures.claims, names)


def _claims(found: Judgement, claims: tuple[Claim, ...], names: dict[str, str]) -> str:
    parts = []
    for who in dict.fromkeys(claim.candidate for claim in claims):
        mine = [claim for claim in claims if claim.candidate == who]
        others = list(mine[0].others)
        head = [_th("Benchmark", "评测"), f"<th>{both(found.name(who))}"]
        head += [f"<th>{both(found.name(other))}" for other in others]
        head += [_th("The claim", "对该理由"), _th("Comparable", "可比")]
        rows = [_claim(claim, others, names[claim.benchmark]) for claim in mine]
        lead = Text(
            "The elimination is a decision that was typed. These are the published figures it speaks of; grey ones are "
            "not comparable with one another.",
            "淘汰是人工决定。下列为其所指的公开分数，灰色者彼此不可比。",
        )
        name = found.name(who)
        title = Text(f"{name.en}: the decision and the figures", f"{name.zh}：决定与分数")
        parts.append(f"<h3>{both(title)}</h3>{paragraph(lead, 'lead')}{grid(head, rows)}")
    return "".join(parts)


def _claim(claim: Claim, others: list[str], benchmark: str) -> str:
    grey = " class=grey" if claim.why_not else ""
    cells = "".join(f"<td{grey}>{_figure(figure)}" for figure in (claim.figure, *(claim.others[x] for x in others)))
    why = stacked(claim.why_not) if claim.why_not else both(Text("yes", "是"))
    return f"<tr><td>{esc(benchmark)}{cells}<td>{both(claim.verdict)}<td>{why}</tr>"


def _candidates(found: Judgement) -> str:
    card = found.card
    head = [_th("Candidate", "候选"), _th("Selected", "入选"), _th("Sizes", "规模", "m")]
    head += [f"<th class='m'>{both(name)}" for name in card.facts.values()]
    doubts: list[tuple[Candidate, Text, Fact]] = []
    rows = []
    for candidate in card.candidates.values():
        cells = [(Text("Selected", "入选"), candidate.selected_cell), (Text("Sizes", "规模"), candidate.sizes_cell)]
        cells += [(card.facts[name], candidate.facts[name]) for name in card.facts if name in candidate.facts]
        doubts += [(candidate, name, fact) for name, fact in cells if fact.corrected is not None]
        shown = [_fact(candidate.selected_cell, doubts), _fact(candidate.sizes_cell, doubts)]
        shown += [_fact(candidate.facts.get(name), doubts) for name in card.facts]
        grey = " class=grey" if candidate.id in card.eliminated or not candidate.selected else ""
        rows.append(f"<tr><th{grey}>{both(candidate.name)}{''.join(f'<td>{text}' for text in shown)}</tr>")
    lead = Text(
        "Grey names are not selected, or were eliminated. Struck through is what the source says where that is "
        "doubtful; below it stands what is held to be right.",
        "灰色名称为未入选或已淘汰者。删除线为来源所载而存疑的内容，其下为认为正确的内容。",
    )
    out = heading("候选模型", "Candidates") + paragraph(lead, "lead") + grid(head, rows)
    if doubts:
        lines = [
            f"<li>{both(candidate.name)} · {both(name)}: <s>{both(fact.value, ' / ')}</s> → {both(fact.now, ' / ')}"
            f"<small class='b'>{both(fact.reason or _NO_REASON, ' · ')}</small>"
            for candidate, name, fact in doubts
        ]
        out += heading("存疑的格", "Doubtful cells", 3) + f"<ol>{''.join(lines)}</ol>"
    return out


def _fact(fact: Fact | None, doubts: list[tuple[Candidate, Text, Fact]]) -> str:
    if fact is None:
        return "<span class='grey'>–</span>"
    if fact.corrected is None:
        return stacked(fact.value)
    number_of = next(n for n, (_, _, one) in enumerate(doubts, 1) if one is fact)
    zh, en = fact.corrected.zh, fact.corrected.en
    small = "" if fact.corrected.single else f"<small class='b' lang='en'>{esc(en)}</small>"
    return f"<s class='b'>{stacked(fact.value)}</s><span lang='zh-CN'>{esc(zh)}</span><sup>{number_of}</sup>{small}"


def _families(found: Judgement) -> str:
    if not found.card.families:
        return ""
    lines = [
        f"<li><b>{both(family.name)}</b>: {', '.join(both(member) for member in family.members)}"
        for family in found.card.families
    ]
    return heading("家族", "Families") + f"<ul>{''.join(lines)}</ul>"
