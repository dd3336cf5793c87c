"""A small corpus of two sources in which every kind of removal happens, and whose texts are as hostile as text can be."""

from __future__ import annotations

import io
import json
import random
from pathlib import Path
from typing import Any

import orjson
import polars as pl

from corpus.build import Input, build
from corpus.recipe import load_recipe

from .made import mixed, prose, record, write_wudao

SCRIPT = "<script>alert(1)</script>"
IMAGE = "\"'><img src=x onerror=alert(1)>"
ITEM = "某工厂甲车间有工人三十二人，乙车间有工人二十八人，如果从甲车间调出若干人到乙车间，应调出多少人才相等"
GAMBLING = "百家乐真人荷官龙虎斗网上赌场澳门赌场博彩平台" * 6

RECIPE = """
name: everything <script>alert(2)</script>
steps:
  - normalise
  - boilerplate
  - private
  - shape
  - language
  - gate: {stage: normalise, reject: {mojibake: broken_share > 0.05}}
  - gate: {stage: rules, reject: {short: chars < 20, digits: digit_share > 0.35 and chars > 25}}
  - fingerprint
  - exact
  - gate: {stage: exact, duplicate_of: exact_of, detail: [], reject: {exact_duplicate: exact_of is not null}}
  - simplify
  - minhash
  - near
  - gate: {stage: near, duplicate_of: near_of, detail: [near_jaccard], reject: {near_duplicate: near_of is not null}}
  - decontaminate
  - gate: {stage: decontaminate, reject: {benchmark_item: benchmark_item is not null}}
  - perplexity: {reference_chars: 60000, reference_domains: [新闻], order: 3}
  - quality: {reference_domains: [新闻], sample_chars: 20000, min_examples: 10}
  - bucket: {min_documents: 20}
  - sensitive
  - gate: {stage: sensitive, reject: {sensitive_topic: sensitive_score >= 1}}
"""


def records() -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Return the records of the two sources, jsonl and wudao."""
    rng = random.Random(7)
    faulty = [
        record(5001, "全角ＡＢＣ１２３　　空格\r\n\r\n\r\n" + prose(rng)),
        record(5002, prose(rng) + "\n责任编辑：张三\n点击进入专题\n" + prose(rng)),
        record(5003, "�" * 60 + prose(rng, 2)),
        record(5004, "1234567890 " * 8),
        record(5005, "這個國家的經濟發展與環境保護問題，後來變得複雜起來。" + prose(rng)),
        record(5006, f"{SCRIPT}&lt;b&gt;{prose(rng)}", title=SCRIPT, domain=IMAGE),
        record(5007, prose(rng, 4) + ITEM + prose(rng, 4)),
        *(record(5100 + n, GAMBLING + prose(rng, 2), title=IMAGE, domain=IMAGE) for n in range(6)),
        record(5200, "短" + IMAGE, title=SCRIPT),
        record(5300, ""),
    ]
    mine = [
        {"id": f"{SCRIPT}{n}", "text": prose(rng, 9), "title": IMAGE if n % 9 == 0 else "题", "domain": "新闻"}
        for n in range(60)
    ]
    mine += [{"id": f"copy-{n}", "text": mine[n]["text"], "title": SCRIPT, "domain": IMAGE} for n in range(4)]
    mine += [
        {"id": f"near-{n}", "text": mine[20 + n]["text"][:-3] + "改了字", "title": "", "domain": ""} for n in range(4)
    ]
    return mine, [*mixed(260), *faulty]


def make_everything(folder: Path, *, tokenizer: Path | None = None, proxy: bool = True) -> Path:
    """Build the corpus and return its folder."""
    mine, wudao = records()
    lines = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in mine)
    (folder / "mine").mkdir(parents=True)
    (folder / "mine" / "a.jsonl").write_text(lines, encoding="utf-8")
    src = write_wudao(folder / "wudao", wudao)
    (folder / "recipe.yaml").write_text(RECIPE, encoding="utf-8")
    tests = folder / "benchmarks" / "gsm8k"
    tests.mkdir(parents=True)
    (tests / "test.jsonl").write_bytes(orjson.dumps({"question": ITEM, "answer": "x #### 2"}) + b"\n")
    recipe = load_recipe(str(folder / "recipe.yaml"), {"decontaminate": {"benchmarks": folder / "benchmarks"}})
    options = {"text": "text", "id": "id", "title": "title", "domain": "domain"}
    inputs = [Input("jsonl", folder / "mine", options), Input("wudao", src)]
    build(inputs, recipe, folder / "out", workers=1, tokenizer=tokenizer, proxy=proxy)
    return folder / "out"


def make_tokenizer(folder: Path) -> Path:
    """Train a small SentencePiece model on made prose."""
    import sentencepiece

    rng = random.Random(11)
    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(prose(rng) for _ in range(200)),
        model_writer=model,
        model_type="bpe",
        vocab_size=420,
        byte_fallback=True,
        normalization_rule_name="identity",
        remove_extra_whitespaces=False,
        character_coverage=1.0,
        minloglevel=2,
    )
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "tokenizer.model").write_bytes(model.getvalue())
    return folder


def parquet(folder: Path) -> pl.DataFrame:
    """Read all parts of a side."""
    files = sorted(folder.rglob("*.parquet"))
    return pl.concat([pl.read_parquet(file, hive_partitioning=False) for file in files])
