"""The folder under transformers 4.57, which cannot be installed beside the 5.x of this project.

``YANMO_TRANSFORMERS4`` names the Python of another environment: python3 -m venv V; V/bin/pip install
'transformers==4.57.*' sentencepiece protobuf tiktoken; YANMO_TRANSFORMERS4=V/bin/python pytest tests/tokenizer/….
"""

import json
import os
import subprocess
from pathlib import Path

import pytest
from sentencepiece import SentencePieceProcessor

from tests.tokenizer.conftest import SENTENCES
from tokenizer.verdict import HARD

PROGRAM = """
import json, sys
import transformers
folder, texts = sys.argv[1], json.load(sys.stdin)
out = {"version": transformers.__version__}
for name in ("AutoTokenizer", "LlamaTokenizer", "LlamaTokenizerFast"):
    one = getattr(transformers, name).from_pretrained(folder, split_special_tokens=True)
    out[name] = [one(text, add_special_tokens=False)["input_ids"] for text in texts]
    out[name + " text"] = [one.decode(ids, clean_up_tokenization_spaces=False) for ids in out[name]]
json.dump(out, sys.stdout)
"""


@pytest.fixture(scope="module")
def python() -> str:
    found = os.environ.get("YANMO_TRANSFORMERS4")
    if not found:
        pytest.skip("YANMO_TRANSFORMERS4 names no Python with transformers 4.57")
    return found


def given_texts() -> list[str]:
    """The lines of the file that YANMO_CHECK_TEXT names, for a run on much text, besides the usual ones."""
    more = os.environ.get("YANMO_CHECK_TEXT")
    return Path(more).read_bytes().decode("utf-8").split("\n") if more else []


@pytest.mark.parametrize("fixture", ["extended", "zh7k"])
def test_every_class_gives_sentencepieces_ids(python, fixture, request):
    folder = request.getfixturevalue(fixture)
    texts = [*SENTENCES, *HARD, *given_texts()]
    done = subprocess.run(
        [python, "-c", PROGRAM, str(folder)], input=json.dumps(texts), capture_output=True, text=True, check=True
    )
    found = json.loads(done.stdout)
    assert found["version"].startswith("4.57")
    expected = SentencePieceProcessor(model_file=str(folder / "tokenizer.model")).encode(texts)
    for name in ("AutoTokenizer", "LlamaTokenizer", "LlamaTokenizerFast"):
        differ = [text for text, a, b in zip(texts, expected, found[name], strict=True) if a != b]
        assert differ == [], f"{name}: {len(differ)} of {len(texts)} texts"
    # The slow LlamaTokenizer of 4.57 decodes a text that begins with a space with one space too few.
    restored = [text.replace("▁", " ") for text in texts]
    assert found["AutoTokenizer text"] == found["LlamaTokenizerFast text"] == restored
