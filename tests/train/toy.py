"""A tiny real world for the tests: a sentencepiece vocabulary over a grammar of Chinese, packed into real token shards.

The grammar is learnable in a hundred steps (a subject, a verb that goes with it, an object that goes with the verb, a
full stop), so a loss that does not fall below what letter frequencies give is a broken loss.
"""

import io
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import sentencepiece

from tokenizer.shards import PIECES, TokenShards, write_shard
from workbench import manifest
from workbench.files import sha256_file

PATTERNS = {"医生": ("看病", "开药"), "老师": ("教书", "写字"), "农民": ("种田", "收麦"), "诗人": ("饮酒", "望月")}
PLACES = ("在山上", "在城里", "在河边", "在家中")


def texts(count: int, seed: int) -> list[str]:
    rng = np.random.default_rng(seed)
    out = []
    for _ in range(count):
        sentences = []
        for _ in range(int(rng.integers(2, 12))):
            who = str(rng.choice(list(PATTERNS)))
            sentences.append(f"{who}{rng.choice(PLACES)}{rng.choice(PATTERNS[who])}。")
        out.append("".join(sentences))
    return out


def make_tokenizer(folder: Path, seed: int = 0, symbols: tuple[str, ...] = ()) -> Path:
    """Write a tokenizer folder with a real tokenizer.model (about 60 pieces) and a manifest."""
    folder.mkdir(parents=True)
    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(texts(200, seed)),
        model_writer=model,
        vocab_size=320,
        model_type="bpe",
        byte_fallback=True,
        hard_vocab_limit=False,
        character_coverage=1.0,
        control_symbols=list(symbols),
        **({"normalization_rule_name": "identity", "remove_extra_whitespaces": False} if symbols else {}),
        minloglevel=2,
    )
    (folder / "tokenizer.model").write_bytes(model.getvalue())
    (folder / "tokenizer_config.json").write_text("{}\n")
    results = {"base": "toy", "base_pieces": 320, "added": 0, "total": 320}
    mark = manifest.fingerprint("tokenizer", seed, [])
    manifest.write(folder, manifest.Manifest("tokenizer", mark, {}, [], results=results))
    return folder


def make_tokens(
    folder: Path,
    tokenizer: Path,
    *,
    seq_len: int = 32,
    train: int = 120,
    validation: int = 20,
    seed: int = 1,
    corpus: Path | None = None,
) -> Path:
    """Write a tokens folder of toy texts: documents end to end, cut where a sequence ends, padded at last."""
    pieces = sentencepiece.SentencePieceProcessor(model_file=str(tokenizer / "tokenizer.model"))
    folder.mkdir(parents=True)
    vocab, files, splits = pieces.vocab_size(), [], {}
    for split, count, offset in (("train", train, 0), ("validation", validation, 1000)):
        documents = texts(count, seed + offset)
        ids, table = pack(
            [[pieces.bos_id(), *pieces.encode(t), pieces.eos_id()] for t in documents], documents, seq_len
        )
        ids = np.concatenate([ids, np.full(-len(ids) % seq_len, pieces.eos_id())])
        (folder / split).mkdir()
        files += write_shard(folder, split, 0, ids, table, seq_len=seq_len, vocab_size=vocab)
        size = sum(len(t.encode()) for t in documents)
        splits[split] = {
            "tokens": int(pa.compute.sum(table["length"]).as_py()),
            "documents": count,
            "bytes": size,
            "ledger": [],
        }
    results = {
        "seq_len": seq_len,
        "vocab_size": vocab,
        "eos_id": pieces.eos_id(),
        "bos_id": pieces.bos_id(),
        "dtype": "uint16",
        "tokenizer_sha256": sha256_file(tokenizer / "tokenizer.model"),
        "splits": splits,
    }
    mark = manifest.fingerprint("tokens", [seq_len, train, validation, seed], [])
    inputs = [{"path": str(tokenizer)}] if corpus is None else [{"path": str(corpus)}, {"path": str(tokenizer)}]
    manifest.write(folder, manifest.Manifest("tokens", mark, {}, inputs, files=files, results=results))
    return folder


def make_corpus(folder: Path, *, train: int = 120, seed: int = 1) -> Path:
    """Write a corpus folder of the training documents that ``make_tokens`` packs, and the raw file it was made from."""
    rows = [(f"toy/{n}", text) for n, text in enumerate(texts(train, seed))]
    part = folder / "kept" / "bucket=head" / "part-00000.parquet"
    part.parent.mkdir(parents=True)
    pq.write_table(pa.table({"id": [i for i, _ in rows], "text": [t for _, t in rows]}), part)
    raw = folder.with_suffix(".jsonl")
    raw.write_text("\n".join(text for _, text in rows), encoding="utf-8")
    results = {"records": train + 3, "kept": train, "rejected": 3}
    mark = manifest.fingerprint("corpus", [train, seed], [])
    inputs = [manifest.describe_file(raw)]
    manifest.write(folder, manifest.Manifest("corpus", mark, {}, inputs, results=results))
    return folder


def pack(documents: list[list[int]], sources: list[str], seq_len: int) -> tuple[np.ndarray, pa.Table]:
    """Lay documents end to end and cut them at the sequences' ends; bytes go to the first piece of a document.

    A real packer counts each piece's own bytes; for sums over a whole split it makes no difference, but for those of
    the first id of a later piece, which are counted here with the first.
    """
    ids, rows, at = [], [], 0
    for number, (document, text) in enumerate(zip(documents, sources, strict=True)):
        left = list(document)
        first = True
        while left:
            room = seq_len - at % seq_len
            part, left = left[:room], left[room:]
            size = len(text.encode()) if first else 0
            rows.append((at, len(part), f"toy/{number}", "toy", "甲" if number % 2 else "乙", "head", size, 0))
            ids += part
            at += len(part)
            first = False
    columns = [pa.array([row[n] for row in rows], field.type) for n, field in enumerate(PIECES)]
    return np.asarray(ids), pa.table(columns, schema=PIECES)


def open_train(folder: Path) -> TokenShards:
    return TokenShards.open(folder, "train")


SMALL = [
    "model.hidden_size=32",
    "model.layers=2",
    "model.heads=2",
    "model.mlp_size=64",
    "model.max_positions=64",
    "batch_tokens=128",
    "micro_batch=2",
    "optim.warmup=2",
    "optim.lr=1e-2",
    "precision=fp32",
]
