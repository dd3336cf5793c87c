from __future__ import annotations

import json
import random
import tarfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from corpus.flat import FlatText
from corpus.stages.sensitive import Sensitive
from corpus.stages.sensitive.information import Counted, Scale, estimate
from corpus.stages.sensitive.lists import SHIPPED, read_lexicon
from corpus.stages.sensitive.match import Matcher, find, squeezed
from tests.corpus.made import prose
from workbench.errors import InputError


class All:
    """Survivors that are one table."""

    def __init__(self, rows: pl.DataFrame) -> None:
        self.rows = rows

    def each(self, names: Sequence[str], *, only: pl.Series | None = None, said: str = "") -> Iterator[pl.DataFrame]:
        rows = self.rows if only is None else self.rows.filter(pl.col("doc").is_in(only.implode()))
        for start in range(0, len(rows), 100):
            yield rows[start : start + 100].select("doc", *names)

    def lookup(self, docs: pl.Series, names: Sequence[str]) -> pl.DataFrame:
        raise NotImplementedError

    def meet(self, key: str, names: Sequence[str]) -> Iterator[pl.DataFrame]:
        raise NotImplementedError


def table(texts: Sequence[str], domains: Sequence[str] | str = "网页") -> pl.DataFrame:
    labels = [domains] * len(texts) if isinstance(domains, str) else list(domains)
    rows = pl.DataFrame({"text": texts, "domain": labels}, schema={"text": pl.String, "domain": pl.String})
    ids = [f"x/{n}" for n in range(len(texts))]
    return rows.with_columns(
        pl.Series("doc", range(len(texts)), dtype=pl.UInt64),
        pl.Series("id", ids, dtype=pl.String),
        pl.col("text").str.len_chars().alias("chars"),
    )


def score(texts: Sequence[str], domains: Sequence[str] | str, desk: Path, stage: Sensitive) -> pl.DataFrame:
    rows = table(texts, domains)
    desk.mkdir(parents=True, exist_ok=True)
    stage.prepare(All(rows), desk)
    return stage.mark(rows, desk)


