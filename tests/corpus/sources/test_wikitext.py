from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from corpus.sources.wikitext import is_redirect, plain


@pytest.mark.parametrize(
    ("marks", "text"),
    [
        ("'''粗'''和''斜''", "粗和斜"),
        ("[[传输层|傳輸層]]与[[协议]]", "傳輸層与协议"),
        ("[[可靠性 (计算机)|]]", "可靠性"),
        ("[[:Category:甲|乙]][[Category:丙]][[分类:丁]]", "乙"),
        ("[[en:QUIC]][[zh-min-nan:X]]正文", "正文"),
        ("[[File:A.png|thumb|图中的[[山]]和{{small|水}}]]正文", "正文"),
        ("见[https://example.org/a?b=c 这里]。[https://example.org]", "见这里。"),
        ("a<ref>注</ref>b<ref name=\"x\"/>c<ref name='y'>{{cite web|url=http://x}}</ref>d", "abcd"),
        ("前<!-- 注释\n两行 -->后", "前后"),
        ("{{Infobox|a={{b|c}}|d=[[e]]}}正文", "正文"),
        ("（{{lang-en|Transport}}，{{lang|ja|輸送}}）", "（Transport，輸送）"),
        ("{{link-en|开销|Overhead}}与{{tsl|en|Security|安全}}", "开销与安全"),
        ("名字（{{bd|1900年}}）是", "名字是"),
        ("<math>E = mc^{2}\\frac{{a}}{b}</math>成立", "$E = mc^{2}\\frac{{a}}{b}$成立"),
        ("<nowiki>[[不是链接]]</nowiki>", "[[不是链接]]"),
        ("一&nbsp;二&lt;三", "一\xa0二<三"),
        ("一<br/>二", "一\n二"),
        ("* 一\n** 二\n# 三\n: 四", "- 一\n- 二\n- 三\n四"),
        ("前\n{| class=a\n|-\n! 甲 !! 乙\n|-\n| 1 || {{x|2}}\n{|\n| 内\n|}\n|}\n后", "前\n\n后"),
        ("== 历史 ==\n正文\n== 空 ==\n== 参考资料 ==\n{{reflist}}\n* 书", "历史\n\n正文"),
        ("== 参考文献 ==\n甲\n=== 书目 ===\n乙\n== 影响 ==\n丙", "影响\n\n丙"),
        ("__NOTOC__正文", "正文"),
        ("没有收尾的{{模板，[[链接\n\n下一段", "没有收尾的模板，链接\n\n下一段"),
        ("多余的收尾]]和}}", "多余的收尾和"),
    ],
)
def test_marks(marks: str, text: str) -> None:
    assert plain(marks) == text


@pytest.mark.parametrize(
    ("marks", "hans", "hant"),
    [
        ("-{zh-hans:计算机;zh-hant:電腦;}-", "计算机", "電腦"),
        ("-{zh-cn:程序; zh-tw:程式; zh-hk:程式}-", "程序", "程式"),
        ("-{A|zh-cn:软件;zh-tw:軟體}-", "软件", "軟體"),
        ("-{H|zh-cn:软件;zh-tw:軟體}-后", "后", "后"),
        ("-{T|zh-cn:题;zh-tw:題}-后", "后", "后"),
        ("-{乾}-隆", "乾隆", "乾隆"),
        ("-{zh-hant|乾}-隆", "乾隆", "乾隆"),
        ("[[流控制|-{zh-tw:串流; zh-cn:流;}-]]", "流", "串流"),
        ("-{zh-hans:[[甲|乙]];zh-hant:{{lang|zh|丙}}}-", "乙", "丙"),
        ("-{zh-tw:只有臺灣}-", "只有臺灣", "只有臺灣"),
    ],
)
def test_variants_of_chinese(marks: str, hans: str, hant: str) -> None:
    assert plain(marks, "zh-hans") == hans
    assert plain(marks, "zh-hant") == hant


def test_redirects() -> None:
    assert is_redirect("#REDIRECT [[甲]]")
    assert is_redirect("#重定向 [[甲]]")
    assert not is_redirect("# 一项\n[[甲]]")


@given(st.text(st.sampled_from("{}[]|-=*#:<>'&;甲a \n!"), max_size=200))
def test_any_marks_are_survived_and_plain_text_is_kept(marks: str) -> None:
    plain(marks)
    words = "正文没有任何标记，也应当一字不少。"
    assert plain(words) == words


def test_marks_that_never_close_cost_no_time() -> None:
    begin = time.process_time()
    plain("{{" * 20_000 + "]]" * 20_000 + "<ref>" * 2000 + "甲" * 10_000 + "-{" * 5000)
    assert time.process_time() - begin < 10
