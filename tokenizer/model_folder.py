"""A model's folder of which two matrices grow: what they are, whether they fit, and the files beside them.

What has a row a piece is known by name; a model that has such rows elsewhere too is refused, because they would be left
behind. Files that are neither weights nor the old tokenizer's are copied; config.json, generation_config.json and the
index are written for the new rows. Cost: the headers of the weights.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tokenizer.model import read_model
from tokenizer.rows import Growth
from tokenizer.tensors import RAW_TYPES, Tensor, read_header
from workbench import manifest
from workbench.console import note
from workbench.errors import InputError
from workbench.files import atomic_path, read_json, write_json

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
NO_TOKENIZER = (  # of a model, an adapter or a tokenizer folder
    *(manifest.NAME, "report.json", "README.md", "config.json", "generation_config.json"),
    *("adapter_config.json", "model.safetensors.index.json"),
)
MOST_PADDING = 1024  # rows a model may have beyond its vocabulary


def copy_tokenizer(source: Path, folder: Path) -> None:
    """Copy a tokenizer's files from its own folder, or from one where it lies beside a model or an adapter."""
    for path in sorted(source.iterdir()):
        if path.is_file() and path.name not in NO_TOKENIZER and path.suffix not in (".safetensors", ".bin"):
            shutil.copyfile(path, folder / path.name)


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
            model, f"has no input embedding that is known (of that kind: {names})", "see tokenizer/model_folder.py"
        )
    for tensor in tensors.values():
        alike = tensor.shape[:1] == inputs[0].shape[:1] and ("embed" in tensor.name or "head" in tensor.name)
        if alike and tensor not in (*inputs, *outputs):
            raise InputError(model, f"has a row a piece in {tensor.name} too", "see tokenizer/model_folder.py")
    for tensor in (*inputs, *outputs):
        if tensor.dtype not in RAW_TYPES or len(tensor.shape) != 2:
            raise InputError(
                tensor.path, f"holds {tensor.name} as {tensor.dtype}", "name a model that is not quantised"
            )
    return [*inputs, *outputs]


def read_config(model: Path) -> dict[str, Any]:
    """Return a model's config.json.

    Raises:
        InputError: If it is missing, is not JSON, or names no vocabulary.
    """
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


def check_rows(tensor: Tensor, growth: Growth, model: Path, tokenizer: Path) -> None:
    """Refuse a matrix that has not the rows of the tokenizer's base.

    Raises:
        InputError: Naming both.
    """
    rows = tensor.shape[0]
    if not growth.base_pieces <= rows < growth.base_pieces + MOST_PADDING:
        raise InputError(
            model,
            f"has {rows:,} rows in {tensor.name}, {tokenizer} was extended from {growth.base_pieces:,} pieces",
            "extend the model's own vocabulary",
        )


def copy_others(model: Path, tokenizer: Path, out: Path) -> list[str]:
    """Copy the tokenizer's files, and what else the model's folder has; not its old tokenizer nor other weights.

    Returns:
        The names of the tokenizer's files.
    """
    skipped = []
    ours = {*TOKENIZER_FILES, *OTHER_TOKENIZER_FILES, "config.json", "generation_config.json", manifest.NAME}
    for path in sorted(model.iterdir()):
        if path.suffix in WEIGHT_SUFFIXES and path.suffix != ".safetensors":
            skipped.append(path.name)
        elif (
            path.is_file() and path.name not in ours and not path.name.endswith((".safetensors", ".index.json", ".md"))
        ):
            _copy(path, out / path.name)
    carried = [name for name in TOKENIZER_FILES if (tokenizer / name).is_file()]
    for name in carried:
        _copy(tokenizer / name, out / name)
    if skipped:
        note(f"{model}: left behind {', '.join(skipped)}: weights in other formats, with the old rows")
    return carried


def _copy(path: Path, out: Path) -> None:
    with atomic_path(out) as temporary:
        shutil.copyfile(path, temporary)


def _special_ids(tokenizer: Path) -> dict[str, int]:
    """Return bos, eos and pad; none for a byte-level BPE, whose model has them at the ids that they keep."""
    from tokenizer.export import named_specials

    if not (tokenizer / "tokenizer.model").is_file():
        return {}
    spm = read_model(tokenizer / "tokenizer.model")
    ids = {piece.piece: number for number, piece in enumerate(spm.pieces)}
    return {f"{name}_id": ids[piece] for name, piece in named_specials(spm).items() if name != "unk_token"}


def write_json_files(
    model: Path,
    tokenizer: Path,
    out: Path,
    config: dict[str, Any],
    growth: Growth,
    index: dict[str, Any] | None,
    shards: Sequence[Path],
) -> list[Path]:
    """Write config.json, generation_config.json and the index for the new rows and the tokenizer's specials."""
    special = _special_ids(tokenizer)
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
