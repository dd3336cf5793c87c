"""Write a SentencePiece model as a folder that every loader reads with the same ids. 1 s for 39,410 pieces.

    tokenizer.model           for sentencepiece, llama.cpp's GGUF converter, the slow LlamaTokenizer of transformers 4
    tokenizer.json            for tokenizers and transformers' AutoTokenizer
    tokenizer_config.json     PreTrainedTokenizerFast, the specials, the chat template
    special_tokens_map.json   the specials again, for older readers

``tokenizer.json`` is written here and not by transformers, whose converters build merges without scores (5.x) and so
disagree with sentencepiece. Here the merges are all pairs of pieces that make a piece, in the order of their scores.
Pieces that tie (LLaMA's runs of spaces, all -1e9) go longest first: sentencepiece takes the leftmost of a tie and so
lets the leftmost run grow as far as it can, which ranks can only say that way round.

The class ``LlamaTokenizer`` of transformers 5 rebuilds the tokenizer from the vocabulary and merges alone and puts no
space before a text that begins with one: of 20,008 lines, 3,686 get other ids. So the first merge is a version line,
which tokenizers skips by its format and that class does not: it refuses the folder, and its error says why. Under
transformers 4 ``LlamaTokenizer`` reads tokenizer.model and is equal.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tokenizer.model import CONTROL, NORMAL, SPACE, UNKNOWN, reachable_splits
from workbench.files import atomic_path, write_json

# A turn is a special and its text; the special ends whatever is before it, so that the ids of a prompt are the
# beginning of the ids of the prompt with its answer. {% generation %} marks what the model is trained to say.
CHAT_TEMPLATE = """\
{{- bos_token }}
{%- for message in messages %}
{%- if message['role'] == 'system' %}{{- message['content'] + '\\n' }}
{%- elif message['role'] == 'user' %}{{- '<human>' + message['content'] }}
{%- elif message['role'] == 'assistant' %}{{- '<bot>' }}
{%- generation %}{{- message['content'] + eos_token }}{%- endgeneration %}
{%- else %}{{- raise_exception('no such role: ' + message['role']) }}
{%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}{{- '<bot>' }}{%- endif %}"""
# Written as one word: it is cited as a token that is not in the vocabulary.
VERSION_LINE = (
    "#version:use_AutoTokenizer,_because_LlamaTokenizer_of_transformers_5_changes_the_ids_of_leading_spaces 1"
)
EXPORT_VERSION = 2  # part of the fingerprint: a folder of an older one is written anew
NO_LIMIT = int(1e30)  # transformers' own way to say that a tokenizer has no longest text


def export(model: Any, out: Path, *, specials: tuple[str, ...]) -> list[Path]:
    """Write the folder's files.

    Args:
        model: The model (``ModelProto``), one that ``tokenizer.model.check_model`` lets in.
        out: The folder.
        specials: Control pieces besides bos and eos, for the chat template.

    Returns:
        What was written.
    """
    named = named_specials(model)
    config = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        **named,
        "additional_special_tokens": list(specials),
        "model_max_length": NO_LIMIT,
        "clean_up_tokenization_spaces": False,
        "chat_template": CHAT_TEMPLATE,
    }
    paths = [out / name for name in ("tokenizer.model", "tokenizer.json", "tokenizer_config.json")]
    with atomic_path(paths[0]) as temporary:
        temporary.write_bytes(model.SerializeToString())
    write_json(paths[1], tokenizer_json(model))
    write_json(paths[2], config)
    paths.append(out / "special_tokens_map.json")
    write_json(paths[3], {**named, "additional_special_tokens": list(specials)})
    return paths


def named_specials(model: Any) -> dict[str, str]:
    """Return bos, eos, unk and pad by transformers' names; pad is unk where the model has none.

    With byte fallback no text becomes unk, so it can mark padding; eos could not, because it also ends an answer.
    """
    trainer = model.trainer_spec
    ids = {"bos_token": trainer.bos_id, "eos_token": trainer.eos_id, "unk_token": trainer.unk_id}
    ids["pad_token"] = trainer.pad_id if trainer.pad_id >= 0 else trainer.unk_id
    return {name: model.pieces[number].piece for name, number in ids.items() if number >= 0}


def tokenizer_json(model: Any) -> dict[str, Any]:
    """Return the model as tokenizers' own format."""
    pieces = [piece.piece for piece in model.pieces]
    special = [number for number, piece in enumerate(model.pieces) if piece.type in (CONTROL, UNKNOWN)]
    trainer = model.trainer_spec
    prefix = model.normalizer_spec.add_dummy_prefix
    bos = pieces[trainer.bos_id] if trainer.bos_id >= 0 else None
    replace = {"type": "Replace", "pattern": {"String": " "}, "content": SPACE}
    back = {"type": "Replace", "pattern": {"String": SPACE}, "content": " "}
    strip = [{"type": "Strip", "content": " ", "start": 1, "stop": 0}] if prefix else []
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [
            {
                "id": number,
                "content": pieces[number],
                "single_word": False,
                "lstrip": False,
                "rstrip": False,
                "normalized": False,
                "special": True,
            }
            for number in special
        ],
        "normalizer": {
            "type": "Sequence",
            "normalizers": [*([{"type": "Prepend", "prepend": SPACE}] if prefix else []), replace],
        },
        "pre_tokenizer": None,
        "post_processor": {
            "type": "TemplateProcessing",
            "single": [*_special(bos, 0), {"Sequence": {"id": "A", "type_id": 0}}],
            "pair": [
                *_special(bos, 0),
                {"Sequence": {"id": "A", "type_id": 0}},
                *_special(bos, 1),
                {"Sequence": {"id": "B", "type_id": 1}},
            ],
            "special_tokens": {bos: {"id": bos, "ids": [trainer.bos_id], "tokens": [bos]}} if bos else {},
        },
        "decoder": {"type": "Sequence", "decoders": [back, {"type": "ByteFallback"}, {"type": "Fuse"}, *strip]},
        "model": {
            "type": "BPE",
            "dropout": None,
            "unk_token": pieces[trainer.unk_id],
            "continuing_subword_prefix": None,
            "end_of_word_suffix": None,
            "fuse_unk": True,
            "byte_fallback": True,
            "ignore_merges": False,
            "vocab": {piece: number for number, piece in enumerate(pieces)},
            "merges": [VERSION_LINE, *(" ".join(pair) for pair in merges(model))],
        },
    }


def _special(piece: str | None, type_id: int) -> list[dict[str, Any]]:
    return [{"SpecialToken": {"id": piece, "type_id": type_id}}] if piece else []


def merges(model: Any) -> list[tuple[str, str]]:
    """Return all pairs of pieces that make a piece, those to be taken first at the front."""
    scores = {piece.piece: piece.score for piece in model.pieces if piece.type == NORMAL}
    ranked = [
        (-score, -len(piece), -len(left), left, right)
        for piece, score in scores.items()
        for left, right in reachable_splits(piece, scores)
    ]
    return [(left, right) for *_, left, right in sorted(ranked)]
