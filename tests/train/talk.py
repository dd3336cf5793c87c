"""A tiny chat world for the alignment stages: a fresh model over the toy vocabulary, and files of dialogues and pairs."""

import json

import numpy as np

from tests.train.test_pt import run as run_pt
from tests.train.toy import PATTERNS, PLACES, make_tokenizer, make_tokens
from tokenizer.dialogues import read_material
from tokenizer.export import export
from tokenizer.model import read_model
from train.settings import resolve

SHARED = ["window=96", "min_jaccard=none", "optim.warmup=2", "precision=fp32", "checkpoint.every=none"]


def make_base(folder, *more):
    """A run of a model with random weights and enough positions, over a toy vocabulary with Ziya's two specials."""
    tok, specials = make_tokenizer(folder / "tok", symbols=("<human>", "<bot>")), ("<human>", "<bot>")
    export(read_model(tok / "tokenizer.model"), tok, specials=specials)
    make_tokens(folder / "tokens", tok, train=20, validation=2)
    sizes = ("model.hidden_size=64", "model.mlp_size=128", "model.max_positions=128")
    run_pt(folder, folder / "run", "steps=1", "optim.lr=0", *sizes, *more)
    return folder / "run"


def material(base, path, stage, window=96, held_out=0.0):
    """The rows of files as a stage has them."""
    how = {"tokenizer": base / "model", "template": "own", "window": window, "held_out": held_out, "min_jaccard": None}
    return read_material(str(path).split(","), stage, **how)


def write(path, records):
    path.write_text("".join(json.dumps(record, ensure_ascii=False) + "\n" for record in records), encoding="utf-8")
    return path


def sentence(rng):
    who = str(rng.choice(list(PATTERNS)))
    return f"{who}{rng.choice(PLACES)}{rng.choice(PATTERNS[who])}。"


def dialogues(path, count=20, seed=0, turns=1):
    """Questions and answers that have nothing to do with each other: what is answered can only be known by heart."""
    rng = np.random.default_rng(seed)
    records = []
    for n in range(count):
        messages = []
        for _ in range(turns):
            messages.append({"role": "user", "content": f"{n}{sentence(rng)}"})
            messages.append({"role": "assistant", "content": sentence(rng)})
        records.append({"messages": messages})
    return write(path, records)


def preferences(path, count=60, seed=0, **more):
    """Answers of one sentence; the one about drinking is preferred to the one about farming, wherever it happens."""
    rng = np.random.default_rng(seed)
    records = []
    for n in range(count):
        good, bad = f"诗人{rng.choice(PLACES)}饮酒。", f"农民{rng.choice(PLACES)}种田。"
        user = {"role": "user", "content": f"{n}{sentence(rng)}"}
        records.append({"messages": [user], "chosen": good, "rejected": bad, **more})
    return write(path, records)


def words(stage, base, data, out, *more):
    given = [f"stage={stage}", f"model.weights={base}", f"data={data}", f"out={out}", *SHARED, *more]
    return [f"{key}={value}" for key, value in dict(word.split("=", 1) for word in given).items()]


def run(*given):
    found, loaded = resolve(words(*given))
    return found.run(loaded, False)
