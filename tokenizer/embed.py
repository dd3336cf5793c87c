"""Rows for the pieces that an extended tokenizer has and a model has not: input embedding and lm_head.

Old rows stay bit for bit. New rows, in both matrices each by its own rows:

    subword-mean  the mean of the base rows of the pieces that the new piece used to split into (the default)
    mean          the mean of all base rows: each new piece begins as likely as the average one
    random        normal numbers
    zero          zeros

Those of subword-mean and random are then rescaled to the median norm of the base rows: a mean of rows is shorter than
a row, and the model has seen none so short. The mean of all rows is not: scaled up to a row's length it would be the
common direction of all rows, and likelier than any. Padding rows are the mean of all base rows, so that they are never
likely; zeros for zero.

One shard of safetensors after another is copied as a stream, so that memory does not grow with the model: LLaMA-13B's
two matrices in two shards of 0.6 GB take 14 s, 6 of them CPU, and less than 1 GB.
"""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from tokenizer.model import read_model
from tokenizer.tensors import RAW_TYPES, Raw, Replacement, Tensor, from_float, read_header, rewrite, to_float
from workbench import manifest
from workbench.console import note, progress, table
from workbench.errors import ConfigError, InputError
from workbench.files import atomic_path, read_json, write_json

Init = Literal["subword-mean", "mean", "random", "zero"]
INITS: tuple[Init, ...] = ("subword-mean", "mean", "random", "zero")
KIND = "model"
INPUT_NAMES = (  # by architecture: Llama, Mistral, Qwen and most; GPT-2; GPT-NeoX; models saved without their head
    "model.embed_tokens.weight",
    "transformer.wte.weight",
    "gpt_neox.embed_in.weight",
    "embed_tokens.weight",
    "wte.weight",
)
OUTPUT_NAMES = ("lm_head.weight", "embed_out.weight")
TOKENIZER_FILES = ("tokenizer.model", "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json")
OTHER_TOKENIZER_FILES = ("added_tokens.json", "vocab.json", "vocab.txt", "merges.txt", "chat_template.jinja")
WEIGHT_SUFFIXES = (".safetensors", ".bin", ".pt", ".pth", ".h5", ".msgpack", ".onnx", ".gguf", ".ckpt")
CHUNK_ROWS = 512
MOST_PADDING = 1024  # rows a model may have beyond its vocabulary


