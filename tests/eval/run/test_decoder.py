"""The decoder in plain torch against transformers' classes: the same bits, and what is not plain is left to them."""

import json
import subprocess
import sys

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer

from eval.backend import _tokenizer, open_lm
from eval.decoder import open_decoder
from eval.generate import Wanted, generate
from eval.likelihood import score
from eval.models import load_model

from .test_likelihood import made

BODY = {
    "vocab_size": 258,
    "hidden_size": 48,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 256,
    "tie_word_embeddings": False,
}
LLAMA3 = {"factor": 4.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0, "original_max_position_embeddings": 64}
YARN = {"factor": 4.0, "original_max_position_embeddings": 64}
KINDS = {
    "llama": ("llama", {}),
    "llama, tied": ("llama", {"tie_word_embeddings": True}),
    "llama, biases": ("llama", {"attention_bias": True, "mlp_bias": True}),
    "llama, wide heads": ("llama", {"head_dim": 32}),
    "llama 3": ("llama", {"rope_parameters": {"rope_type": "llama3", "rope_theta": 5e5, **LLAMA3}}),
    "linear": ("llama", {"rope_parameters": {"rope_type": "linear", "rope_theta": 1e4, "factor": 2.0}}),
    "yarn": ("qwen2", {"rope_parameters": {"rope_type": "yarn", "rope_theta": 1e6, **YARN}}),
    "mistral": ("mistral", {"sliding_window": None}),
    "qwen2": ("qwen2", {"tie_word_embeddings": True}),
    "qwen3": ("qwen3", {"head_dim": 16}),
    "qwen3, biases": ("qwen3", {"head_dim": 16, "attention_bias": True}),
    "bfloat16": ("llama", {"dtype": "bfloat16"}),
}


def saved(folder, family, **more):
    """Write a model of random weights, biases and norms among them, so that none can be left out unseen."""
    torch.manual_seed(0)
    made = AutoModelForCausalLM.from_config(AutoConfig.for_model(family, **{**BODY, **more}))
    with torch.no_grad():
        for one in made.parameters():
            one.copy_(torch.randn(one.shape) * 0.2 + (one.ndim == 1))
    made.to(more.get("dtype") and torch.bfloat16).save_pretrained(folder)
    return folder


def opened(folder):
    return open_decoder(folder, "cpu")


@pytest.mark.parametrize("kind", KINDS)
def test_the_numbers_are_transformers_own(kind, tmp_path):
    family, more = KINDS[kind]
    folder = saved(tmp_path / "model", family, **more)
    ours, theirs = opened(folder), load_model(folder, "cpu")
    assert ours is not None
    pairs = made()
    assert score(ours, pairs, 128) == score(theirs, pairs, 128)


OLDER = {
    "plain": None,
    "llama3": {"rope_type": "llama3", **LLAMA3},
    "linear": {"type": "linear", "factor": 2.0},
    "yarn": {"type": "yarn", **YARN},
}


@pytest.mark.parametrize("kind", OLDER)
def test_a_config_of_an_older_transformers_is_read_alike(kind, tmp_path):
    folder = saved(tmp_path / "model", "llama")
    path = folder / "config.json"
    stated = json.loads(path.read_text())
    del stated["rope_parameters"]
    stated["torch_dtype"] = stated.pop("dtype")
    path.write_text(json.dumps({**stated, "rope_theta": 5e4, "rope_scaling": OLDER[kind]}))
    ours, theirs = opened(folder), load_model(folder, "cpu")
    assert ours is not None
    assert score(ours, made(), 128) == score(theirs, made(), 128)


def test_generates_the_same_texts(tiny):
    tokenizer = AutoTokenizer.from_pretrained(tiny)
    wanted = [Wanted([7, 8, 9, n], 12, (), float(n % 2), n) for n in range(6)]
    texts = [generate(one, tokenizer, wanted, context=80, slots=3) for one in (opened(tiny), load_model(tiny, "cpu"))]
    assert texts[0] == texts[1]


