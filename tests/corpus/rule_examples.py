"""For each reason of the shipped recipes' rules: a text that is rejected for it, and a near one that is kept.

Texts are put together from common words, so that none repeats itself unless its rule is about that.
"""

from __future__ import annotations

import random
from collections.abc import Callable

WORDS = (
    "学校 老师 学生 城市 农村 河流 山脉 森林 图书 报纸 电影 音乐 画家 医生 工人 农民 商店 市场 道路 桥梁 火车 飞机 轮船 汽车 "
    "春天 夏天 秋天 冬天 早晨 傍晚 昨天 今天 明天 时间 历史 文化 科学 技术 经济 社会 国家 世界 人民 生活 工作 学习 研究 发展 "
    "建设 改革 开放 合作 交流 教育 卫生 体育 艺术 文学 语言 文字 书法 绘画 雕刻 建筑 园林 食品 衣服 房屋 家庭 父母 孩子 朋友 "
    "邻居 客人 主人 领导 群众 干部 战士 记者 作家 诗人 演员 歌手 观众 读者 顾客 司机 乘客 旅客 居民 村民 市民 问题 方法 原因 "
    "结果 过程 条件 环境 资源 能源 材料 产品 质量 数量 价格 成本 收入 支出 利润 投资 贸易 企业 公司 工厂 车间 设备 机器 工具 "
    "提高 降低 增加 减少 改善 保护 支持 帮助 参加 组织 安排 准备 开始 结束 继续 停止 出现 消失 发现 解决 讨论 决定 选择 放弃"
).split()
LINKS = "的 在 是 了 和 也 由 而 有 被".split()
ENGLISH = (
    "river market teacher village engine paper window morning harvest bridge letter garden winter summer doctor sailor "
    "painter kitchen station mountain question answer reason history music science labour travel weather silver copper "
    "timber wagon candle mirror basket ladder needle anchor harbour meadow orchard pasture furnace hammer lantern blanket "
    "carried opened followed watched repaired measured planted gathered counted painted mended studied crossed covered"
).split()
SMALL = "the of and to that with have be in on at by".split()
RUSSIAN = (
    "река рынок учитель деревня бумага окно утро мост письмо сад зима лето врач моряк кухня станция гора вопрос".split()
)
GERMAN = (
    "Fluss Markt Lehrer Dorf Papier Fenster Morgen Brücke Brief Garten Winter Sommer Arzt Seemann Küche Berg".split()
)
LURES = (
    "百家乐 真人荷官 龙虎斗 美女荷官 注册送彩金 首存返利 六合彩特码 时时彩计划 北京赛车 网上赌场 澳门赌场 在线棋牌 体育投注 "
    "老虎机 捕鱼达人 提款秒到账 充值优惠 信誉平台 官方正版下载 加微信咨询 代理返佣 稳赚不赔"
).split()


def clauses(rng: random.Random, n: int, link: bool = True) -> list[str]:
    """Return n clauses of five words, with function words between them or not."""
    out = []
    for _ in range(n):
        some = rng.sample(WORDS, 5)
        out.append(
            some[0]
            + (rng.choice(LINKS) if link else "")
            + "".join(some[1:4])
            + (rng.choice(LINKS) if link else "")
            + some[4]
        )
    return out


def zh(seed: int, sentences: int = 12, *, link: bool = True) -> str:
    """Return prose that repeats nothing."""
    rng = random.Random(seed)
    return "".join("，".join(clauses(rng, 3, link)) + "。" for _ in range(sentences))


