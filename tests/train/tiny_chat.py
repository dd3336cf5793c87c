"""A tiny policy for the alignment tests: a Llama of two layers over forty characters, with a tokenizer and prompts."""

import json
from pathlib import Path

CHARACTERS = "一二三四五六七八九十天地人日月山水火木金土风雨花鸟春秋冬夏好？"


def make_tokenizer(folder: Path, characters: str = CHARACTERS) -> Path:
    """Write a transformers tokenizer of one id a character; its end-of-text is also its padding."""
    from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    vocabulary = {piece: n for n, piece in enumerate(["<unk>", "<s>", "</s>", *characters])}
    plain = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
    plain.pre_tokenizer = pre_tokenizers.Split(Regex("."), "isolated")
    plain.decoder = decoders.Fuse()
    whole = PreTrainedTokenizerFast(tokenizer_object=plain, unk_token="<unk>", bos_token="<s>", eos_token="</s>")
    whole.chat_template = "{% for message in messages %}{{ message.content }}{% endfor %}"
    whole.save_pretrained(folder)
    return folder


def make_model(folder: Path, *, seed: int = 0, width: int = 64, layers: int = 2, **other) -> Path:
    """Write a model folder with its tokenizer."""
    import torch
    from transformers import AutoTokenizer, LlamaConfig, LlamaForCausalLM

    make_tokenizer(folder)
    torch.manual_seed(seed)
    rows = len(AutoTokenizer.from_pretrained(folder))
    config = LlamaConfig(
        vocab_size=rows,
        hidden_size=width,
        num_hidden_layers=layers,
        num_attention_heads=4,
        intermediate_size=2 * width,
        max_position_embeddings=64,
        bos_token_id=1,
        eos_token_id=2,
        **other,
    )
    LlamaForCausalLM(config).save_pretrained(folder)
    return folder


def make_prompts(path: Path) -> Path:
    """Write ten prompts of different lengths."""
    texts = [CHARACTERS[n : n + 2 + n % 5] + "？" for n in range(10)]
    path.write_text("".join(json.dumps({"prompt": text}, ensure_ascii=False) + "\n" for text in texts), "utf-8")
    return path