def lists(folder: Path, **files: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (folder / f"{name}.txt").write_text(text, encoding="utf-8")
    return folder


BAD = {
    "gambling": "澳门娱乐城真人荷官，百家乐时时彩六合彩特码，注册送彩金888元，首存送，信誉第一，提现秒到。",
    "porn": "美女裸聊，同城约炮，外围女上门服务，成人电影激情视频，无码av在线，寂寞少妇一夜情。",
    "drugs": "出售冰毒海洛因，麻古摇头丸，氯胺酮k粉，听说乖乖水神仙水也有，溜冰壶配送。",
    "fraud": "代开发票，办证刻章，信用卡套现，黑户贷款秒批，刷单返利，跑分洗钱，出售银行卡四件套。",
    "terror": "出售手枪子弹，气枪铅弹，军用弩三棱军刺，雷管炸药配方，自制炸弹，买凶杀人。",
    "politics": "法轮大法，大法弟子，退党保平安，打倒共产党，西藏独立，颠覆国家政权，活摘器官。",
    "insult": "你这个王八蛋，狗杂种，狗娘养的，臭婊子，傻逼，贱货，傻屌，操你妈，婊子，草泥马，狗日的，干你娘！",
    "spam": "诚招代理，一件代发，加我微信，客服微信，a货精仿，高仿手表，复刻手表，香烟批发，刷粉刷赞，买粉丝，群控软件，私服。",
}

GOOD = {
    "新闻": "外交部发言人表示，台独分子的分裂活动不得人心。当地警方说，袭击者持步枪和手榴弹冲进市场，恐怖组织宣称负责，"
    "政府军随后与武装分子交火，数十名平民被绑架为人质。总理呼吁各方停止内战，恢复和平谈判，让难民早日回家。",
    "医疗": "女性月经推迟十天，乳房胀痛，阴道有少量出血，性生活后加重。医生建议先查性激素和阴道超声，排除怀孕，"
    "注意休息，避免性行为，必要时口服黄体酮。男方有早泄和勃起困难，与长期手淫的关系不大，不要自行服用壮阳药。",
    "法律": "非法买卖枪支、弹药、爆炸物的，处三年以上十年以下有期徒刑。组织他人卖淫的，强奸妇女的，依照本法处罚。"
    "走私、贩卖毒品，海洛因五十克以上的，处十五年有期徒刑、无期徒刑，并处没收财产。以赌博为业的，处三年以下有期徒刑。",
    "评论": "这家酒店的娱乐设施不错，有棋牌室，孩子喜欢捕鱼的游戏。早餐一般，服务员态度很好，下次还会再来，值得推荐。",
    "小说": "那年起义军攻进城来，守将拔出匕首，骂了一声杂种，翻身上马。城外火光冲天，杀手早已不知去向，只留下一封信。",
    "网页": "公司主营进出口交易，兼做爱心公益，鼓励男性交往礼仪培训，开奖学金班，成功法则讲座三场，群发展迅速。",
}


@pytest.fixture(scope="module")
def shipped(tmp_path_factory: pytest.TempPathFactory) -> tuple[Sensitive, Path]:
    """A stage prepared over ordinary prose."""
    rng = random.Random(1)
    desk = tmp_path_factory.mktemp("desk")
    stage = Sensitive()
    stage.prepare(All(table([prose(rng) for _ in range(200)])), desk)
    return stage, desk


def one(shipped: tuple[Sensitive, Path], text: str, domain: str = "网页") -> dict[str, object]:
    stage, desk = shipped
    return stage.mark(table([text], domain), desk).row(0, named=True)


@pytest.mark.parametrize("category", sorted(BAD))
def test_every_category_is_found_and_named(shipped: tuple[Sensitive, Path], category: str) -> None:
    row = one(shipped, BAD[category])
    assert row["sensitive_score"] >= 1  # type: ignore[operator]
    assert row["sensitive_category"] == category
    assert row["sensitive_hits"] >= 5  # type: ignore[operator]
    assert len(str(row["sensitive_terms"]).split()) >= 5


@pytest.mark.parametrize("domain", sorted(GOOD))
def test_ordinary_texts_of_a_domain_are_not_sensitive(shipped: tuple[Sensitive, Path], domain: str) -> None:
    assert one(shipped, GOOD[domain], domain)["sensitive_score"] < 0.5  # type: ignore[operator]


def test_every_shipped_category_has_a_test_and_every_list_is_clean() -> None:
    lexicon = read_lexicon(None, shipped=True, min_chars=2)
    assert set(lexicon.categories) == set(BAD)
    for file in SHIPPED.glob("*.txt"):
        if file.name != "allow.txt":
            terms = [line.partition("\t")[0] for line in file.read_text(encoding="utf-8").splitlines()]
            assert len(terms) == len(set(terms)), file.name


def test_allow_list_of_the_domain(shipped: tuple[Sensitive, Path]) -> None:
    text = "性交 手淫 自慰 阴道 阴茎 阴唇 射精 做爱，" * 3
    assert one(shipped, text, "网页")["sensitive_score"] >= 1  # type: ignore[operator]
    assert one(shipped, text, "医疗")["sensitive_score"] == 0
    assert one(shipped, text, "medical/dialogue")["sensitive_hits"] == 0


@pytest.mark.parametrize(
    "text",
    [
        "澳*门娱·乐城真★人荷-官，百*家·乐 时*时*彩 六·合·彩特-码，注*册*送彩金",
        "澳 门 娱 乐 城 真 人 荷 官，百 家 乐 六 合 彩 特 码，注 册 送 彩 金",
        "娱.乐.城 真_人_荷_官 百~家~乐 注|册|送 彩/金 时+时+彩",
        "ＡＶ在线　成人Ａ片　ＰＫ１０　百家乐　真人荷官　注册送",
    ],
)
def test_words_broken_up_are_found(shipped: tuple[Sensitive, Path], text: str) -> None:
    row = one(shipped, text)
    assert row["sensitive_score"] >= 1  # type: ignore[operator]
    assert row["sensitive_hits"] >= 4  # type: ignore[operator]


def test_veiled_share_counts_symbols_between_hanzi(shipped: tuple[Sensitive, Path]) -> None:
    assert one(shipped, "百*家*乐")["veiled_share"] == pytest.approx(2 / 3)
    assert one(shipped, "百家乐，你好。")["veiled_share"] == 0
    assert one(shipped, "为 什 么 呢")["veiled_share"] == 0  # spaces between tokens veil nothing


def test_sentence_marks_and_lines_part_words(shipped: tuple[Sensitive, Path]) -> None:
    assert one(shipped, "他说百，家乐福。裸\n聊天室里六。合彩")["sensitive_hits"] == 0


def test_density_not_any_hit(shipped: tuple[Sensitive, Path]) -> None:
    ordinary = prose(random.Random(2), 60)
    inside = one(shipped, ordinary + BAD["gambling"] + ordinary)
    assert inside["sensitive_hits"] >= 5  # type: ignore[operator]
    assert inside["sensitive_score"] < 0.5  # type: ignore[operator]


def test_one_word_often_is_no_topic(shipped: tuple[Sensitive, Path]) -> None:
    one_word = one(shipped, "原子弹的原理与原子弹的历史，讲原子弹的人很多。" * 5)
    several = one(shipped, "百家乐的原理与六合彩的历史，讲真人荷官的人很多。" * 5)
    assert one_word["sensitive_score"] < several["sensitive_score"] / 2  # type: ignore[operator]


def test_letters_need_word_boundaries(tmp_path: Path) -> None:
    stage = Sensitive(lists=lists(tmp_path / "l", porn="fuck\nviagra\n.com\nsex\n法lun\n"), shipped=False)
    rows = score(["FUCK viagra 法LUN", "fuckuoka viagras www.a.com essex 法lunch"], "网页", tmp_path / "d", stage)
    assert rows["sensitive_hits"].to_list() == [3, 0]


def test_the_longest_term_counts_once(tmp_path: Path) -> None:
    stage = Sensitive(lists=lists(tmp_path / "l", g="六合\n六合彩\n六合彩特码\n特码\n码资料\n"), shipped=False)
    rows = score(["六合彩特码资料六合彩"], "网页", tmp_path / "d", stage)
    assert rows["sensitive_hits"].to_list() == [3]  # 六合彩特码, 码资料 (it goes further), 六合彩
    assert set(rows["sensitive_terms"][0].split()) <= {"六合彩特码", "码资料", "六合彩"}


def broad(folder: Path) -> Path:
    """A list that is mostly ordinary words, with a few that are not."""
    ordinary = "老师 学生 工人 医院 河边 写下 一封信 许多问题 家乡 天色 早晨的雾 图书馆".split()
    rare = "甲毒散 乙炸膏 丙赌坊 丁色楼 戊骗局 己淫曲".split()
    return lists(folder, 杂=("\n".join([*ordinary, *rare])))


def test_an_over_broad_list_rejects_no_ordinary_document(tmp_path: Path) -> None:
    rng = random.Random(3)
    guilty = ["甲毒散和乙炸膏，丙赌坊旁丁色楼，戊骗局加己淫曲，" * 3] * 2
    texts = [prose(rng) for _ in range(400)] + guilty
    rows = score(texts, "新闻", tmp_path / "d", Sensitive(lists=broad(tmp_path / "l"), shipped=False))
    assert rows["sensitive_score"][:400].max() < 0.5  # type: ignore[operator]
    assert rows["sensitive_score"][400:].min() >= 1  # type: ignore[operator]


def test_what_is_ordinary_depends_on_the_domain() -> None:
    """Term 0 is in every tenth text of domain 0, in none of domain 1; term 1 is nowhere."""
    docs = np.arange(0, 10_000, 10)
    chars, domains = np.full(60_000, 1000), np.repeat([0, 1], [10_000, 50_000])
    counted = Counted(docs, np.zeros_like(docs), np.ones_like(docs), chars, domains)
    weights = estimate(counted, np.ones((3, 2)), np.zeros(2), Scale(20, 3, 100))
    assert weights[0, 0] < 0.05
    assert weights[1, 0] > 0.75
    assert 0 < weights[2, 0] < weights[1, 0]  # of an unknown domain: that of all text
    assert weights[:, 1].min() == 1


def test_dense_texts_do_not_make_their_own_words_ordinary() -> None:
    """Fifty terms, each in a fifth of 500 guilty texts that are 5 % of the corpus."""
    docs = np.repeat(np.arange(500), 10)
    terms = (docs * 7 + np.tile(np.arange(10), 500) * 5) % 50
    chars = np.r_[np.full(500, 100), np.full(9_500, 1000)]
    counted = Counted(docs, terms, np.full(len(docs), 2), chars, np.zeros(10_000, np.int64))
    weights = estimate(counted, np.ones((2, 50)), np.zeros(50), Scale(20, 3, 100))
    assert weights.min() > 0.9


def test_a_written_weight_is_believed(tmp_path: Path) -> None:
    rng = random.Random(5)
    texts = [prose(rng) for _ in range(100)]
    words = "老师 学生 工人 河边 学校 写下 看见".split()
    doubted = lists(tmp_path / "a", x="\n".join(words))
    believed = lists(tmp_path / "b", x="\n".join(f"{word}\t2" for word in words))
    low = score(texts, "新闻", tmp_path / "d1", Sensitive(lists=doubted, shipped=False))["sensitive_score"]
    high = score(texts, "新闻", tmp_path / "d2", Sensitive(lists=believed, shipped=False))["sensitive_score"]
    assert low.max() < 0.2  # type: ignore[operator]
    assert high.mean() > 1  # type: ignore[operator]


def test_users_lists_are_added_or_replace(tmp_path: Path) -> None:
    folder = lists(tmp_path / "l", 我的="丙赌坊\n")
    added = read_lexicon(folder, shipped=True, min_chars=2)
    alone = read_lexicon(folder, shipped=False, min_chars=2)
    assert "我的" in added.categories
    assert "porn" in added.categories
    assert alone.categories == ("我的",)


def test_comments_blank_lines_and_short_terms(tmp_path: Path) -> None:
    folder = lists(tmp_path / "l", x="\ufeff# 说明\n\n性\n甲乙,\n甲 乙 丙\t0.5 # 一个\nab\nabcd\n")
    terms = {term.text: term.weight for term in read_lexicon(folder, shipped=False, min_chars=2).terms}
    assert terms == {"甲乙": None, "甲乙丙": 0.5, "abcd": None}


@pytest.mark.parametrize(
    ("name", "raw", "said"),
    [
        ("x.txt", "好\n".encode() + "裸聊".encode("gb18030"), "is not UTF-8 at byte 4"),
        ("x.txt", "裸聊\t1\n约炮\t很高\n".encode(), "x.txt:2: the weight '很高' is no number"),
        ("x.txt", "裸聊\t-1\n".encode(), "x.txt:1"),
        ("x.txt", "裸聊\tnan\n".encode(), "x.txt:1"),
        ("x.txt", "# 空\n".encode(), "there is no term"),
        ("x.csv", b"", "has no .txt file"),
        ("allow.txt", "医疗\t月经\n".encode(), "has no .txt file"),
    ],
)
def test_list_errors_are_one_line(tmp_path: Path, name: str, raw: bytes, said: str) -> None:
    (tmp_path / name).write_bytes(raw)
    with pytest.raises(InputError) as caught:
        read_lexicon(tmp_path, shipped=False, min_chars=2)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such folder"):
        read_lexicon(tmp_path / "nowhere", shipped=True, min_chars=2)


def test_allow_file_without_a_tab(tmp_path: Path) -> None:
    folder = lists(tmp_path, x="月经\n", allow="医疗 月经\n")
    with pytest.raises(InputError, match=r"allow\.txt:1"):
        read_lexicon(folder, shipped=False, min_chars=2)


def test_same_input_same_result(tmp_path: Path) -> None:
    texts, domains = [*BAD.values(), *GOOD.values()], ["网页"] * len(BAD) + list(GOOD)
    stage = Sensitive(lists=broad(tmp_path / "l"))
    first = score(texts, domains, tmp_path / "d1", stage)
    second = score(texts, domains, tmp_path / "d2", stage)
    assert first.equals(second)
    for name in ("terms.parquet", "weights.parquet"):
        assert (tmp_path / "d1" / name).read_bytes() == (tmp_path / "d2" / name).read_bytes()
    alone = pl.concat(
        [stage.mark(first.select(table([]).columns)[i : i + 1], tmp_path / "d1") for i in range(len(texts))]
    )
    assert alone.equals(first)


def test_no_documents(tmp_path: Path) -> None:
    rows = score([], [], tmp_path / "d", Sensitive())
    assert rows.height == 0
    assert set(Sensitive.writes) <= set(rows.columns)
    unseen = Sensitive().mark(table(["", "百家乐"], "从未见过"), tmp_path / "d")
    assert unseen["sensitive_hits"].to_list() == [0, 1]
    assert unseen["sensitive_category"][0] is None


LETTERS = st.text(st.sampled_from("甲乙丙丁a1"), min_size=2, max_size=5)


@given(
    st.lists(LETTERS, min_size=1, max_size=12, unique=True),
    st.lists(st.text(st.sampled_from("甲乙丙丁a1* ，"), max_size=40), max_size=4),
)
def test_matches_are_those_of_a_slow_search(terms: list[str], texts: list[str]) -> None:
    hits = find(Matcher.of(terms), FlatText.of(pl.Series("text", texts, dtype=pl.String)))
    found = [[terms[t] for t in hits.terms[hits.docs == i]] for i in range(len(texts))]
    assert found == [slow_search(terms, text) for text in texts]


def slow_search(terms: list[str], text: str) -> list[str]:
    letters = [(place, char) for place, char in enumerate(text) if char not in "* ，"]
    out, covered = [], 0
    for p in range(len(letters)):
        best = 0
        for length in range(2, len(letters) - p + 1):
            places = [place for place, _ in letters[p : p + length]]
            inside = text[places[0] : places[-1] + 1]
            gaps = [text[a + 1 : b] for a, b in zip(places, places[1:], strict=False)]
            if "，" in inside or any(len(gap) > 2 for gap in gaps) or squeezed(inside) not in terms:
                continue
            if length == 2 and " " in inside and "*" not in inside:
                continue
            before, after = text[: places[0]][-1:], text[places[-1] + 1 :][:1]
            if (inside[0] in "a1" and before in ("a", "1")) or (inside[-1] in "a1" and after in ("a", "1")):
                continue
            best = length
        if best and p + best > covered:
            covered = p + best
            out.append("".join(char for _, char in letters[p : p + best]))
    return out


def test_squeezed_form() -> None:
    assert squeezed("百*家·乐 ＡＶ，ＰＫ10") == "百家乐avpk10"


def test_many_terms() -> None:
    rng = random.Random(6)
    terms = sorted(
        {"".join(chr(rng.randrange(0x4E00, 0x9FA5)) for _ in range(rng.randrange(2, 8))) for _ in range(20_000)}
    )
    text = "，".join(terms)
    hits = find(Matcher.of(terms), FlatText.of(pl.Series("text", [text])))
    assert np.array_equal(hits.terms, np.arange(len(terms)))


def test_real_lists_on_real_text(shared: Path, tmp_path: Path) -> None:
    """Over-broad lists in use, and news of a year: hardly a document is called sensitive, most have a hit."""
    (tmp_path / "l").mkdir()
    with tarfile.open(shared / "data" / "sensitive__lists-permissive.tar.xz") as tar:
        for member in tar:
            if member.name.endswith(("色情词库.txt", "反动词库.txt", "暴恐词库.txt")):
                file = tar.extractfile(member)
                assert file is not None
                (tmp_path / "l" / Path(member.name).name).write_bytes(file.read())
    news: list[str] = []
    with tarfile.open(shared / "data" / "zh_news__xinwenlianbo-2024.tar.xz") as tar:
        for member in tar:
            if member.name.endswith(".md") and len(news) < 600:
                file = tar.extractfile(member)
                assert file is not None
                news += [part for part in file.read().decode("utf-8", "replace").split("\n### ") if len(part) > 60]
    terms = "\n".join(path.read_text(encoding="utf-8") for path in (tmp_path / "l").iterdir()).split()
    raw = pl.Series(news).str.contains_any([term for term in terms if len(term) > 1])
    rng = random.Random(8)
    guilty = ["，".join(rng.sample(terms, 60)) for _ in range(20)]
    rows = score(
        [*news, *guilty], ["新闻"] * len(news) + ["网页"] * 20, tmp_path / "d", Sensitive(lists=tmp_path / "l")
    )
    sensitive = rows["sensitive_score"] >= 1
    assert raw.mean() > 0.15  # type: ignore[operator]
    assert sensitive[: len(news)].mean() < 0.005  # type: ignore[operator]
    assert sensitive[len(news) :].mean() == 1.0
    json.dumps(rows["sensitive_terms"].to_list())
