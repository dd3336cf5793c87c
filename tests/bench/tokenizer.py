"""MB of UTF-8 per CPU-second of encoding with zh7k, and from parquet to token shards.

Chinese is the embedded default (People's Daily 1998 and reviews), English Python's own documentation
(``pydoc_data.topics``), code the standard library's sources; or zh.txt, en.txt and code.txt of the folder that
``YANMO_BENCH_TEXTS`` names. Every engine gets the same model and the same strings, on one thread, and gives its ids as
it gives them. sentencepiece is the reference: ids that are not its own are counted. tokie and gigatoken are measured
where they are installed.
"""

from __future__ import annotations

import importlib.util
import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from tokenizer.base import find_base
from tokenizer.encode import Encoder
from tokenizer.extend import extend
from tokenizer.learn import LearnSettings, learn
from tokenizer.pack import PackSettings, pack
from tokenizer.vocabularies import find_list
from workbench import manifest
from workbench.console import note, table
from workbench.errors import UserError

from .clock import best, measured
from .texts import texts_of

BOS = 1  # tokie puts it before every text
Engine = tuple[Callable[[pl.Series, list[str]], Any], Callable[[Any], np.ndarray[Any, Any]]]


def main() -> None:
    os.environ["RAYON_NUM_THREADS"] = "1"  # of tokenizers and gigatoken
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        try:
            base = find_base("llama")
        except UserError as error:
            note(f"{error}: measuring with --base mistral")
            base = find_base("mistral")
        extend(base, [find_list("zh7k")], folder / "zh7k", pad_to=128)
        texts = texts_of(folder)
        rows = []
        for engine, (run, ids_of) in _engines(folder / "zh7k").items():
            cells: list[object] = [engine]
            different = 0
            for text in texts.values():
                strings = text.to_list()
                size = text.str.len_bytes().sum() / 1e6
                cells.append(size / best(lambda run=run, text=text, strings=strings: run(text, strings)))  # type: ignore[misc]
                reference = Encoder(folder / "zh7k/tokenizer.model").by_sentencepiece(text)
                found = ids_of(run(text, strings))
                different += len(found) != len(reference.ids) or bool((found != reference.ids).any())
            rows.append((*cells, different))
        sizes = ", ".join(f"{name} {text.str.len_bytes().sum() / 1e6:.1f} MB" for name, text in texts.items())
        table(("encode", *texts, "of these with other ids"), rows, f"MB per CPU-second, one thread; {sizes}")
        _pack_and_learn(folder, texts["Chinese"])


def _engines(folder: Path) -> dict[str, Engine]:
    from tokenizers import Tokenizer

    encoder, fast = Encoder(folder / "tokenizer.model"), Tokenizer.from_file(str(folder / "tokenizer.json"))
    fast.encode_special_tokens = True

    def hugging_face(_: pl.Series, strings: list[str]) -> Any:
        return fast.encode_batch_fast(strings, add_special_tokens=False)

    engines: dict[str, Engine] = {
        "yanmo": (lambda text, _: encoder.encode(text), lambda out: out.ids),
        "sentencepiece": (lambda text, _: encoder.by_sentencepiece(text), lambda out: out.ids),
        "tokenizers": (hugging_face, lambda out: np.concatenate([np.array(one.ids, np.uint32) for one in out])),
    }
    if importlib.util.find_spec("tokie"):
        import tokie

        theirs = tokie.Tokenizer.from_json(str(folder / "tokenizer.json"))
        engines["tokie"] = (lambda _, strings: theirs.encode_batch_flat(strings), lambda out: out[0][out[0] != BOS])
    if importlib.util.find_spec("gigatoken"):
        import awkward
        import gigatoken

        giga = gigatoken.Tokenizer.from_sentencepiece(str(folder / "tokenizer.model"))

        def flat(out: Any) -> np.ndarray[Any, Any]:
            return np.asarray(awkward.to_numpy(awkward.flatten(out)))

        engines["gigatoken"] = (lambda _, strings: giga.encode_batch(strings), flat)
    return engines


def _pack_and_learn(folder: Path, chinese: pl.Series) -> None:
    """Measure parquet to shards, and learning words, on a corpus of the Chinese text."""
    corpus = folder / "corpus"
    path = corpus / "kept/bucket=head/part-00000.parquet"
    path.parent.mkdir(parents=True)
    frame = pl.DataFrame({"text": chinese}).with_row_index("n").select(
        (pl.lit("bench/") + pl.col("n").cast(pl.String)).alias("id"), "text",
        source=pl.lit("bench"), domain=pl.lit("bench"), bucket=pl.lit("head"),
    )  # fmt: skip
    frame.write_parquet(path)
    files = [manifest.describe_file(path, corpus, rows=len(frame))]
    manifest.write(corpus, manifest.Manifest("corpus", "0" * 32, {}, [], [], files, {}))
    size = chinese.str.len_bytes().sum() / 1e6
    rows = []
    for said in ("parquet to token shards, one process", "again, compiled"):
        with measured() as seconds:
            pack(corpus, folder / "zh7k", folder / said.replace(" ", "-"), PackSettings(1024), workers=1)
        rows.append((said, size / seconds.cpu))
    with measured() as seconds:
        learn(corpus, LearnSettings(10_000, min_count=3))
    rows.append(("learn 10,000 words", size / seconds.cpu))
    table(("tokenizer", "MB per CPU-second"), rows, f"{size:.0f} MB of Chinese")


if __name__ == "__main__":
    main()
