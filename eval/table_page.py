"""The benchmark table as one HTML page: what is comparable stands out, what is not is grey and says why."""

from __future__ import annotations

from collections.abc import Mapping

from eval.bilingual import Text
from eval.page import both, esc, grid, heading, link, page, paragraph
from eval.published import NOT_STATED, Figure, Row
from eval.table import Cell, Table, number, shots_text

_TITLE = Text("Benchmark table", "评测对照表")
_LEAD = Text(
    "Bold is the best of a column among comparable figures: base models, by the number of examples in the header. Grey "
    "is not comparable with its column and never bold; the small number tells why. The protocol of each figure is "
    "listed below and is not the same for all.",
    "加粗为一列中可比分数的最高者：基座模型，样例数与表头相同。灰色与该列不可比，从不加粗，角标注明原因。"
    "各分数的评测方法列于下方，并不统一。",
)
_ORIGINS = {"added": Text("added", "增补"), "own": Text("own", "本次测得")}
_OWN_PROTOCOLS = (Text("named by the run", "由该次评测注明"), Text("the run does not say", "该次评测未注明"))
_KINDS = {"base": Text("base", "基座"), "chat": Text("chat", "对话"), NOT_STATED: Text(NOT_STATED, "未注明")}


def table_page(found: Table) -> str:
    """Return the whole page.

    Args:
        found: The table, its figures compared.
    """
    parts = [
        paragraph(_LEAD, "lead"),
        _figures(found),
        _reasons(found),
        heading("来源", "Sources"),
        _sources(found),
        heading("评测方法", "Protocols"),
        _protocols(found),
        _notes(found),
        _everything(found),
    ]
    return page(_TITLE, parts)


def _figures(found: Table) -> str:
    keys = _keys(found)
    head = [f"<th>{both(Text('Model', '模型'))}<th>{both(Text('Kind', '类别'))}"]
    head += [f"<th class='n'>{esc(b.name)}<small class='b'>{b.shots}-shot</small>" for b in found.benchmarks]
    head += [f"<th>{both(Text('Source', '来源'))}"]
    rows = []
    for row, cells in found.rows:
        line = [f"<tr{' class=own' if row.origin == 'own' else ''}><th class='s'>{_model(row)}"]
        line += [f"<td class='s'>{' / '.join(both(_KINDS[kind]) for kind in row.kinds)}"]
        line += [_cell(found, cells, b.id) for b in found.benchmarks]
        line += [f"<td>{', '.join(keys[source] for source in row.sources)}</tr>"]
        rows.append("".join(line))
    return grid(head, rows)


def _model(row: Row) -> str:
    mark = _ORIGINS.get(row.origin)
    return esc(row.model) + (f" <small>{both(mark)}</small>" if mark else "")


def _cell(found: Table, cells: Mapping[str, Cell], benchmark: str) -> str:
    if benchmark not in cells:
        return "<td class='n grey'>–"
    cell = cells[benchmark]
    text, note = number(cell.figure.value), found.footnote(cell)
    if note is not None:
        return f"<td class='n grey'>{text}<sup>{note}</sup><small class='b'>{shots_text(cell.figure.shots)}</small>"
    return f"<td class='n'>{f'<b>{text}</b>' if cell.best else text}"


def _reasons(found: Table) -> str:
    if not found.footnotes:
        return ""
    lines = []
    for why in found.footnotes:
        text = Text("; ".join(t.en for t in why), "；".join(t.zh for t in why))
        lines.append(f"<li>{both(text)}")
    return heading("为何不可比", "Why not comparable", 3) + f"<ol>{''.join(lines)}</ol>"


def _keys(found: Table) -> dict[str, str]:
    names = dict.fromkeys(source for row, _ in found.rows for source in row.sources)
    return {name: f"S{n}" for n, name in enumerate(names, 1)}


def _sources(found: Table) -> str:
    lines = []
    for name, key in _keys(found).items():
        source = found.published.sources.get(name)
        if source is None:
            lines.append(f"<li><b>{key}</b> {esc(name)}")
        else:
            checked = f"<small class='b'>{both(source.checked, ' · ')}</small>"
            lines.append(f"<li><b>{key}</b> {esc(source.title)} · {link(source.address)}{checked}")
    return f"<ul>{''.join(lines)}</ul>"


def _protocols(found: Table) -> str:
    used = dict.fromkeys(cell.figure.protocol for _, cells in found.rows for cell in cells.values())
    about = found.published.protocols
    lines = [f"<li><b>{esc(name)}</b> {both(about.get(name, _OWN_PROTOCOLS[name == NOT_STATED]))}" for name in used]
    return f"<ul>{''.join(lines)}</ul>"


def _notes(found: Table) -> str:
    noted = [(row, row.note) for row, _ in found.rows if row.note]
    lines = [f"<li><b>{esc(row.model)}</b> {both(note)}" for row, note in noted]
    return heading("说明", "Notes") + f"<ul>{''.join(lines)}</ul>" if lines else ""


def _everything(found: Table) -> str:
    head = [
        f"<th>{both(Text(en, zh))}"
        for en, zh in (
            ("Model", "模型"),
            ("Benchmark", "评测"),
            ("Score", "分数"),
            ("Kind", "类别"),
            ("Shots", "样例数"),
            ("Protocol", "方法"),
            ("Source", "来源"),
            ("Taken on", "范围"),
        )
    ]
    keys, rows = _keys(found), []
    for row, cells in found.rows:
        for benchmark in found.benchmarks:
            if benchmark.id in cells:
                figure = cells[benchmark.id].figure
                shots = both(_KINDS[NOT_STATED]) if figure.shots is None else str(figure.shots)
                rows.append(
                    f"<tr><td class='s'>{esc(row.model)}<td>{esc(benchmark.name)}<td class='n'>{number(figure.value)}"
                    f"<td>{both(_KINDS[figure.kind or NOT_STATED])}<td>{shots}<td>{esc(figure.protocol)}"
                    f"<td>{keys[figure.source]}<td>{_taken(figure)}</tr>"
                )
    title = both(Text("Every figure with kind, shots, protocol and source", "逐一列出：类别、样例数、方法、来源"))
    return f"<details><summary>{title}</summary>{grid(head, rows)}</details>"


def _taken(figure: Figure) -> str:
    known = [figure.split, figure.items and f"n = {figure.items:,}", figure.stderr and f"± {figure.stderr:g}"]
    return esc(", ".join(str(part) for part in (*known, *(t.en for t in figure.differs)) if part)) or "–"
