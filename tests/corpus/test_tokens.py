from __future__ import annotations

from pathlib import Path

import polars as pl
import sentencepiece
from tokenizers import Tokenizer, models, pre_tokenizers, trainers

from corpus.tokens import BATCH, count_tokens, tokenizer_file

TEXTS = pl.Series(["老师在河边写下了一封信。", "", None, "two words\n\n三", "𠮷😀"])


def test_counts_are_sentencepieces(tokenizer: Path) -> None:
    model = sentencepiece.SentencePieceProcessor(model_file=str(tokenizer / "tokenizer.model"))
    counts = count_tokens(tokenizer_file(tokenizer), TEXTS)
    assert counts.to_list() == [len(model.encode(text or "")) for text in TEXTS]
    assert counts.dtype == pl.UInt32


def test_counts_are_those_of_tokenizers_without_specials(tmp_path: Path) -> None:
    made = Tokenizer(models.BPE(unk_token="[U]"))
    made.pre_tokenizer = pre_tokenizers.Whitespace()  # type: ignore[assignment]
    made.train_from_iterator(["老师写信 一封信"] * 3, trainers.BpeTrainer(special_tokens=["[U]"], vocab_size=40))
    made.save(str(tmp_path / "tokenizer.json"))
    texts = pl.Series(["老师 写信 一封", "信"] * BATCH)  # more than a batch
    counts = count_tokens(tokenizer_file(tmp_path), texts)
    assert counts.to_list() == [len(made.encode(text, add_special_tokens=False).ids) for text in texts]


def test_a_file_can_be_named_and_the_model_goes_first(tokenizer: Path, tmp_path: Path) -> None:
    assert tokenizer_file(tokenizer / "tokenizer.model") == tokenizer / "tokenizer.model"
    for name in ("tokenizer.json", "tokenizer.model"):
        (tmp_path / name).write_text("")
    assert tokenizer_file(tmp_path).name == "tokenizer.model"
