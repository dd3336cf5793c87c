"""Do llama.cpp's ids equal sentencepiece's? Its own converter and its own runtime, on a text.

    pip download --no-deps --no-binary llama-cpp-python llama-cpp-python==0.3.36    # take vendor/llama.cpp out of it
    pip install xllamacpp                                                           # its runtime as a wheel
    python -m tests.bench.gguf vendor/llama.cpp data/tokenizer/zh7k --text zh.txt --text en.txt --text code.txt

The folder goes with a model of one layer through ``convert_hf_to_gguf.py``; the runtime then tokenizes each line by its
server's ``/tokenize``, without specials. 20,000 lines take 30 s.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import urllib.request
from pathlib import Path
from typing import Any

from sentencepiece import SentencePieceProcessor

from tokenizer.verdict import HARD
from workbench.console import table
from workbench.files import read_json, read_text


def parser() -> argparse.ArgumentParser:
    """Return the flags."""
    out = argparse.ArgumentParser(prog="tests.bench.gguf", description=__doc__.splitlines()[0])
    out.add_argument("llama_cpp", type=Path, help="a folder of llama.cpp with convert_hf_to_gguf.py and gguf-py")
    out.add_argument("tokenizer", type=Path, help="a tokenizer folder")
    out.add_argument("--text", type=Path, action="append", required=True)
    out.add_argument("--lines", type=int, default=20_000, help="of each text")
    return out


def convert(llama_cpp: Path, tokenizer: Path, folder: Path) -> Path:
    """Return a GGUF file of the tokenizer, with the smallest model that the converter takes."""
    from transformers import LlamaConfig, LlamaForCausalLM

    rows = read_json(tokenizer / "report.json")["embedding_rows"]
    config = LlamaConfig(
        vocab_size=rows, hidden_size=64, intermediate_size=64, num_hidden_layers=1, num_attention_heads=2,
        num_key_value_heads=2, max_position_embeddings=512, bos_token_id=1, eos_token_id=2,
    )  # fmt: skip
    LlamaForCausalLM(config).save_pretrained(folder / "model")
    for path in tokenizer.glob("*token*"):
        shutil.copy(path, folder / "model")
    out = folder / "model.gguf"
    words = [sys.executable, str(llama_cpp / "convert_hf_to_gguf.py"), str(folder / "model"), "--outfile", str(out)]
    environment = {**os.environ, "PYTHONPATH": str(llama_cpp / "gguf-py")}
    subprocess.run([*words, "--outtype", "f32"], check=True, env=environment, capture_output=True)
    return out


def serve(model: Path) -> Any:
    """Return a running server."""
    import xllamacpp

    settings = xllamacpp.CommonParams()
    settings.model.path = str(model)
    settings.n_ctx, settings.n_parallel, settings.warmup, settings.port = 512, 1, False, 0
    return xllamacpp.Server(settings)


def tokenize(address: str, text: str) -> list[int]:
    """Return llama.cpp's ids of a text."""
    asked = json.dumps({"content": text, "add_special": False, "parse_special": False}).encode()
    request = urllib.request.Request(f"{address}/tokenize", asked, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request) as answer:
        return list(json.load(answer)["tokens"])


def main(words: list[str] | None = None) -> None:
    """Compare, and print a row a text."""
    arguments = parser().parse_args(words)
    reference = SentencePieceProcessor(model_file=str(arguments.tokenizer / "tokenizer.model"))
    texts = {path.name: read_text(path).split("\n")[: arguments.lines] for path in arguments.text}
    texts["what loaders trip over"] = list(HARD)
    rows = []
    with tempfile.TemporaryDirectory() as name:
        server = serve(convert(arguments.llama_cpp, arguments.tokenizer, Path(name)))
        for label, lines in texts.items():
            found = [tokenize(server.listening_address, line) for line in lines]
            different = [line for line, a, b in zip(lines, reference.encode(lines), found, strict=True) if a != b]
            rows.append(
                (label, len(lines), sum(map(len, found)), len(different), different[0][:60] if different else "")
            )
        table((f"{arguments.tokenizer.name} under llama.cpp", "lines", "ids", "ids differ", "the first"), rows)
        sys.stdout.flush()
        shutil.rmtree(name)
        os._exit(bool(any(row[3] for row in rows)))  # the server's threads would hold the process


if __name__ == "__main__":
    main(sys.argv[1:])
