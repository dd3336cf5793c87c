"""Wikitext to plain text: a reducer that reads the nested marks in one pass, innermost first.

Kept: prose, headings on a line of their own, list items, captions of links, code, formulas as ``$…$``. Left out:
tables, pictures, references, comments, templates (but those that only dress a word, ``DRESSING``, give the word),
categories, links to other languages, the sections of references and links. ``-{zh-hans:…;zh-hant:…}-`` gives the
variant that is wanted. Cost, MB of wikitext per CPU-second on an article that has all of these: this 11,
wikitextparser 3.0 1.7, mwparserfromhell 0.7.2 1.2 (neither knows variants, and both keep the captions of pictures).
"""

from __future__ import annotations

import html
import re
from dataclasses import dataclass, field

NESTING = 50  # marks left open that a closing mark looks through for its own
_ORDER = {
    "zh-hans": ("zh-cn", "zh-hans", "zh-sg", "zh-my", "zh"),
    "zh-hant": ("zh-tw", "zh-hant", "zh-hk", "zh-mo", "zh"),
}
_CODES = frozenset("zh zh-hans zh-hant zh-cn zh-tw zh-hk zh-mo zh-sg zh-my".split())

# Templates that dress a word: the argument (counted from 1) that holds it; -1 is the last.
DRESSING: dict[str, int] = {
    **dict.fromkeys(("lang", "tsl", "color", "font color", "langwithname", "link-wikidata"), 2),
    **dict.fromkeys(("le", "ill", "illm", "internal link helper", "translink", "nihongo", "jpn", "ruby", "abbr"), 1),
    **dict.fromkeys(("nowrap", "small", "big", "nobr", "linktext", "unicode", "mono", "code", "quote", "cquote"), 1),
    **dict.fromkeys(("flag", "flagcountry", "bold", "tooltip", "kbd", "var", "em", "strong", "zhnum", "!!"), 1),
    **dict.fromkeys(("transl", "transliteration", "rlp"), -1),
}
_DRESSING_PREFIX = ("lang-", "link-", "internal link helper/")
_CHARS = {"!": "|", "=": "=", "·": "·", "-": "-", "snd": " – ", "nbsp": " ", "spaces": " ", "en dash": "–"}
_DROPPED_LINKS = re.compile(
    r"(?:file|image|media|category|文件|檔案|档案|圖像|图像|圖片|图片|分类|分類)\s*:", re.IGNORECASE
)
_INTERWIKI = re.compile(r"[a-z]{2,3}(?:-[a-z]+)*:")
_ENDING_SECTIONS = frozenset(
    "参考资料 參考資料 参考文献 參考文獻 参考 參考 参考来源 參考來源 注释 註釋 注解 註解 脚注 腳註 資料來源 资料来源"
    " 引用 来源 來源 外部链接 外部連結 外部鏈接 外部连结 参见 參見 参看 參看 相关条目 相關條目 延伸阅读 延伸閱讀"
    " 扩展阅读 擴展閱讀".split()
) | {"references", "external links", "see also", "notes", "further reading", "bibliography", "sources", "footnotes"}