@dataclass(frozen=True)
class Growth:
    """A tokenizer's pieces beside a model's rows."""

    base_pieces: int  # rows that stay
    subwords: tuple[tuple[int, ...], ...]  # of each new piece: the base pieces it used to be
    rows: int  # of the grown matrices, padding included
    seed: int
    init: Init

    @property
    def pieces(self) -> int:
        """Return the pieces of the extended vocabulary."""
        return self.base_pieces + len(self.subwords)


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
    config = _config(model)
    shards, index = find_shards(model)
    tensors = {tensor.name: tensor for shard in shards for tensor in read_header(shard)[0]}
    chosen = matrices(model, tensors)
    base_pieces, subwords = new_pieces(tokenizer)
    growth = Growth(base_pieces, subwords, -(-(base_pieces + len(subwords)) // pad_to) * pad_to, seed, init)
    for tensor in chosen:
        _check_rows(tensor, growth, model, tokenizer)
    _check_vocabulary(model, tokenizer, base_pieces)
    inputs = [manifest.describe_file(shard) for shard in shards]
    settings = {"init": init, "pad_to": pad_to, "seed": seed}
    marks = [made.fingerprint, [entry["sha256"] for entry in inputs], config]
    mark = manifest.fingerprint(KIND, settings, marks)
    if manifest.claim(out, KIND, mark, overwrite=overwrite) == "complete":
        note(f"{out}: complete, made of the same model and tokenizer; nothing to do")
        return dict(manifest.read(out, KIND, "tokenizer embed").results)
    grown = {tensor.name: Replacement((growth.rows, tensor.shape[1]), _blocks(tensor, growth)) for tensor in chosen}
    with progress("write", len(shards), "shards") as count:
        for shard in shards:
            rewrite(shard, out / shard.name, grown)
            count.advance()
    _copy_others(model, tokenizer, out)
    written = _write_json_files(model, tokenizer, out, config, growth, index, shards)
    files = [manifest.describe_file(out / name, out) for name in (*(s.name for s in shards), *TOKENIZER_FILES)]
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


def find_shards(model: Path) -> tuple[list[Path], dict[str, Any] | None]:
    """Return a model's safetensors files, and its index if it has one.

    Raises:
        InputError: If it has none, or lacks one that the index names.
    """
    index_path = model / "model.safetensors.index.json"
    if not index_path.is_file():
        single = model / "model.safetensors"
        if not single.is_file():
            raise InputError(model, "holds no model.safetensors and no index of several", "save it as safetensors")
        return [single], None
    try:
        index = dict(read_json(index_path))
        shards = [model / name for name in sorted(set(index["weight_map"].values()))]
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(index_path, f"is not an index ({error})", "fetch it again") from error
    for shard in shards:
        if shard.parent != model or not shard.is_file():
            raise InputError(index_path, f"names {shard.name}, which is not there", "fetch it again")
    return shards, index


def matrices(model: Path, tensors: dict[str, Tensor]) -> list[Tensor]:
    """Return the input embedding, and lm_head if the model stores one.

    Raises:
        InputError: If there is none known, or something else has a row a piece too.
    """
    inputs = [tensors[name] for name in INPUT_NAMES if name in tensors]
    outputs = [tensors[name] for name in OUTPUT_NAMES if name in tensors]
    if len(inputs) != 1 or len(outputs) > 1:
        names = ", ".join(name for name in tensors if "emb" in name or "head" in name) or "none"
        raise InputError(
            model, f"has no input embedding that is known (of that kind: {names})", "see tokenizer/embed.py"
        )
    for tensor in tensors.values():
        alike = tensor.shape[:1] == inputs[0].shape[:1] and ("embed" in tensor.name or "head" in tensor.name)
        if alike and tensor not in (*inputs, *outputs):
            raise InputError(model, f"has a row a piece in {tensor.name} too", "see tokenizer/embed.py")
    for tensor in (*inputs, *outputs):
        if tensor.dtype not in RAW_TYPES or len(tensor.shape) != 2:
            raise InputError(
                tensor.path, f"holds {tensor.name} as {tensor.dtype}", "name a model that is not quantised"
            )
    return [*inputs, *outputs]


def new_pieces(tokenizer: Path) -> tuple[int, tuple[tuple[int, ...], ...]]:
    """Return how many pieces the base had, and of each new piece the base pieces that its text used to be.

    Args:
        tokenizer: A folder of ``tokenizer extend``.
    """
    from sentencepiece import SentencePieceProcessor

    model = read_model(tokenizer / "tokenizer.model")
    base_pieces = int(read_json(tokenizer / "report.json")["base_pieces"])
    texts = [piece.piece for piece in model.pieces[base_pieces:]]
    del model.pieces[base_pieces:]
    model.normalizer_spec.add_dummy_prefix = False  # a piece stands within a text, not at its beginning
    base = SentencePieceProcessor(model_proto=model.SerializeToString())
    return base_pieces, tuple(tuple(ids) for ids in base.encode(texts))


def _config(model: Path) -> dict[str, Any]:
    path = model / "config.json"
    if not path.is_file():
        raise InputError(model, "holds no config.json", "name a folder of a model in safetensors")
    try:
        config = dict(read_json(path))
    except ValueError as error:
        raise InputError(path, f"is not JSON ({error})", "fetch it again") from error
    if not isinstance(config.get("vocab_size"), int):
        raise InputError(path, "has no vocab_size of its own", "name a model of text alone")
    return config


def _check_rows(tensor: Tensor, growth: Growth, model: Path, tokenizer: Path) -> None:
    rows = tensor.shape[0]
    if not growth.base_pieces <= rows < growth.base_pieces + MOST_PADDING:
        raise InputError(
            model,
            f"has {rows:,} rows in {tensor.name}, {tokenizer} was extended from {growth.base_pieces:,} pieces",
            "extend the model's own vocabulary",
        )


def _check_vocabulary(model: Path, tokenizer: Path, base_pieces: int) -> None:
    if not (model / "tokenizer.model").is_file():
        note(f"{model}: holds no tokenizer.model, so that its pieces cannot be compared with the tokenizer's base")
        return
    theirs, ours = (read_model(folder / "tokenizer.model").pieces for folder in (model, tokenizer))
    pairs = zip([piece.piece for piece in theirs], [piece.piece for piece in ours[:base_pieces]], strict=False)
    differs = next((number for number, (a, b) in enumerate(pairs) if a != b), None)
    if differs is not None or len(theirs) != base_pieces:
        what = f"differ at id {differs}" if differs is not None else f"are {len(theirs):,}"
        remedy = f"extend with --base {model / 'tokenizer.model'}"
        raise InputError(model, f"its pieces {what}; {tokenizer} was extended from {base_pieces:,} others", remedy)


def _chunks(raw: Raw, rows: int) -> Iterator[Raw]:
    for begin in range(0, rows, CHUNK_ROWS):
        yield raw[begin : min(begin + CHUNK_ROWS, rows)]


def median_norm(tensor: Tensor, rows: int) -> float:
    """Return the median Euclidean norm of a matrix's first rows."""
    norms = [np.linalg.norm(to_float(chunk, tensor.dtype), axis=1) for chunk in _chunks(tensor.raw(), rows)]
    return float(np.median(np.concatenate(norms)))


def mean_row(tensor: Tensor, rows: int) -> NDArray[np.float64]:
    """Return the mean of a matrix's first rows."""
    total = np.zeros(tensor.shape[1])
    for chunk in _chunks(tensor.raw(), rows):
        total += to_float(chunk, tensor.dtype).sum(axis=0, dtype=np.float64)
    return total / rows


def new_rows(tensor: Tensor, growth: Growth) -> Iterator[NDArray[np.float32]]:
    """Yield the rows behind the base's, padding included, in chunks of shape (rows, hidden)."""
    raw, width = tensor.raw(), tensor.shape[1]
    mean = mean_row(tensor, growth.base_pieces).astype(np.float32)
    padding = np.zeros(width, np.float32) if growth.init == "zero" else mean
    wanted = median_norm(tensor, growth.base_pieces) if growth.init in ("subword-mean", "random") else 0.0
    random = np.random.default_rng([growth.seed, *tensor.name.encode()])
    for begin in range(0, len(growth.subwords), CHUNK_ROWS):
        some = growth.subwords[begin : begin + CHUNK_ROWS]
        if growth.init == "subword-mean":
            sizes = np.array([len(ids) for ids in some])
            gathered = to_float(raw[np.concatenate(some)], tensor.dtype).astype(np.float64)
            begins = np.cumsum(sizes) - sizes
            rows = (np.add.reduceat(gathered, begins, axis=0) / sizes[:, None]).astype(np.float32)
        elif growth.init == "random":
            rows = random.standard_normal((len(some), width), np.float32)
        else:
            rows = np.tile(padding, (len(some), 1))
        if wanted:
            norms = np.linalg.norm(rows.astype(np.float64), axis=1, keepdims=True)
            rows = (rows * (wanted / np.maximum(norms, 1e-30))).astype(np.float32)
        yield rows
    yield np.tile(padding, (growth.rows - growth.pieces, 1))


def _blocks(tensor: Tensor, growth: Growth) -> Iterator[Raw]:
    """Yield a grown matrix as raw numbers: the base's rows as they are, then the new ones."""
    yield from _chunks(tensor.raw(), growth.base_pieces)
    for rows in new_rows(tensor, growth):
        yield from_float(rows, tensor.dtype)


def _copy_others(model: Path, tokenizer: Path, out: Path) -> None:
    """Copy the tokenizer's files, and what else the model's folder has; not its old tokenizer nor other weights."""
    skipped = []
    ours = {*TOKENIZER_FILES, *OTHER_TOKENIZER_FILES, "config.json", "generation_config.json", manifest.NAME}
    for path in sorted(model.iterdir()):
        if path.suffix in WEIGHT_SUFFIXES and path.suffix != ".safetensors":
            skipped.append(path.name)
        elif (
            path.is_file() and path.name not in ours and not path.name.endswith((".safetensors", ".index.json", ".md"))
        ):
            _copy(path, out / path.name)
    for name in TOKENIZER_FILES:
        _copy(tokenizer / name, out / name)
    if skipped:
        note(f"{model}: left behind {', '.join(skipped)}: weights in other formats, with the old rows")


def _copy(path: Path, out: Path) -> None:
    with atomic_path(out) as temporary:
        shutil.copyfile(path, temporary)


def _write_json_files(
    model: Path,
    tokenizer: Path,
    out: Path,
    config: dict[str, Any],
    growth: Growth,
    index: dict[str, Any] | None,
    shards: Sequence[Path],
) -> list[Path]:
    """Write config.json, generation_config.json and the index for the new rows and the tokenizer's specials."""
    from tokenizer.export import named_specials

    spm = read_model(tokenizer / "tokenizer.model")
    ids = {piece.piece: number for number, piece in enumerate(spm.pieces)}
    special = {f"{name}_id": ids[piece] for name, piece in named_specials(spm).items() if name != "unk_token"}
    written = [out / "config.json"]
    write_json(written[0], {**config, "vocab_size": growth.rows, **special})
    if (model / "generation_config.json").is_file():
        generation = json.loads((model / "generation_config.json").read_text(encoding="utf-8"))
        written.append(out / "generation_config.json")
        write_json(written[-1], {**generation, **special})
    if index is not None:
        tensors = [tensor for shard in shards for tensor in read_header(out / shard.name)[0]]
        about = dict(index.get("metadata", {}))
        about["total_size"] = sum(tensor.end - tensor.begin for tensor in tensors)
        if "total_parameters" in about:
            about["total_parameters"] = sum(int(np.prod(tensor.shape)) for tensor in tensors)
        written.append(out / "model.safetensors.index.json")
        write_json(written[-1], {**index, "metadata": about})
    return written


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
