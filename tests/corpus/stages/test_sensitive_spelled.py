from __future__ import annotations

from pathlib import Path

import pytest

from corpus.stages.sensitive import Sensitive
from corpus.stages.sensitive.lists import read_lexicon
from corpus.stages.sensitive.spelled import spelled
from tests.corpus.stages.test_sensitive import lists, score


def test_forms_of_a_term() -> None:
    assert list(spelled("百家乐")) == ["baijiale", "bai家乐", "百jia乐", "百家le"]
    assert "dajitui" in spelled("打击退")
    assert list(spelled("大家啊")) == ["da家啊", "大jia啊", "大家a"]  # dajiaa has six letters, too few
    assert spelled("澳门娱乐城")[0] == "aomenyulecheng"
    assert list(spelled("毒品")) == ["du品", "毒pin"]  # two hanzi spelled whole would be half the English dictionary
    assert spelled("a片") == spelled("dafa") == spelled("性") == ()
    assert spelled("重庆时时彩")[0].startswith("chongqing")  # pypinyin knows words, zhong would be the commoner sound


def test_forms_are_of_the_terms_category_and_do_not_replace_a_term(tmp_path: Path) -> None:
    folder = lists(tmp_path / "l", gambling="澳门娱乐城\n", porn="aomenyulecheng\n")
    terms = {term.text: term for term in read_lexicon(folder, False, 2, pinyin=True).terms}
    assert terms["aomenyulecheng"].category == "porn"
    assert terms["澳men娱乐城"].category == "gambling"
    assert terms["澳men娱乐城"].spelled
    assert {term.text for term in read_lexicon(folder, False, 2).terms} == {"澳门娱乐城", "aomenyulecheng"}


@pytest.mark.parametrize(
    "text",
    [
        "来 ao men yu le cheng 玩，zhen ren he guan 陪你，zhu ce song cai jin，liu he cai te ma 天天有",
        "来aomenyulecheng玩，zhenrenheguan陪你，zhucesongcaijin，liuhecaitema天天有",
        "来澳men娱乐城玩，真ren荷官陪你，注册song彩金，六he彩特码天天有",
        "来澳m·e·n娱·乐城玩，真*r*e*n荷官陪你，注册s-o-n-g彩金，六h e彩特码天天有",
    ],
)
def test_spelled_terms_are_found_and_count_as_veiled(tmp_path: Path, text: str) -> None:
    folder = lists(tmp_path / "l", gambling="澳门娱乐城\n真人荷官\n注册送彩金\n六合彩特码\n")
    ordinary = [f"今天第{n}次去公园散步，天气很好，湖边的柳树都绿了，孩子们在放风筝。" * 8 for n in range(200)]
    rows = score([*ordinary, text], "网页", tmp_path / "on", Sensitive(lists=folder, shipped=False))
    assert rows["sensitive_score"][-1] >= 1
    assert rows["sensitive_category"][-1] == "gambling"
    off = score([*ordinary, text], "网页", tmp_path / "off", Sensitive(lists=folder, shipped=False, pinyin=False))
    assert off["sensitive_score"][-1] == 0


def test_english_and_ordinary_pinyin_are_no_hits(tmp_path: Path) -> None:
    texts = [
        "She sang a gentle song about the longing of sailors and the women they leave on the shore. " * 5,
        "Wo men jin tian qu gong yuan wan, tian qi hen hao, hai zi men hen gao xing. " * 5,
        "def generate(self, tokens): return self.model(tokens).logits.argmax(-1)  # 采样用贪心 " * 5,
    ]
    rows = score(texts, "网页", tmp_path / "d", Sensitive())
    assert rows["sensitive_score"].max() == 0


def test_a_list_without_hanzi_needs_no_pinyin(tmp_path: Path) -> None:
    folder = lists(tmp_path / "l", spam="casino\n")
    assert [term.text for term in read_lexicon(folder, False, 2, pinyin=True).terms] == ["casino"]
