import io
import tarfile
from pathlib import Path

import polars as pl
import pytest
import sentencepiece
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

from tokenizer import base
from tokenizer.base import Base, find_base
from tokenizer.extend import extend
from tokenizer.vocabularies import find_list
from workbench import manifest
from workbench.files import sha256_file

SENTENCES = [
    "今天的天气很好，我们去公园散步吧。",
    "研究生在实验室里研究生命的起源。",
    "大语言模型需要大量的中文语料，质量比数量更重要。",
    "　　第一章　总则：为了保护公民的合法权益，制定本法。",
    "The quick brown fox jumps over the lazy dog, and the dog does not mind.",
    "We train a model on the text; the text is cleaned, hashed and packed.",
    "def encode(self, texts):\n    for text in texts:\n        yield self.ids[text]\n",
    "if __name__ == '__main__':\n\tmain(sys.argv[1:])  # ---- run ----",
    "价格：￥１２８．００（含税），电话010-62345678。",
    "白日依山尽，黄河入海流。欲穷千里目，更上一层楼。",
]


def train_model(path: Path, **settings: object) -> Path:
    """Train a small SentencePiece model of the kind LLaMA's is, or of another kind."""
    model = io.BytesIO()
    given: dict[str, object] = {
        "model_type": "bpe",
        "vocab_size": 700,
        "byte_fallback": True,
        "normalization_rule_name": "identity",
        "remove_extra_whitespaces": False,
        "character_coverage": 1.0,
        "split_digits": True,
        "allow_whitespace_only_pieces": True,
        "hard_vocab_limit": False,
        "minloglevel": 2,
    }
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(SENTENCES * 3), model_writer=model, **(given | settings)
    )
    path.write_bytes(model.getvalue())
    return path


@pytest.fixture(scope="session")
def small(tmp_path_factory) -> Path:
    """A model trained on ``SENTENCES``: about 700 pieces, words of several hanzi among them."""
    return train_model(tmp_path_factory.mktemp("small") / "tokenizer.model")


@pytest.fixture(scope="session")
def words(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("words") / "words.txt"
    path.write_text("# words for the tests\n墨\n研墨\n砚\n笔墨\n笔墨纸砚\n纸砚\n研\nＡ\n９\n", encoding="utf-8")
    return path


@pytest.fixture(scope="session")
def extended(small, words, tmp_path_factory) -> Path:
    """A tokenizer folder: the small model with ``words``."""
    out = tmp_path_factory.mktemp("extended") / "tok"
    extend(Base("small", small, sha256_file(small)), [find_list(str(words))], out, pad_to=64)
    return out


@pytest.fixture(scope="session")
def byte_level(tmp_path_factory):
    """A byte-level BPE of the kind of Qwen's and Llama 3's."""
    made = Tokenizer(models.BPE())
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=400, initial_alphabet=alphabet, special_tokens=["<|end|>"], show_progress=False
    )
    made.train_from_iterator(SENTENCES * 3, trainer)
    path = tmp_path_factory.mktemp("byte") / "tokenizer.json"
    made.save(str(path))
    return path


@pytest.fixture(scope="session")
def llama(request, tmp_path_factory) -> Base:
    """LLaMA's model from the user's cache, or rebuilt from ../shared; nothing is fetched in a test."""
    cached = base.cache_folder() / "llama.model"
    if cached.is_file() and sha256_file(cached) == base.LLAMA_SHA256:
        return find_base("llama")
    archive = Path(__file__).parents[3] / "shared/data/lexicon__charset-stopwords-tokenizers.tar.xz"
    if not archive.is_file():
        pytest.skip("neither the cache (tokenizer extend fills it) nor ../shared has LLaMA's tokenizer.model")
    path = tmp_path_factory.mktemp("llama") / "tokenizer.model"
    with tarfile.open(archive) as members:
        path.write_bytes(members.extractfile("lexicon/karpathy+llama2.c/tokenizer.model").read())
    assert sha256_file(path) == base.LLAMA_SHA256
    return Base("llama", path, base.LLAMA_SHA256)


@pytest.fixture(scope="session")
def zh7k(llama, tmp_path_factory) -> Path:
    """The tokenizer folder that ``tokenizer extend --add zh7k`` makes."""
    out = tmp_path_factory.mktemp("zh7k") / "tok"
    extend(llama, [find_list("zh7k")], out, pad_to=128)
    return out


def make_corpus(folder: Path, rows: list[dict[str, str]], parts: int = 3) -> Path:
    """Write rows as a built corpus: parquet parts below kept/bucket=…, and a manifest."""
    frame = pl.DataFrame(rows)
    files = []
    for bucket in ("head", "middle", "tail"):
        here = frame.filter(pl.col("bucket") == bucket)
        for part in range(parts):
            path = folder / f"kept/bucket={bucket}/part-{part:05d}.parquet"
            path.parent.mkdir(parents=True, exist_ok=True)
            some = here[part::parts]
            if len(some):
                some.write_parquet(path)
                files.append(manifest.describe_file(path, folder, rows=len(some)))
    mark = manifest.fingerprint("corpus", "test", [entry["sha256"] for entry in files])
    manifest.write(folder, manifest.Manifest("corpus", mark, {}, [], [], files, {"kept": len(rows)}))
    return folder