def zh_lines(seed: int, lines: int, ends: str = "。", words: int = 15) -> list[str]:
    """Return lines of prose, each of a few clauses."""
    rng = random.Random(seed)
    return ["，".join(clauses(rng, words // 5)) + ends for _ in range(lines)]


def en(seed: int, sentences: int = 12) -> str:
    """Return English-like prose that repeats nothing."""
    rng = random.Random(seed)
    out = []
    for _ in range(sentences):
        some = [rng.choice(SMALL if n % 3 == 0 else ENGLISH) for n in range(12)]
        out.append(" ".join(some).capitalize() + ".")
    return " ".join(out)


def code(seed: int, lines: int = 20) -> str:
    """Return lines of a program."""
    rng = random.Random(seed)
    return "\n".join(
        f"{rng.choice(ENGLISH)}_{n} = {rng.choice(ENGLISH)}({rng.choice(ENGLISH)}, {rng.randrange(90)})"
        for n in range(lines)
    )


def every(text: str, mark: str, step: int) -> str:
    """Return the text with a mark after every ``step`` characters."""
    return "".join(c + (mark if n % step == step - 1 else "") for n, c in enumerate(text))


def sprinkled(seed: int, phrase: str, times: int, clauses_: int) -> str:
    """Return one line of prose with a phrase at random places."""
    rng = random.Random(seed)
    parts = [*clauses(rng, clauses_), *[phrase] * times]
    rng.shuffle(parts)
    return "，".join(parts) + "。"


def copied(seed: int, share: float, clauses_: int = 160) -> str:
    """Return one line of prose of which a share is a copy of its beginning."""
    parts = clauses(random.Random(seed), clauses_)
    return "，".join([*parts, *parts[: round(clauses_ * share / (1 - share))]]) + "。"


def shuffled(seed: int, lines: list[str], times: int) -> str:
    """Return the lines several times over, each time in another order."""
    rng = random.Random(seed)
    return "\n".join(line for _ in range(times) for line in rng.sample(lines, len(lines)))


def _menu(seed: int, end: str) -> str:
    rng = random.Random(seed)
    return "\n".join("".join(rng.sample(WORDS, 2)) + end for _ in range(30))


def _verse(seed: int) -> str:
    rng = random.Random(seed)
    return "\n".join(
        "".join(rng.sample(WORDS, 2)) + rng.choice("人山水") + "，" + "".join(rng.sample(WORDS, 2)) + "天。"
        for _ in range(12)
    )


def _results(seed: int, periods: int) -> str:
    rng = random.Random(seed)
    return "，".join(
        f"第{n}期{rng.choice(WORDS)}号码{' '.join(str(rng.randrange(10, 99)) for _ in range(5))}"
        for n in range(periods)
    )


def _ad(seed: int, lures: int) -> str:
    rng = random.Random(seed)
    return "，".join(rng.choice(LURES) + rng.choice(WORDS) for _ in range(lures)) + "。"


SHELL = "\n".join(
    f"$ sudo {a} --{b} /usr/share/{c}/{d}.conf"
    for a, b, c, d in zip(ENGLISH[:16], ENGLISH[7:], ENGLISH[13:], ENGLISH[21:], strict=False)
)
NAMES = (  # words of seven characters and more
    "全国人民代表大会 中华人民共和国 全国人大常委会 最高人民检察院 第二次世界大战 湖北省人民政府 中国人民解放军 中央军事委员会 "
    "十一届三中全会 人民英雄纪念碑 联合国教科文组织 劳动人民文化宫 恩施土家族苗族自治州 中国人民政治协商会议 新民主主义革命 "
    "财政经济委员会 中国历史博物馆 中南财经政法大学 教育科学文化卫生委员会 长江水产研究所 马克思列宁主义 上海证券交易所 "
    "中国革命博物馆 澳门特别行政区 中国共产党中央委员会 抗日民族统一战线 长阳土家族自治县 内务司法委员会 武汉职业技术学院 "
    "长江三峡水利枢纽工程 东湖新技术开发区 农业与农村委员会 环境与资源保护委员会 国际货币基金组织 新疆维吾尔自治区 "
    "中央纪律检查委员会 广西壮族自治区 世界反法西斯战争 中国社会科学院 药品监督管理局 香港特别行政区 中央顾问委员会"
).split()

Pair = tuple[str, str]  # rejected, kept
EXAMPLES: dict[str, dict[str, Pair | Callable[[], Pair]]] = {
    "zh-web": {
        "mojibake": (every(zh(1), "\ufffd", 10), every(zh(1), "\ufffd", 100)),
        "short": ("暂无内容，返回首页", "他在河边住了三十年，天天写字。今天也不例外。"),
        "few_han": (
            "发货时间 2024-06-13 18:29:25，2024-06-17 13:57:36，09:41:00",
            "先更新软件源，再装上这几个软件包，最后改好配置文件。出错时先看日志：\n\n" + SHELL + "\n\n" + zh(2, 8),
        ),
        "repetitive": (
            "他们" + "，".join([clause := "".join(WORDS[:9])] * 8) + "。",
            zh(2) + clause + "。" + zh(3) + clause + "。",
        ),
        "phrase": ("不错" * 30, "这家店不错，" + zh(4, 2) + "味道不错，价格不错。"),
        "repeated_lines": (
            shuffled(5, (names := [clause[:7] for clause in clauses(random.Random(5), 7)]), 3),
            "\n".join([*names, *names[:2], *zh_lines(6, 10)]),
        ),
        "repeated_paragraphs": (
            "\n\n".join([one := zh(7, 4), one, zh(8, 4)]),
            "\n\n".join([zh(7, 4), zh(9, 4), zh(8, 4)]),
        ),
        "menu": (_menu(10, ""), _verse(10)),
        "teasers": ("\n".join(zh_lines(11, 8, "……")), "\n".join([*zh_lines(11, 2, "……"), *zh_lines(12, 8)])),
        "symbols": ("★☆◆◇●○■□▲△" * 12 + zh(13, 2), "═" * 40 + "\n" + zh(13, 4)),
        "digits": (
            _results(14, 12),
            "据统计，2023年全市工业增加值为1258.6亿元，比上年增长5.8%，其中制造业增长6.2%。" + zh(14, 2),
        ),
        "sensitive_topic": (_ad(15, 60), "公安机关近日查处一家网上赌场，依法抓获多名嫌疑人。" + zh(15)),
    },
    "fineweb2-zh": {
        "mojibake": (every(zh(1), "\ufffd", 10), every(zh(1), "\ufffd", 100)),
        "not_chinese": (en(2), zh(2)),
        "dup_lines": ("\n".join([*(some := zh_lines(3, 10)), *some[:5]]), "\n".join(zh_lines(3, 10))),
        "top_2gram": (sprinkled(4, "河流山脉", 120, 40), sprinkled(4, "河流山脉", 8, 70)),
        "top_3gram": (sprinkled(5, "河流山脉森林", 38, 70), sprinkled(5, "河流山脉森林", 8, 70)),
        "top_4gram": (sprinkled(6, "河流山脉森林桥梁", 22, 70), sprinkled(6, "河流山脉森林桥梁", 6, 70)),
        "dup_5gram": (copied(7, 0.25), copied(7, 0.10)),
        "dup_6gram": (copied(8, 0.19), copied(8, 0.11)),
        "dup_7gram": (copied(9, 0.1745), copied(9, 0.11)),
        "dup_8gram": (copied(10, 0.161), copied(10, 0.11)),
        "dup_9gram": (copied(11, 0.148), copied(11, 0.11)),
        "dup_10gram": (copied(12, 0.135), copied(12, 0.11)),
        "few_stops": ("\n".join(zh_lines(13, 12, "")), "\n".join([*zh_lines(13, 9, ""), *zh_lines(14, 3)])),
        "dup_line_chars": (
            "\n".join([(line := zh_lines(15, 1)[0]), *zh_lines(16, 7), line]),
            "\n".join([line, *zh_lines(16, 12), line]),
        ),
        "list": (
            "\n".join(clause[:7] + "。" for clause in clauses(random.Random(17), 40)),
            "\n".join(clause + "。" for clause in clauses(random.Random(17), 40)),
        ),
        "short": (zh(18, 2), zh(18, 5)),
        "long": lambda: (zh(19, 6500), zh(19, 60)),
        "word_length": (
            "".join(name + LINKS[n % 4] * (n % 3 == 0) for n, name in enumerate(NAMES)) + "。",
            "".join(NAMES[:9]) + "。" + zh(20),
        ),
        "hashes": (every(zh(21), "#", 12) + "。", every(zh(21), "#", 60)),
        "ellipses": (zh(22).replace("，", "……"), zh(22, 8) + zh(27, 4).replace("。", "……") + zh(29, 1)),
        "bullets": (
            "\n".join("• " + line for line in zh_lines(23, 12)),
            "\n".join([*("• " + line for line in zh_lines(23, 8)), *zh_lines(24, 4)]),
        ),
        "cut_lines": (
            "\n".join([*zh_lines(25, 5, "…", 30), *zh_lines(26, 5, "。", 30)]),
            "\n".join([*zh_lines(25, 2, "…", 30), *zh_lines(26, 8, "。", 30)]),
        ),
        "few_letters": (
            "".join(f"{word}的{n}，" for n, word in enumerate(WORDS[:60])) + "是。",
            "".join(f"{clause}{n}，" for n, clause in enumerate(clauses(random.Random(27), 40))) + "是。",
        ),
        "few_stop_words": (zh(28, link=False), zh(28, link=False) + zh(29, 3)),
        "sensitive_topic": (zh(30, 6) + _ad(30, 60), zh(30, 12) + "公安机关近日查处一家网上赌场，依法抓获多名嫌疑人。"),
    },
    "en-web": {
        "mojibake": (every(en(1), "\ufffd", 10), every(en(1), "\ufffd", 100)),
        "short": ("Forbidden. The request URL is forbidden.", en(2, 3)),
        "not_english": (" ".join(RUSSIAN * 2), en(3) + " " + " ".join(RUSSIAN[:5])),
        "word_length": (
            " ".join(
                f"https://www.{a}-{b}-{c}.example.com/the-{d}"
                for a, b, c, d in zip(ENGLISH, ENGLISH[7:], ENGLISH[13:], ENGLISH[21:], strict=False)
            ),
            en(4) + " https://www.river-market.example.com/the-teacher",
        ),
        "few_letters": (
            " ".join(f"{word} {n}" for n, word in enumerate(ENGLISH)) + " the of",
            en(5) + " " + " ".join(map(str, range(20))),
        ),
        "few_stop_words": (" ".join(GERMAN * 4), " ".join(GERMAN) + " " + en(6, 3)),
        "symbols": (
            " ".join(f"#{word} {other} the of" for word, other in zip(ENGLISH, ENGLISH[9:], strict=False)),
            en(7) + " #river #market",
        ),
        "bullets": (
            "\n".join(f"• {en(n, 1)}" for n in range(8)),
            "\n".join([*(f"• {en(n, 1)}" for n in range(6)), en(9), en(10)]),
        ),
        "ellipses": (
            "\n".join(f"{en(n, 2)[:-1]}..." for n in range(8)),
            "\n".join([f"{en(1, 2)[:-1]}...", *(en(n, 2) for n in range(2, 9))]),
        ),
        "repetitive": (" ".join([en(11, 6)] * 3), en(11, 6) + " " + en(12, 4) + " " + en(11, 6)[:200]),
    },
    "code": {
        "short": ("x = 1\n", "total = 1\nprint(total + 1)\n"),
        "broken": (every(code(1), "\ufffd", 40), every(code(1), "\ufffd", 400)),
        "data": (
            "\n".join(f"{n * 7919}, {n * 104729}," for n in range(30)),
            code(2) + "\n" + ", ".join(map(str, range(60))),
        ),
        "long_lines": ("var " + ",".join(f"{word}{n}={n}" for n in range(40) for word in ENGLISH[n : n + 2]), code(3)),
        "repetitive": ("    total += 1\n" * 300, code(4, 90)),
    },
}

OWN = {  # the gates of recipe ``mixed``, each for documents of one kind: the recipe whose rules they hold
    " when lang <> 'code' and (lang <> 'en' or han_share >= 0.03)": "zh-web",
    " when lang = 'en' and han_share < 0.03": "en-web",
    " when lang = 'code'": "code",
}
ELSEWHERE = ("mojibake", "sensitive_topic", "not_english")  # reasons of those that are no rules there
EXAMPLES["mixed"] = {name: EXAMPLES["zh-web"][name] for name in ("mojibake", "sensitive_topic")} | {
    reason + when: pair
    for when, recipe in OWN.items()
    for reason, pair in EXAMPLES[recipe].items()
    if reason not in ELSEWHERE
}
