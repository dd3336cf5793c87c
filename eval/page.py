"""What the pages share: the frame, the style, bilingual text, escaping.

One file, no script, nothing fetched; light and dark by the reader's setting; printable. Chinese is tagged as such, so
that browsers set it in Chinese faces with Chinese punctuation and line breaking. All text is escaped here.
"""

from __future__ import annotations

from collections.abc import Iterable
from html import escape

from eval.bilingual import Text, plain

STYLE = """
:root { color-scheme: light dark; --ink: #1c1b19; --paper: #faf8f3; --line: #d9d3c5; --soft: #6a6355; --grey: #857d6e;
  --mark: #8a3b2a; --tint: #f1ebdd; --warn: #f6e3c4 }
@media (prefers-color-scheme: dark) { :root { --ink: #ebe6da; --paper: #17161a; --line: #3a3740; --soft: #aaa292;
  --grey: #8a8378; --mark: #e59a7f; --tint: #221f26; --warn: #43341c } }
* { box-sizing: border-box }
body { margin: 0 auto; max-width: 80rem; padding: 2rem 1.25rem 4rem; background: var(--paper); color: var(--ink);
  font: 16px/1.6 system-ui, "Noto Sans CJK SC", "Source Han Sans SC", "PingFang SC", "Microsoft YaHei", sans-serif;
  text-autospace: normal; line-break: strict; overflow-wrap: break-word }
:lang(zh) { font-style: normal; text-spacing-trim: trim-start }
h1 { font-size: 1.7rem; line-height: 1.3; margin: 0 } h2 { font-size: 1.2rem; margin: 2.6rem 0 .6rem }
h3 { font-size: 1rem; margin: 1.6rem 0 .4rem }
h1 span[lang=en], h2 span[lang=en], h3 span[lang=en] { color: var(--soft); font-weight: 500; font-size: .85em }
p { margin: .3rem 0; max-width: 52rem } p.lead, .soft, li span[lang=en], p[lang=en] { color: var(--soft) }
.wide { overflow-x: auto }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; font-size: .92rem; line-height: 1.45 }
th, td { text-align: left; padding: .35rem .6rem; border-bottom: 1px solid var(--line); vertical-align: top }
th { color: var(--soft); font-weight: 500 } tbody th { color: var(--ink) } thead th { vertical-align: bottom }
.n { text-align: right; white-space: nowrap } .w { min-width: 15rem } .m { min-width: 7rem } .s { white-space: nowrap }
s.b { margin-bottom: .15rem }
small { font-size: .82em; color: var(--soft); font-weight: 400 } .b { display: block }
.grey, .grey small { color: var(--grey); font-weight: 400 } b { font-weight: 700 } td b { color: var(--mark) }
.own { background: var(--tint) } .over { background: var(--warn) } s { color: var(--soft) }
sup { line-height: 0; font-size: .7em; padding-left: .1em }
.cards { display: flex; flex-wrap: wrap; gap: .8rem } .cards > div { background: var(--tint); padding: .8rem 1.1rem;
  border-radius: .4rem; flex: 1 1 18rem } .cards .big { display: block; font-size: 1.35rem; font-weight: 700 }
ol, ul { padding-left: 1.4rem; margin: .4rem 0; max-width: 60rem } li { margin: .25rem 0 }
details { margin: 1rem 0 } summary { cursor: pointer; color: var(--soft) } a { color: inherit }
pre { white-space: pre-wrap; overflow-wrap: anywhere; font: inherit; font-size: .95em; margin: .2rem 0 .4rem }
details details { margin: .4rem 0 .4rem 1rem } article { border-left: 2px solid var(--line); margin: .8rem 0 .8rem 1rem;
  padding-left: .8rem; max-width: 56rem } p.over { padding: .3rem .6rem }
@media print { body { max-width: none; padding: 0; font-size: 10pt } details > * { display: block } }
"""


def page(title: Text, parts: Iterable[str]) -> str:
    """Return a whole page.

    Args:
        title: Its title, escaped here.
        parts: The body, already HTML.
    """
    head = [
        "<!doctype html>",
        "<html lang='zh-CN'><head><meta charset='utf-8'>",
        "<meta name='viewport' content='width=device-width, initial-scale=1'>",
        f"<title>{esc(title.zh)} · {esc(title.en)}</title><style>{STYLE}</style></head><body>",
    ]
    return "\n".join([*head, f"<h1>{both(title)}</h1>", *parts, "</body></html>\n"])


def esc(text: object) -> str:
    """Return a text that HTML shows as it stands, without control characters."""
    return escape(plain(str(text)))


def both(text: Text, gap: str = " ") -> str:
    """Return a text in both languages, Chinese first, each tagged; once if there is one."""
    if text.single:
        return f"<span lang='zh-CN'>{esc(text.zh)}</span>" if _has_han(text.zh) else esc(text.en)
    return f"<span lang='zh-CN'>{esc(text.zh)}</span>{gap}<span lang='en'>{esc(text.en)}</span>"


def stacked(text: Text) -> str:
    """Return a text in both languages, the English in small below the Chinese."""
    if text.single:
        return both(text)
    return f"<span lang='zh-CN'>{esc(text.zh)}</span><small class='b' lang='en'>{esc(text.en)}</small>"


def paragraph(text: Text, kind: str = "") -> str:
    """Return a paragraph a language."""
    mark = f" class='{kind}'" if kind else ""
    if text.single:
        return f"<p{mark}>{both(text)}</p>"
    return f"<p{mark} lang='zh-CN'>{esc(text.zh)}</p><p{mark} lang='en'>{esc(text.en)}</p>"


def heading(zh: str, en: str, level: int = 2) -> str:
    """Return a heading of ours in both languages."""
    return f"<h{level}>{both(Text(en, zh))}</h{level}>"


def grid(head: Iterable[str], rows: Iterable[str]) -> str:
    """Return a table that scrolls on a narrow screen.

    Args:
        head: Cells ``<th>…`` of the head.
        rows: Whole rows ``<tr>…``.
    """
    return (
        f"<div class='wide'><table><thead><tr>{''.join(head)}</tr></thead><tbody>{''.join(rows)}</tbody></table></div>"
    )


def link(address: str) -> str:
    """Return a web address as a link, any other text as text."""
    shown = esc(address)
    return f"<a href='{shown}' rel='noreferrer'>{shown}</a>" if address.startswith("https://") else shown


def _has_han(text: str) -> bool:
    return any("\u3400" <= c <= "\u9fff" for c in text)
