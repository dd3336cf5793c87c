"""Private data masked by typed placeholders: the number goes, the sentence stays.

A compiled scan marks the few places where something private can be: five or more digits, an @, the label of an account,
a number plate, a room number. Patterns look at 40 characters around such places and nowhere else. What has a checksum
(identity card, GB 11643; bank card, ISO/IEC 7812) must satisfy it; what has no form of its own (QQ, landline without a
separator) needs its label beside it. Dates, prices, standard and drug codes, service numbers are not private data.

Cost: 80–90 MB per CPU-second over web text, news, reviews and medical dialogue.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
import polars as pl
from numpy.typing import NDArray

from corpus.flat import CodePoints, FlatText, Offsets, rewritten
from workbench.compiled import compiled
from workbench.config import setting

REACH = 40  # characters of context on either side of a marked place
MIN_DIGITS = 7  # of a run that may be private without a label

PLACEHOLDERS = {
    "email": "<邮箱>",
    "id_card": "<身份证号>",
    "bank_card": "<银行卡号>",
    "mobile": "<手机号>",
    "wechat": "<微信号>",
    "qq": "<QQ号>",
    "landline": "<座机号>",
    "plate": "<车牌号>",
    "ip": "<IP地址>",
    "address": "<地址>",
    "name": "<姓名>",
    "record": "<病历号>",
    "insurance": "<医保号>",
    "birth": "<出生日期>",
}


def _luhn(digits: str) -> bool:
    total = 0
    for n, digit in enumerate(reversed(digits)):
        value = int(digit) * (1 + n % 2)
        total += value - 9 * (value > 9)
    return total % 10 == 0


def _is_id_card(found: re.Match[str]) -> bool:
    digits = found["number"].upper()
    if len(digits) == 15:
        return bool(found["label"])
    year, month, day = int(digits[6:10]), int(digits[10:12]), int(digits[12:14])
    if not (1900 <= year <= 2049 and 1 <= month <= 12 and 1 <= day <= 31):
        return bool(found["label"])
    weights = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)
    check = "10X98765432"[sum(int(c) * w for c, w in zip(digits, weights, strict=False)) % 11]
    return check == digits[17] or bool(found["label"])


def _is_bank_card(found: re.Match[str]) -> bool:
    digits = re.sub(r"\D", "", found["number"])
    if not 16 <= len(digits) <= 19 or len(set(digits)) == 1:
        return False
    return bool(found["label"]) or (_luhn(digits) and bool(_ISSUERS.match(digits)) and _is_no_code(found))


def _is_ip(found: re.Match[str]) -> bool:
    parts = [int(part) for part in found["number"].split(".")]
    inside = parts[0] in (0, 10, 127) or parts[:2] == [192, 168] or (parts[0] == 172 and 16 <= parts[1] < 32)
    reserved = parts[0] >= 224 or parts[:2] == [169, 254] or tuple(parts[:3]) in _DOCUMENTATION_NETS or parts[3] == 0
    return all(part <= 255 for part in parts) and not inside and not reserved and max(parts) > 31  # nor a version


def _is_address_of_a_person(found: re.Match[str]) -> bool:
    local, _, domain = found["number"].lower().partition("@")
    ending = domain.rpartition(".")[2].strip()
    return local.strip() not in _SERVICES and ending not in _FILE_ENDINGS and domain.strip() != "openssh.com"


def _is_no_code(found: re.Match[str]) -> bool:
    start = found.start("number")
    return not _CODE.search(found.string[max(0, start - 16) : start])


def _always(found: re.Match[str]) -> bool:
    return True


_ISSUERS = re.compile(
    r"4\d{15}$|(?:5[1-5]|35)\d{14}$|62\d{14,17}$|(?:60|9[04568])\d{17}$"
)  # unlabelled: sure ones only
_CODE = re.compile(  # what a number is called that is nobody's
    r"(?:[单编货批案学工票款][号码]|流水号|序列号|注册号|许可号|条形?码|[编代条]码|时间戳|准字[A-Za-z]?|ISBN|ISSN|\bID|\bSKU|crowdIds?)"
    r"(?:为|是)?[\s:：#=\"'\[]*$",
    re.IGNORECASE,
)
_DOCUMENTATION_NETS = {(192, 0, 2), (198, 51, 100), (203, 0, 113), (8, 8, 8), (8, 8, 4), (1, 1, 1), (114, 114, 114)}
_SERVICES = {"git", "noreply", "no-reply", "postmaster", "mailer-daemon"}  # mailboxes of machines
_FILE_ENDINGS = {"png", "jpg", "jpeg", "gif", "svg", "webp", "css", "js", "service", "local", "localdomain"}

# Not inside a longer number, a code, an amount or a URL; a slash after a digit parts two numbers.
_NOT_IN_NUMBER = r"(?<![0-9A-Za-z_.¥$￥#=\-])(?:(?<!/)|(?<=[0-9]/))"
_NO_ACCOUNT = (
    r"(?:wechat|weixin|android|iphone|windows|official|facebook|twitter|whatsapp|messenger|alipay)(?![a-z0-9_\-])"
)
_NO_AMOUNT = r"(?!\s?(?:元|万|亿|吨|股|美元|字节|平方|公里|千米|人次|次|个(?!人)|[KMG]B))"
_END = r"(?![0-9A-Za-z_]|[.\-][0-9])"
_COLON = r"(?:号码|号|码)?\s*(?:是|为)?\s*[:：=]?\s*"
_CALL = r"(?:电话|電話|座机|座機|固话|传真|傳真|热线|熱線|联系方式|聯系方式|联系人|咨询|致电|拨打|Tel|TEL|tel|Fax|FAX)"
_MORE = r"(?:\s?[/、]\s?[2-9]\d{6,7})*"  # further numbers of the same exchange
_PROVINCE = "京津沪渝冀豫云辽黑湘皖鲁新苏浙赣鄂桂甘晋蒙陕吉闽贵粤青藏川宁琼"

_AT, _LABEL, _DOTS = 1 << 20, 1 << 21, 1 << 22  # marks of a place; below them the digits in its longest run
_DIGITS = _AT - 1

# Kind, the mark or the digits without which it is not looked for, the pattern with a group "number" (what is masked) and
# perhaps "label", and the test that decides. In this order.
_KINDS: tuple[tuple[str, int, re.Pattern[str], Callable[[re.Match[str]], bool]], ...] = tuple(
    (kind, need, re.compile(pattern, re.IGNORECASE if kind in ("qq", "wechat", "email") else 0), test)
    for kind, need, pattern, test in (
        ("email", _AT, r"(?<![A-Za-z0-9._%+\-])(?P<number>[A-Za-z0-9][A-Za-z0-9._%+\-]{0,63}\s?@\s?[A-Za-z0-9\-]+(?:\.[A-Za-z0-9\-]+)*\.[A-Za-z]{2,12})(?![A-Za-z0-9])", _is_address_of_a_person),
        ("id_card", 15, rf"(?P<label>(?:身份证|证件|居民证)\D{{0,6}})?{_NOT_IN_NUMBER}(?P<number>[1-9]\d{{16}}[\dXx]|[1-9]\d{{14}}){_END}", _is_id_card),
        ("wechat", _LABEL, rf"(?:微\s?信|薇\s?信|威\s?信|(?<![a-z0-9])(?:wechat|weixin|[vw]x|v信)|加\s?(?:[v微薇]|[vw]x))(?:{_COLON}|\s*[（(]\s*)(?:(?<=[:：=号码是为（(])|(?<=[:：=号码是为（(]\s)|(?=[a-z0-9_\-]*[0-9_]))(?<![a-z])(?!{_NO_ACCOUNT})(?P<number>[a-z][a-z0-9_\-]{{5,19}}|[1-9]\d{{5,11}}{_NO_AMOUNT})(?![a-z0-9_])", _always),
        ("qq", _LABEL, rf"(?:(?<![a-z0-9])q\s?q|扣扣|企鹅|球球|秋秋|(?<![a-z0-9])q群|群号)\s*(?:群|邮箱)?{_COLON}(?:加|联系)?\s*(?P<number>[1-9]\d{{4,10}}){_NO_AMOUNT}{_END}", _always),
        ("mobile", 11, rf"{_NOT_IN_NUMBER}(?P<number>(?:(?:\+|00)\s?86[\s\-]?|86[\s\-])?1[3-9]\d(?:\d{{8}}|[\s\-]\d{{4}}[\s\-]\d{{4}}|\d[\s\-]\d{{3}}[\s\-]\d{{4}}|\d{{5}}[\s\-]\d{{3}})){_NO_AMOUNT}{_END}", _is_no_code),
        ("mobile", 11, rf"(?<=\+)(?P<number>86[\s\-]?1[3-9]\d[\s\-]?\d{{4}}[\s\-]?\d{{4}}){_END}", _always),
        ("mobile", 11, rf"(?:{_CALL}|手机|手機|移动电话|行动电话|Mobile|mobile|Phone|phone){_COLON}(?P<number>(?:(?:\+|00)\s?86[\s\-]?|86[\s\-])?1[3-9]\d[\s\-]?\d{{4}}[\s\-]?\d{{4}}){_END}", _always),
        ("bank_card", 16, rf"(?P<label>(?:卡号|银行卡|账号|帐号|账户|储蓄卡|信用卡)\D{{0,6}})?{_NOT_IN_NUMBER}(?<!\d{{4}}[ \-])(?P<number>[3-69]\d{{3}}(?:[\s\-]?\d{{4}}){{3}}(?:[\s\-]?\d{{1,3}})?)(?![ \-]\d){_END}", _is_bank_card),
        ("landline", 7, rf"{_NOT_IN_NUMBER}(?P<number>[（(]?0(?:10|2\d|[3-9]\d{{2}})[）)]?\s?[\-—－ )）]\s?[2-9]\d{{2,3}}[\s\-]?\d{{4}}(?:\s?(?:-|转)\s?\d{{1,5}})?{_MORE}){_END}", _always),
        ("landline", 7, rf"{_CALL}{_COLON}(?P<number>(?:0(?:10|2\d|[3-9]\d{{2}}))?[2-9]\d{{6,7}}(?:-\d{{1,5}})?{_MORE}){_NO_AMOUNT}{_END}", _always),
        ("plate", _LABEL, rf"(?P<number>[{_PROVINCE}][A-HJ-NP-Z][·•\s]?(?=[A-HJ-NP-Z0-9]*\d)(?:[A-HJ-NP-Z0-9]{{4}}[A-HJ-NP-Z0-9挂学警港澳]|[DF][A-HJ-NP-Z0-9]\d{{4}}|\d{{5}}[DF]))(?![A-Za-z0-9])", _always),
        ("ip", _DOTS, r"(?<![0-9A-Za-z.\-_/])(?<![vV版第])(?P<number>\d{1,3}\.\d{1,3}\.\d{1,3}\.\d{1,3})(?![0-9.]|[\-_/]\d)", _is_ip),
        ("address", _LABEL, r"(?P<number>(?:[\u4e00-\u9fff]{2,8}(?:省|市|区|县|镇|乡|街道))*[\u4e00-\u9fff]{1,8}(?:路|街|大道|巷|弄|胡同|小区|花园|新村)\d{1,5}(?:号院?|弄)(?:[\u4e00-\u9fff]{0,8}?\d{0,3}(?:号楼|栋|幢|座))?\d{0,3}(?:单元)?\d{1,4}室)", _always),
    )
)  # fmt: skip
_MEDICAL: tuple[tuple[str, int, re.Pattern[str], Callable[[re.Match[str]], bool]], ...] = tuple(
    (kind, _LABEL, re.compile(pattern), _always)
    for kind, pattern in (
        ("name", r"(?:患者姓名|病人姓名|姓\s?名|患\s?者|联系人|家属|主治医师|医师签名)\s*[:：]\s*(?P<number>[\u4e00-\u9fff]{2,4}(?:·[\u4e00-\u9fff]{2,6})?)(?=[\s，。；,;、（(]|性别|男|女|年龄|$)"),
        ("record", r"(?:住院号|病历号|病案号|门诊号|登记号|就诊号|检查号|标本号|病人ID|患者ID|ID号)\s*[:：]?\s*(?P<number>[A-Za-z]{0,3}\d{4,20})"),
        ("insurance", r"(?:医保卡?号|医疗保险号|社保卡?号|参保号)\s*[:：]?\s*(?P<number>[A-Za-z0-9]{6,24})"),
        ("birth", r"(?:出生日期|出生年月日?|生\s?日)\s*[:：]?\s*(?P<number>(?:19|20)\d{2}\s?[年./\-]\s?\d{1,2}\s?[月./\-]?(?:\s?\d{1,2}\s?日?)?)"),
    )
)  # fmt: skip


@dataclass(frozen=True)
class Private:
    """Mask private data in the text and count it by kind."""

    name: ClassVar[str] = "private"
    reads: ClassVar[tuple[str, ...]] = ("text",)
    writes: ClassVar[tuple[str, ...]] = ("text", "private_masks", "private_kinds")

    medical: bool = setting(default=False, doc="mask names, record numbers and birth dates after their labels too")

    def mark(self, batch: pl.DataFrame, desk: Path) -> pl.DataFrame:
        """Rewrite ``text``; add how many places were masked and of which kinds."""
        text = batch["text"]
        flat = FlatText.of(text)
        places = np.empty((len(flat.chars) // 64 + 64, 4), np.int64)
        count = find_places(flat.chars, flat.offsets, _lead_table(), self.medical, places)
        if count > len(places):
            places = np.empty((count, 4), np.int64)
            find_places(flat.chars, flat.offsets, _lead_table(), self.medical, places)
        places = places[:count]
        rows, firsts = np.unique(places[:, 0], return_index=True)
        windows, ends = places[:, 1:].tolist(), [*firsts[1:].tolist(), count]
        masks = [0] * len(flat)
        kinds = [""] * len(flat)
        new: dict[int, str] = {}
        for row, one, first, end in zip(
            rows.tolist(), text.gather(rows).to_list(), firsts.tolist(), ends, strict=False
        ):
            masked, found = mask_windows(one, windows[first:end], medical=self.medical)
            if found:
                new[row], masks[row] = masked, sum(found.values())
                kinds[row] = ",".join(f"{kind}:{n}" for kind, n in sorted(found.items()))
        return batch.with_columns(
            rewritten(text, new),
            pl.Series("private_masks", masks, dtype=pl.UInt32),
            pl.Series("private_kinds", kinds, dtype=pl.String),
        )


def mask(text: str, *, medical: bool = False) -> str:
    """Return a text with its private data masked (the whole text is one window)."""
    return mask_windows(text, [[0, len(text), _AT | _LABEL | _DOTS | _DIGITS]], medical=medical)[0]


def mask_windows(text: str, windows: list[list[int]], *, medical: bool) -> tuple[str, Counter[str]]:
    """Mask inside the given windows of a text.

    Args:
        text: The document.
        windows: [start, end) of characters and the marks found there, sorted; those that overlap are joined.
        medical: Whether to look for medical labels too.

    Returns:
        The masked text, and how often each kind was found.
    """
    found: Counter[str] = Counter()
    out: list[str] = []
    done = 0
    joined: list[list[int]] = []
    for start, end, marks in windows:
        if joined and start <= joined[-1][1]:
            before = joined[-1]
            digits = max(before[2] & _DIGITS, marks & _DIGITS)
            before[1:] = [max(end, before[1]), (before[2] | marks) & ~_DIGITS | digits]
        else:
            joined.append([start, end, marks])
    for start, end, marks in joined:
        out.append(text[done:start])
        out.append(_mask_window(text[start:end], marks, found, medical))
        done = end
    out.append(text[done:])
    return "".join(out), found


def _mask_window(window: str, marks: int, found: Counter[str], medical: bool) -> str:
    for kind, need, pattern, test in (*_KINDS, *_MEDICAL) if medical else _KINDS:
        if not (marks & need if need >= _AT else marks & _DIGITS >= need):
            continue

        def replace(match: re.Match[str], kind: str = kind, test: Callable[[re.Match[str]], bool] = test) -> str:
            if not test(match):
                return match.group()
            found[kind] += 1
            start, end = match.start("number") - match.start(), match.end("number") - match.start()
            return match.group()[:start] + PLACEHOLDERS[kind] + match.group()[end:]

        window = pattern.sub(replace, window)
    return window


_LABELS = (
    "微信",
    "薇信",
    "威信",
    "QQ",
    "qq",
    "Qq",
    "VX",
    "vx",
    "Vx",
    "wx",
    "WX",
    "扣扣",
    "企鹅",
    "加V",
    "加v",
    "加微",
    "V信",
)
_MEDICAL_LABELS = ("姓名", "患者", "家属", "院号", "历号", "案号", "诊号", "记号", "保号", "保卡", "出生", "生日")


def _lead_table() -> NDArray[np.uint32]:
    """Return, for each label, its two code points; shape (labels, 3): first, second, whether it is medical."""
    pairs = [(ord(w[0]), ord(w[1]), 0) for w in _LABELS] + [(ord(w[0]), ord(w[1]), 1) for w in _MEDICAL_LABELS]
    pairs += [(ord(char), 0, 0) for char in _PROVINCE]  # followed by a capital letter
    return np.array(sorted(pairs), np.uint32)


@compiled
def find_places(
    chars: CodePoints, offsets: Offsets, labels: NDArray[np.uint32], medical: bool, places: NDArray[np.int64]
) -> int:
    """Write the windows around marked places, as far as there is room; return how many there are.

    A run of digits may be broken by spaces, hyphens, dots, brackets, two in a row at most; seven digits mark a place, or three dots.

    Args:
        chars: All characters.
        offsets: Where documents begin.
        labels: Of ``_lead_table``.
        medical: Whether medical labels mark a place.
        places: To be filled, in order; shape (places, 4): document, start and end in it, marks.
    """
    first = np.zeros(0x10000, np.bool_)
    for label in range(len(labels)):
        first[labels[label, 0]] = True
    n = 0
    for i in range(len(offsets) - 1):
        start, end = offsets[i], offsets[i + 1]
        k = start
        while k < end:
            c = chars[k]
            marks = 0
            stop = k + 1
            if 48 <= c <= 57:
                digits, dots = 1, 0
                while stop < end:
                    gap = stop
                    while gap < end and gap - stop < 2 and _joins(chars[gap]):
                        gap += 1
                    if gap == end or not 48 <= chars[gap] <= 57:
                        break
                    digits += 1
                    dots += gap > stop and chars[stop] == 46
                    stop = gap + 1
                if digits >= MIN_DIGITS:
                    marks = min(digits, _DIGITS)
                if dots >= 3:
                    marks |= _DOTS
                if stop < end and chars[stop] == 0x5BA4:  # 501室
                    marks |= _LABEL
            elif c == 64:
                marks = _AT
            elif c < 0x10000 and first[c] and k + 1 < end:
                d = chars[k + 1]
                for label in range(len(labels)):
                    if labels[label, 0] == c and (labels[label, 2] == 0 or medical):
                        second = labels[label, 1]
                        if second == d or (second == 0 and 65 <= d <= 90):
                            marks = _LABEL
            if marks:
                if n < len(places):
                    places[n, 0] = i
                    places[n, 1] = max(start, k - REACH) - start
                    places[n, 2] = min(end, stop + REACH) - start
                    places[n, 3] = marks
                n += 1
            k = stop
    return n


@compiled
def _joins(c: int) -> bool:
    """Tell whether a character may stand between the digits of one number."""
    return (c == 32) | (c == 45) | (c == 46) | (c == 40) | (c == 41) | (c == 0xFF08) | (c == 0xFF09) | (c == 0x2014)
