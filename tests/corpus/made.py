"""Text made for tests: sentences put together from words, so that no corpus need be in the repository."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

SUBJECTS = "老师 学生 工人 农民 医生 记者 船长 木匠 司机 画家 邻居 祖母 园丁 厨师 士兵 店主".split()
PLACES = "河边 学校 工厂 田野 医院 车站 海上 院子 城里 山脚 图书馆 市场 花园 厨房 桥头 码头".split()
VERBS = "写下 看见 修好 搬走 记录 画出 收集 整理 讨论 打开 寻找 送来 照看 种下 描述 计算".split()
OBJECTS = "一封信 几本书 那台机器 新的计划 旧地图 三棵树 一条小船 许多问题 两个箱子 这幅画 早晨的雾 一段往事".split()
ENDS = "，天色已经晚了。 ，大家都很高兴。 ，这使他想起了家乡。 ，谁也没有说话。 ，事情就这样定了。 ，雨一直没有停。".split()


def prose(rng: random.Random, sentences: int = 12) -> str:
    """Return a text of a few hundred characters."""
    return "".join(
        f"{rng.choice(SUBJECTS)}在{rng.choice(PLACES)}{rng.choice(VERBS)}了{rng.choice(OBJECTS)}{rng.choice(ENDS)}"
        for _ in range(sentences)
    )


def record(number: int, content: str, domain: str = "新闻", title: str = "题目") -> dict[str, Any]:
    """Return a WuDao record with a 32-digit key."""
    return {"id": number, "uniqueKey": f"{number:032x}", "dataType": domain, "title": title, "content": content}


def write_wudao(folder: Path, records: list[dict[str, Any]], per_part: int = 60) -> Path:
    """Write records as ``part-*.json`` arrays."""
    folder.mkdir(parents=True, exist_ok=True)
    for part, start in enumerate(range(0, len(records), per_part)):
        path = folder / f"part-{part:03d}.json"
        path.write_text(json.dumps(records[start : start + per_part], ensure_ascii=False), encoding="utf-8")
    return folder


def mixed(count: int = 200, seed: int = 1) -> list[dict[str, Any]]:
    """Return records of two domains with known faults: 5 exact and 5 near duplicates, 3 short, 2 with a telephone."""
    rng = random.Random(seed)
    records = [record(n, prose(rng), "新闻" if n % 2 else "评论") for n in range(count)]
    for n in range(5):
        records.append(record(1000 + n, records[n]["content"]))
        near = records[10 + n]["content"]
        records.append(record(2000 + n, near[:-3] + "改一改"))
    records += [record(3000 + n, "暂无") for n in range(3)]
    records += [record(4000 + n, prose(rng) + f"联系电话：1380013800{n}。" + prose(rng)) for n in range(2)]
    rng.shuffle(records)
    return records