def test_ends_where_the_model_says(tmp_path):
    folder = saved(tmp_path / "model", "llama", eos_token_id=7)
    (folder / "generation_config.json").write_text('{"eos_token_id": [5, 6]}')
    assert opened(folder).generation_config.eos_token_id == (5, 6)
    (folder / "generation_config.json").unlink()
    assert opened(folder).generation_config.eos_token_id == 7


def test_several_files_of_weights(tmp_path):
    folder = saved(tmp_path / "model", "llama")
    whole = opened(folder)
    AutoModelForCausalLM.from_pretrained(folder).save_pretrained(tmp_path / "parts", max_shard_size="50KB")
    assert len(list((tmp_path / "parts").glob("*.safetensors"))) > 1
    parts = opened(tmp_path / "parts")
    assert whole.weights.keys() == parts.weights.keys()
    assert all(torch.equal(whole.weights[name], parts.weights[name]) for name in whole.weights)


def other_config(folder, **more):
    path = folder / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **more}))


def other_weights(folder, change):
    weights = load_file(folder / "model.safetensors")
    change(weights)
    save_file(weights, folder / "model.safetensors", {"format": "pt"})


@pytest.mark.parametrize(
    "change",
    [
        lambda folder: other_config(folder, hidden_act="gelu"),
        lambda folder: other_config(folder, vocab_size=300),
        lambda folder: other_config(folder, attention_bias=True),
        lambda folder: other_config(folder, quantization_config={"quant_method": "fp8"}),
        lambda folder: other_config(folder, rope_parameters={"rope_type": "dynamic", "rope_theta": 1e4, "factor": 2.0}),
        lambda folder: other_weights(folder, lambda weights: weights.pop("model.norm.weight")),
        lambda folder: other_weights(folder, lambda weights: weights.update(more=torch.ones(1))),
        lambda folder: other_weights(folder, lambda w: w.update({"model.norm.weight": w["model.norm.weight"].half()})),
        lambda folder: (folder / "model.safetensors").write_bytes(b"damaged"),
        lambda folder: (folder / "model.safetensors").unlink(),
    ],
)
def test_what_is_not_plain_is_left_to_transformers(change, tmp_path):
    folder = saved(tmp_path / "model", "llama")
    assert opened(folder) is not None
    change(folder)
    assert opened(folder) is None


def test_a_run_imports_none_of_transformers_model_classes(tiny):
    code = (
        "import sys; from pathlib import Path; from eval.backend import open_lm;"
        "lm = open_lm(Path(sys.argv[1]), device='cpu');"
        "print(lm.loglikelihood_rolling and type(lm).__name__, 'transformers.modeling_utils' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code, str(tiny)], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["SharedPrefixLM", "False"]


@pytest.mark.parametrize("family", ["llama", "mistral", "qwen2", "qwen3"])
@pytest.mark.parametrize(
    "kind",
    ["TokenizersBackend", "PreTrainedTokenizerFast", "LlamaTokenizer", "LlamaTokenizerFast", "Qwen2Tokenizer", None],
)
def test_the_tokenizer_is_transformers_choice(family, kind, tiny, tmp_path):
    for path in tiny.glob("token*"):
        (tmp_path / path.name).write_bytes(path.read_bytes())
    settings = tmp_path / "tokenizer_config.json"
    stated = {name: value for name, value in json.loads(settings.read_text()).items() if name != "tokenizer_class"}
    settings.write_text(json.dumps(stated | ({"tokenizer_class": kind} if kind else {})))
    AutoConfig.for_model(family, **BODY).save_pretrained(tmp_path)
    ours, theirs = _tokenizer(tmp_path), AutoTokenizer.from_pretrained(tmp_path)
    assert type(ours) is type(theirs)
    text = " The 研墨者,\n先磨墨。 <s>1234"
    assert ours(text).input_ids == theirs(text).input_ids
    assert ours.special_tokens_map == theirs.special_tokens_map


def test_a_window_is_hflms(tmp_path, tiny):
    folder = saved(tmp_path / "model", "mistral", sliding_window=64)
    for path in tiny.glob("token*"):
        (folder / path.name).write_bytes(path.read_bytes())
    lm = open_lm(folder, device="cpu")
    assert type(lm).__name__ == "HFLM"
    assert isinstance(lm.model, torch.nn.Module)
