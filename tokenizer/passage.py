"""A page that shows the same passage coloured by token under each vocabulary, with the figures above it.

One file, no script, nothing fetched; light and dark as the reader's system is. A character that takes several tokens
is underlined, with their number beside it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from html import escape

from tokenizer.fertility import Fertility, is_whole
from tokenizer.peers import Vocabulary

PASSAGE_CHARS = 600
COLOURS = 5

STYLE = """
:root { color-scheme: light dark; --ink: #1c1c1c; --paper: #fdfcf8; --line: #d8d4c8;
  --t0: #f9dcc4; --t1: #cfe8cf; --t2: #cfe0f5; --t3: #ecd7ee; --t4: #f3ecb8; --few: #b3261e; }
@media (prefers-color-scheme: dark) { :root { --ink: #e8e6e0; --paper: #17181a; --line: #3a3a3a;
  --t0: #5a3b22; --t1: #24482a; --t2: #213f62; --t3: #4c2f50; --t4: #514a16; --few: #ff8a80; } }
body { background: var(--paper); color: var(--ink); margin: 2rem auto; max-width: 68rem; padding: 0 1rem;
  font: 16px/1.7 system-ui, "Noto Sans CJK SC", "PingFang SC", "Microsoft YaHei", sans-serif; }
h1 { font-size: 1.4rem; } h2 { font-size: 1.15rem; margin-top: 2.5rem; } h3 { font-size: 1rem; margin-bottom: .3rem; }
.scroll { overflow-x: auto; } table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
th, td { border-bottom: 1px solid var(--line); padding: .25rem .7rem; text-align: right; white-space: nowrap; }
th { white-space: normal; vertical-align: bottom; }
th:first-child, td:first-child { text-align: left; white-space: normal; overflow-wrap: anywhere; min-width: 12rem; }
.passage { white-space: pre-wrap; overflow-wrap: anywhere; margin: 0; line-height: 1.9; }
.passage span { border-radius: 3px; padding: 1px 0; }
.t0 { background: var(--t0); } .t1 { background: var(--t1); } .t2 { background: var(--t2); }
.t3 { background: var(--t3); } .t4 { background: var(--t4); }
.several { white-space: nowrap; }
.several { text-decoration: underline 2px var(--few); } sub { color: var(--few); font-size: .65em; }
"""


def page(texts: Mapping[str, str], vocabularies: Mapping[str, Vocabulary], rows: Sequence[Fertility]) -> str:
    """Return the page.

    Args:
        texts: Texts by name; of each the beginning is shown.
        vocabularies: By name.
        rows: What was measured.
    """
    parts = [f"<h1>{len(vocabularies)} vocabularies</h1>"]
    for name, text in texts.items():
        parts.append(f"<h2>{escape(name)}</h2>{_figures([row for row in rows if row.text == name])}")
        passage = text[:PASSAGE_CHARS]
        for word, vocabulary in vocabularies.items():
            spans = "".join(_spans(passage, vocabulary))
            parts.append(f'<h3>{escape(word)}</h3><p class="passage">{spans}</p>')
    return (
        '<!DOCTYPE html>\n<html lang="zh-CN"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width"><title>tokenizer compare</title>'
        f"<style>{STYLE}</style></head><body>{''.join(parts)}</body></html>\n"
    )


def _figures(rows: Sequence[Fertility]) -> str:
    heads = ("tokenizer", "pieces", "tokens", "characters a token", "bytes a token", "fallback", "tokens a hanzi")
    body = "".join(
        f"<tr><td>{escape(row.name)}</td><td>{row.pieces:,}</td><td>{row.tokens:,}</td>"
        f"<td>{row.characters_per_token:.3f}</td><td>{row.bytes_per_token:.2f}</td><td>{row.fallback_share:.2%}</td>"
        f"<td>{'–' if row.tokens_per_hanzi is None else f'{row.tokens_per_hanzi:.3f}'}</td>"
        f"<td>{row.restored:.2%}</td><td>{row.budget_characters / 1e9:,.0f}B</td></tr>"
        for row in rows
    )
    names = "".join(f"<th>{head}</th>" for head in (*heads, "lines restored", "125B tokens in characters"))
    return f'<div class="scroll"><table><thead><tr>{names}</tr></thead><tbody>{body}</tbody></table></div>'


def segments(text: str, vocabulary: Vocabulary) -> list[tuple[str, int]]:
    """Return a text cut where its tokens end, and how many tokens each part took.

    A part of several tokens is one that only together are whole characters.
    """
    out: list[tuple[str, int]] = []
    pending, count = b"", 0
    for number in vocabulary.encode([text])[0] if text else ():
        pending += vocabulary.token_bytes[number]
        count += 1
        if is_whole(pending):
            out.append((pending.decode("utf-8"), count))
            pending, count = b"", 0
    if count:
        out.append((pending.decode("utf-8", "replace"), count))
    return out


def _spans(text: str, vocabulary: Vocabulary) -> Iterator[str]:
    for number, (part, count) in enumerate(segments(text, vocabulary)):
        colour = f"t{number % COLOURS}"
        if count == 1:
            yield f'<span class="{colour}">{escape(part)}</span>'
        else:
            yield f'<span class="{colour} several">{escape(part)}<sub>{count}</sub></span>'