_COMMENT = re.compile(r"<!--.*?(?:-->|\Z)", re.DOTALL)
_VERBATIM = re.compile(
    r"<(nowiki|math|chem|pre|code|syntaxhighlight|source)\b([^<>]*?)(?:/>|>(.{0,50000}?)</\1\s*>)",
    re.DOTALL | re.IGNORECASE,
)
_DROPPED_TAGS = re.compile(
    r"<(ref|gallery|timeline|imagemap|score|graph|mapframe|maplink|references|templatedata|hiero|categorytree)\b"
    r"(?:[^<>]*?/>|[^<>]*>.{0,50000}?</\1\s*>)",  # bounded: an unclosed tag must not cost a search of the page
    re.DOTALL | re.IGNORECASE,
)
_MARKS = re.compile(r"\{\{|\}\}|\[\[|\]\]|-\{(?!\{(?!\{))|\}-|\{\||\|\}(?!\})")  # each begins with a literal: fast
_CLOSES = {"}}": "{{", "]]": "[[", "}-": "-{", "|}": "{|"}
_EXTERNAL = re.compile(r"\[(?:https?:|ftp:|mailto:)?//[^\s\]\[<>]*\s*([^\]\n]*)\]|\[mailto:[^\s\]]*\s*([^\]\n]*)\]")
_HEADING = re.compile(r"^(={1,6})\s*(.*?)\s*\1\s*$")
_TAG = re.compile(r"</?[A-Za-z][^<>]*>")
_BREAK = re.compile(r"<br\b[^<>]*>|</?(?:p|div|li|blockquote|center)\b[^<>]*>", re.IGNORECASE)
_HELD = re.compile("\ue000([0-9]+)\ue001")
_SWITCH = re.compile(r"__[A-Z]+__")
_EMPTY_BRACKETS = re.compile(r"[（(][\s,，、;；:：]*[)）]")
_LIST = re.compile(r"^([*#:;]+)\s*")
_REDIRECT = re.compile(r"\s*#(?:redirect|重定向|重新導向)\s*:?\s*\[\[", re.IGNORECASE)


def is_redirect(text: str) -> bool:
    """Tell whether wikitext only points to another page."""
    return bool(_REDIRECT.match(text))


def plain(text: str, variant: str = "zh-hans") -> str:
    """Reduce wikitext to plain text.

    Args:
        text: Wikitext, its XML escapes undone.
        variant: ``zh-hans`` or ``zh-hant``: which form of ``-{…}-`` is given.
    """
    held: list[str] = []  # what must not be read as marks

    def hold(match: re.Match[str]) -> str:
        kind, _, inside = match.groups()
        inside = (inside or "").strip("\n")
        if not inside.strip():
            return ""
        if kind.lower() in ("math", "chem"):
            inside = f"${inside.strip()}$"
        held.append(inside)
        return f"\ue000{len(held) - 1}\ue001"

    if "<" in text:
        text = _COMMENT.sub("", text)
        text = _VERBATIM.sub(hold, text)
        text = _DROPPED_TAGS.sub("", text)
    text = _resolve(text, variant)
    if "[" in text:
        text = _EXTERNAL.sub(lambda m: m.group(1) or m.group(2) or "", text)
    if "<" in text:
        text = _BREAK.sub("\n", text)
        text = _TAG.sub("", text)
    text = re.sub("'{2,5}", "", text)
    text = _SWITCH.sub("", text)
    if "&" in text:
        text = html.unescape(text)
    text = _EMPTY_BRACKETS.sub("", text)
    text = _lines(text)
    return _HELD.sub(lambda m: html.unescape(held[int(m.group(1))]), text) if held else text


@dataclass
class _Frame:
    mark: str  # what opened it
    parts: list[str] = field(default_factory=list)


def _resolve(text: str, variant: str) -> str:
    """Replace templates, links, tables and variants by what is read of them."""
    stack = [_Frame("")]
    end = 0
    for match in _MARKS.finditer(text):
        mark = match.group()
        if "|" in mark and text[text.rfind("\n", 0, match.start()) + 1 : match.start()].strip(" \t:*#"):
            continue  # a table opens and closes at the beginning of a line only
        stack[-1].parts.append(text[end : match.start()])
        end = match.end()
        opener = _CLOSES.get(mark)
        if opener is None:
            stack.append(_Frame(mark))
            continue
        lowest = max(0, len(stack) - 1 - NESTING)
        depth = next((n for n in range(len(stack) - 1, lowest, -1) if stack[n].mark == opener), 0)
        if depth == 0:
            if mark != "}-":  # a closing mark without its opening: not text
                continue
            stack[-1].parts.append(mark)
            continue
        while len(stack) - 1 > depth:  # opened inside and not closed: its words stay
            inner = stack.pop()
            stack[-1].parts.append("".join(inner.parts))
        frame = stack.pop()
        stack[-1].parts.append(_meaning(opener, "".join(frame.parts), variant))
    stack[-1].parts.append(text[end:])
    while len(stack) > 1:
        inner = stack.pop()
        stack[-1].parts.append("".join(inner.parts))
    return "".join(stack[0].parts)


