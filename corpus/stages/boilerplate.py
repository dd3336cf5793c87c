"""Cut what a page adds to its text: editor's lines, sources, navigation, calls to follow, advertisements.

A line goes if it is nothing but boilerplate; an editor's note after the last sentence of a text that is one long line
goes too. Nothing is cut from inside a sentence. Only documents that contain one of the trigger words are looked at line
by line. Cost: 150 MB per CPU-second over news and reviews.

The kinds follow the published practice for Chinese web text (EvalWeb, arXiv 2311.01149, section 3; MNBVC's notes on
news and serial novels).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import polars as pl

from corpus.flat import rewritten

TRIGGERS = (
    "编辑", "责编", "校对", "原标题", "点击", "转载", "来源", "出处", "关注", "二维码", "公众号", "客户端", "扫码", "上一篇",
    "下一篇", "上一页", "下一页", "首页", "相关阅读", "推荐阅读", "分享到", "打印", "收藏", "网站地图", "版权", "章节", "本站",
    "未完", "注册送", "彩金", "投注", "娱乐城", "现金网", "棋牌", "百家乐", "博彩", "六合彩", "威信", "薇信", "加微", "加Q",
)  # fmt: skip

_ROLE = r"(?:责任编辑|责编|编\s?辑|校对|编审|审核|值班编辑|见习编辑|实习编辑|网络编辑|排版|监制)"
_LINE = {  # a line that matches one of these whole is boilerplate
    "editor": rf"[（(\[【〔]?\s*{_ROLE}\s*[：:/／]\s*[^。！？]{{0,24}}[）)\]】〕]?",
    "original_title": r"[（(\[【]?\s*原\s?标题\s*[：:].{0,80}",
    "source": r"[（(\[【]?\s*(?:本文|文章|信息|稿件|图片|新闻|资料|图文)?(?:来源|来自|转自|摘自|出处)\s*[：:].{0,60}",
    "reprint": r".{0,40}(?:转载(?:请|须|时)?(?:注明|标明|联系|保留)|未经.{0,8}(?:授权|许可|同意).{0,10}转载|版权所有|版权归.{0,20}所有).{0,40}",
    "click": r"(?:[>＞»【\[]\s*)*(?:请)?点击(?:进入|查看|下载|阅读|观看|收听|图片|此处|这里|关注|上方|下方|右上角|标题).{0,30}",
    "follow": r".{0,20}(?:关注|扫描|扫码|长按|识别|搜索|下载|添加).{0,16}(?:公众号|公众平台|微信号|微信|微博|二维码|客户端|APP|App|app).{0,40}",
    "navigation": r"(?:(?:上|下)一(?:页|篇|章|条|主题)|返回(?:首页|顶部|目录|列表|上页)|首页|尾页|末页|目录|相关(?:阅读|新闻|链接|文章|推荐)|"
    r"推荐阅读|延伸阅读|热门(?:推荐|文章|标签)|猜你喜欢|分享(?:到|至)|打印(?:本页|此文)?|关闭(?:窗口|本页)?|加入收藏|设为首页|网站地图|"
    r"关于我们|联系我们|登录|注册|搜索|更多|收藏本站|字体|大\s中\s小|[\s|｜>»·:：,，、\[\]【】()（）/<«\-])+",
    "novel": r".{0,30}(?:本章(?:未完|完)|最新章节|手机用户请|请记住本(?:站|书)|首发网址|求(?:收藏|月票|推荐票|订阅)|"
    r"点击下一页继续|无弹窗|全文(?:免费)?阅读|章节错误|加入书签).{0,60}",
}
_WHOLE = re.compile("|".join(f"(?P<{name}>{pattern})" for name, pattern in _LINE.items()))
MAX_LINE = 120  # longer lines are text that mentions such words
TAIL_CHARS = 100  # of the end of a text in which an editor's note is looked for

_TAIL = re.compile(
    rf"(?<=[。！？!?”」）)\s])\s*[（(\[【]?\s*(?:{_ROLE}\s*[：:]\s*\S{{1,8}}(?:\s\S{{1,4}})?|原标题\s*[：:].{{1,60}}|"
    r"点击进入专题.{0,30}|本文来源\s*[：:].{1,40}|欢迎关注.{0,12}公众号.{0,30})\s*[）)\]】]?\s*$"
)

_PLACE = r"(?:娱乐城|娱乐场|现金网|棋牌|博彩|投注|赌场|百家乐|老虎机|六合彩|时时彩|真人视讯|真人荷官|体育平台|彩票平台)"
_LURE = r"(?:注册.{0,2}送|充值.{0,2}(?:返|送)|首存.{0,2}送|彩金|返水|秒到账|秒提现|信誉第一|官方正版|稳赚|包赢|日结|优惠大厅)"
_REACH = r"(?:[加十+]\s*(?:微信|微|V|v|VX|vx|QQ|扣扣|Q群)|客服|点击下载|开户|网址|官网|联系)"
_ADVERT = tuple(re.compile(pattern) for pattern in (_PLACE, _LURE, _REACH))
MAX_ADVERT = 200


@dataclass(frozen=True)
class Boilerplate:
    """Cut boilerplate lines and tails; the document stays."""

    name: ClassVar[str] = "boilerplate"
    reads: ClassVar[tuple[str, ...]] = ("text",)
    writes: ClassVar[tuple[str, ...]] = ("text", "boilerplate_chars", "boilerplate_kinds")

    def mark(self, batch: pl.DataFrame, desk: Path) -> pl.DataFrame:
        """Rewrite ``text``; add how many characters went and of which kinds."""
        text = batch["text"]
        rows = text.str.contains_any(list(TRIGGERS)).arg_true()
        lines = pl.DataFrame({"row": rows, "line": text.gather(rows).str.split("\n")}).explode("line")
        suspect = (lines["line"].str.len_chars() <= MAX_ADVERT) & lines["line"].str.contains_any(list(TRIGGERS))
        found: dict[int, set[str]] = {}
        keep = [True] * len(lines)
        for n, row, line in lines.with_row_index().filter(suspect).iter_rows():
            kind = kind_of(line)
            if kind:
                keep[n] = False
                found.setdefault(row, set()).add(kind)
        touched = pl.Series("row", list(found), dtype=rows.dtype).to_frame()
        left = lines.filter(pl.Series(keep, dtype=pl.Boolean)).join(
            touched, on="row", how="semi", maintain_order="left"
        )
        joined = left.group_by("row", maintain_order=True).agg(pl.col("line").str.join("\n"))
        new = {
            **dict.fromkeys(found, ""),
            **dict(joined.with_columns(pl.col("line").str.strip_chars("\n")).iter_rows()),
        }
        for row, end in zip(rows.to_list(), text.gather(rows).str.slice(-TAIL_CHARS).to_list(), strict=True):
            tail = _TAIL.search(new[row][-TAIL_CHARS:] if row in new else end)
            if tail:
                whole = new.get(row) or text[row]
                new[row] = whole[: max(0, len(whole) - TAIL_CHARS) + tail.start()].rstrip()
                found.setdefault(row, set()).add("editor")
        before = text.str.len_chars()
        out = rewritten(text, new)
        kinds = [",".join(sorted(found[row])) if row in found else "" for row in range(len(text))]
        return batch.with_columns(
            out,
            (before - out.str.len_chars()).cast(pl.UInt32).alias("boilerplate_chars"),
            pl.Series("boilerplate_kinds", kinds, dtype=pl.String),
        )


def kind_of(line: str) -> str | None:
    """Return the kind of boilerplate that a line is, None if it is text."""
    bare = line.strip()
    if not bare or len(bare) > MAX_ADVERT:
        return None
    if sum(bool(pattern.search(bare)) for pattern in _ADVERT) >= 2:
        return "advert"
    whole = _WHOLE.fullmatch(bare) if len(bare) <= MAX_LINE else None
    return whole.lastgroup if whole else None
