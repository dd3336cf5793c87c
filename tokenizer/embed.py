"""Rows for the pieces that an extended tokenizer has and a model has not: input embedding and lm_head.

The tokenizer is a SentencePiece model or a byte-level BPE (``tokenizer.byte_pieces``). Old rows stay bit for bit; how
new ones begin is said in ``tokenizer.rows``. One shard of safetensors after another is copied as a stream, so that
memory does not grow with the model: LLaMA-13B's two matrices in two shards of 0.6 GB take 14 s, 6 of them CPU, and less
than 1 GB.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from tokenizer.byte_pieces import byte_level_subwords
from tokenizer.continues import check_vocabulary
from tokenizer.model import read_model
from tokenizer.model_folder import (
    check_rows,
    copy_others,
    find_shards,
    matrices,
    read_config,
    write_json_files,
)
from tokenizer.rows import INITS, Growth, Init, blocks, median_norm
from tokenizer.tensors import Replacement, read_header, rewrite
from workbench import manifest
from workbench.console import note, progress, table
from workbench.errors import ConfigError
from workbench.files import read_json

KIND = "model"


def embed(
    model: Path, tokenizer: Path, out: Path, *, init: Init, pad_to: int | None, seed: int = 0, overwrite: bool = False
) -> dict[str, Any]:
    """Give a model the rows of an extended tokenizer.

    Args:
        model: A folder with config.json and safetensors, one file or several with an index.
        tokenizer: A folder that ``tokenizer extend`` made, from the model's own vocabulary.
        out: The new model's folder.
        init: How the new rows begin.
        pad_to: The matrices get a multiple of so many rows; None for what the tokenizer was made for.
        seed: Of ``random``.
        overwrite: Whether another model in ``out`` may be replaced.

    Returns:
        The manifest's results.

    Raises:
        UserError: If the two do not fit together, one is damaged, or ``out`` belongs to something else.
    """
    clock = time.monotonic()
    if init not in INITS:
        raise ConfigError("--init", f"{init} is no way to begin", f"choose from: {', '.join(INITS)}")
    made = manifest.read(tokenizer, "tokenizer", "tokenizer extend --add zh7k --out DIR")
    pad_to = pad_to if pad_to is not None else int(made.config.get("pad_to", 1))
    if pad_to < 1:
        raise ConfigError("--pad-to", f"{pad_to} is less than one", "give a multiple such as 128")
    config = read_config(model)
    shards, index = find_shards(model)
    tensors = {tensor.name: tensor for shard in shards for tensor in read_header(shard)[0]}
    chosen = matrices(model, tensors)
    base_pieces, subwords = new_pieces(tokenizer)
    growth = Growth(base_pieces, subwords, -(-(base_pieces + len(subwords)) // pad_to) * pad_to, seed, init)
    for tensor in chosen:
        check_rows(tensor, growth, model, tokenizer)
    check_vocabulary(model, tokenizer, base_pieces)
    inputs = [manifest.describe_file(shard) for shard in shards]
    settings = {"init": init, "pad_to": pad_to, "seed": seed}
    marks = [made.fingerprint, [entry["sha256"] for entry in inputs], config]
    mark = manifest.fingerprint(KIND, settings, marks)
    if manifest.claim(out, KIND, mark, overwrite=overwrite) == "complete":
        note(f"{out}: complete, made of the same model and tokenizer; nothing to do")
        return dict(manifest.read(out, KIND, "tokenizer embed").results)
    grown = {tensor.name: Replacement((growth.rows, tensor.shape[1]), blocks(tensor, growth)) for tensor in chosen}
    with progress("write", len(shards), "shards") as count:
        for shard in shards:
            rewrite(shard, out / shard.name, grown)
            count.advance()
    carried = copy_others(model, tokenizer, out)
    written = write_json_files(model, tokenizer, out, config, growth, index, shards)
    files = [manifest.describe_file(out / name, out) for name in (*(s.name for s in shards), *carried)]
    files += [manifest.describe_file(path, out) for path in written]
    results = {
        "init": init,
        "rows_before": chosen[0].shape[0],
        "base_pieces": base_pieces,
        "new_pieces": len(subwords),
        "rows": growth.rows,
        "matrices": [tensor.name for tensor in chosen],
        "median_norms": {tensor.name: round(median_norm(tensor, base_pieces), 6) for tensor in chosen},
        "seconds": round(time.monotonic() - clock, 3),
    }
    inputs.append({"path": str(tokenizer), "fingerprint": made.fingerprint})
    manifest.write(out, manifest.Manifest(KIND, mark, settings, inputs, (), files, results))
    return results


def new_pieces(tokenizer: Path) -> tuple[int, tuple[tuple[int, ...], ...]]:
    """Return how many pieces the base had, and of each new piece the base pieces that its text used to be.

    Args:
        tokenizer: A folder of ``tokenizer extend``, on a SentencePiece model or a byte-level BPE.

    Raises:
        InputError: If its vocabulary is damaged.
    """
    from sentencepiece import SentencePieceProcessor

    base_pieces = int(read_json(tokenizer / "report.json")["base_pieces"])
    if not (tokenizer / "tokenizer.model").is_file():
        return base_pieces, byte_level_subwords(tokenizer, base_pieces)
    model = read_model(tokenizer / "tokenizer.model")
    texts = [piece.piece for piece in model.pieces[base_pieces:]]
    del model.pieces[base_pieces:]
    model.normalizer_spec.add_dummy_prefix = False  # a piece stands within a text, not at its beginning
    base = SentencePieceProcessor(model_proto=model.SerializeToString())
    return base_pieces, tuple(tuple(ids) for ids in base.encode(texts))


def print_summary(results: dict[str, Any]) -> None:
    """Print the numbers of rows on stdout."""
    rows = [
        ("rows before", results["rows_before"]),
        ("kept bit for bit", results["base_pieces"]),
        (f"new, {results['init']}", results["new_pieces"]),
        ("padding", results["rows"] - results["base_pieces"] - results["new_pieces"]),
        ("rows", results["rows"]),
    ]
    table((" and ".join(results["matrices"]), "rows"), rows)