def _meaning(opener: str, inside: str, variant: str) -> str:
    if opener == "[[":
        return _link(inside)
    if opener == "{{":
        return _template(inside)
    return _variant(inside, variant) if opener == "-{" else ""


def _link(inside: str) -> str:
    target, pipe, shown = inside.partition("|")
    target = target.strip()
    if _DROPPED_LINKS.match(target) or _INTERWIKI.match(target):
        return ""
    target = target.lstrip(":")
    if not pipe:
        return target
    if not shown.strip():  # the pipe trick: what is in brackets is not shown
        return re.sub(r"\s*[（(].*[)）]\s*$", "", target)
    return shown


def _template(inside: str) -> str:
    name, *arguments = inside.split("|")
    name = name.strip().lower().replace("_", " ")
    if name in _CHARS:
        return _CHARS[name]
    place = DRESSING.get(name)
    if place is None:
        if not name.startswith(_DRESSING_PREFIX):
            return ""
        place = 1
    words = [argument.strip() for argument in arguments if not re.match(r"\s*[A-Za-z_]+\s*=", argument)]
    if name == "tsl" and len(words) >= 2:  # language | foreign name | local name
        return words[2] if len(words) > 2 and words[2] else words[1]
    if place < 0:
        return words[-1] if words else ""
    return words[place - 1] if len(words) >= place else ""


def _variant(inside: str, variant: str) -> str:
    """Return what ``-{inside}-`` shows in a variant of Chinese (MediaWiki's LanguageConverter)."""
    flags, pipe, rules = inside.partition("|")
    if not pipe:
        flags, rules = "", inside
    names = {flag.strip() for flag in flags.split(";")}
    if names & {"H", "T", "-", "D"}:  # rules for the page, its title, an end of a rule, a description
        return ""
    forms: dict[str, str] = {}
    for rule in rules.split(";"):
        code, colon, words = rule.partition(":")
        code = code.strip().rpartition("=>")[2].strip().lower()
        if colon and code in _CODES:
            forms[code] = words.strip()
    if not forms or "R" in names:
        return rules
    return next((forms[code] for code in _ORDER[variant] if code in forms), next(iter(forms.values())))


def _lines(text: str) -> str:
    """Set headings and list items as lines; leave out sections that are empty, or hold references only."""
    out: list[str] = []
    waiting: list[tuple[int, str]] = []  # headings that have no text yet
    dropped = 0  # the level of a section that is left out
    for raw in text.split("\n"):
        line = raw.strip()
        heading = _HEADING.match(line) if line.startswith("=") else None
        if heading:
            level, name = len(heading.group(1)), heading.group(2)
            if dropped and level > dropped:
                continue
            dropped = level if name.lower() in _ENDING_SECTIONS else 0
            waiting = [entry for entry in waiting if entry[0] < level]
            if not dropped:
                waiting.append((level, name))
            continue
        if dropped:
            continue
        if line[:1] in ("*", "#", ":", ";"):
            mark = _LIST.match(line)
            assert mark is not None
            rest = line[mark.end() :]
            line = f"- {rest}" if mark.group(1)[-1] in "*#" and rest else rest
        elif line.startswith(("|", "!")) or line == "----":  # left of a table that was not closed
            continue
        if not line:
            if out and out[-1]:
                out.append("")
            continue
        for _, name in waiting:
            if out and out[-1]:
                out.append("")
            out += [name, ""]
        waiting = []
        out.append(line)
    return "\n".join(out).strip()
