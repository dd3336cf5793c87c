import json
import shutil

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sentencepiece import SentencePieceProcessor

from tokenizer.cli import command
from tokenizer.embed import embed, new_pieces
from tokenizer.model import read_model
from tokenizer.rows import INITS
from tokenizer.tensors import from_float, read_header, to_float
from workbench.errors import InputError, OutputError

torch = pytest.importorskip("torch")
from safetensors.torch import load_file, save_file  # noqa: E402
from transformers import AutoModelForCausalLM, AutoTokenizer, LlamaConfig, LlamaForCausalLM  # noqa: E402

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}


def make_model(folder, small, *, tied=False, dtype="float32", padding=0, shard_size="5GB"):
    """A tiny Llama with the small tokenizer's vocabulary."""
    torch.manual_seed(0)
    pieces = len(read_model(small).pieces)
    config = LlamaConfig(
        vocab_size=pieces + padding, hidden_size=32, intermediate_size=48, num_hidden_layers=2,
        num_attention_heads=2, num_key_value_heads=2, tie_word_embeddings=tied, pad_token_id=None,
    )  # fmt: skip
    model = LlamaForCausalLM(config).to(DTYPES[dtype]).eval()
    model.save_pretrained(folder, max_shard_size=shard_size)
    shutil.copyfile(small, folder / "tokenizer.model")
    return model, pieces


def expected(rows, subwords, init):
    """The new rows by a plain loop in float64."""
    base = rows.to(torch.float64).numpy()
    median = np.median(np.linalg.norm(base, axis=1))
    out = []
    for ids in subwords:
        if init == "subword-mean":
            row = sum(base[n] for n in ids) / len(ids)
            out.append(row / np.linalg.norm(row) * median)
        else:
            out.append(base.mean(axis=0) if init == "mean" else np.zeros(base.shape[1]))
    return np.array(out)


@pytest.mark.parametrize("init", ["subword-mean", "mean", "zero"])
@pytest.mark.parametrize(("dtype", "tied"), [("float32", False), ("bfloat16", False), ("float16", True)])
def test_old_rows_stay_and_new_rows_are_what_a_loop_gives(small, extended, tmp_path, init, dtype, tied):
    _, pieces = make_model(tmp_path / "model", small, tied=tied, dtype=dtype, padding=3)
    results = embed(tmp_path / "model", extended, tmp_path / "out", init=init, pad_to=None)
    total = len(read_model(extended / "tokenizer.model").pieces)
    assert results["rows"] % 64 == 0
    assert results["rows"] >= total
    old, new = (load_file(tmp_path / name / "model.safetensors") for name in ("model", "out"))
    assert old.keys() == new.keys()
    changed = {name for name in old if "embed_tokens" in name or "lm_head" in name}
    assert len(changed) == (1 if tied else 2)
    base_pieces, subwords = new_pieces(extended)
    assert base_pieces == pieces
    for name in old:
        if name not in changed:
            assert torch.equal(old[name], new[name])
            continue
        assert new[name].dtype == old[name].dtype
        assert new[name].shape == (results["rows"], 32)
        assert torch.equal(old[name][:pieces].view(torch.uint8), new[name][:pieces].view(torch.uint8))
        want = expected(old[name][:pieces], subwords, init)
        digits = {"float32": 1e-6, "float16": 1e-3, "bfloat16": 8e-3}[dtype]
        np.testing.assert_allclose(new[name][pieces:total].to(torch.float64), want, rtol=digits, atol=1e-7)
        mean = 0 if init == "zero" else old[name][:pieces].double().mean(dim=0)
        padding = new[name][total:].double() - mean
        assert padding.abs().max() < 1e-4
    model = AutoModelForCausalLM.from_pretrained(tmp_path / "out", dtype=torch.float32).eval()
    # As float32: kernels of narrow types round otherwise for another number of rows.
    before = AutoModelForCausalLM.from_pretrained(tmp_path / "model", dtype=torch.float32).eval()
    assert model.config.vocab_size == results["rows"] == model.lm_head.weight.shape[0]
    ids = torch.tensor([[1, *range(300, 340)]])
    with torch.no_grad():
        assert torch.equal(before(ids).logits[..., :pieces], model(ids).logits[..., :pieces])
        assert torch.isfinite(model(torch.tensor([[pieces, total - 1]])).logits.float()).all()


def test_several_shards_are_written_as_they_were_divided(small, extended, tmp_path):
    before, pieces = make_model(tmp_path / "model", small, shard_size="100KB")
    names = sorted(path.name for path in (tmp_path / "model").glob("*.safetensors"))
    assert len(names) > 2
    results = embed(tmp_path / "model", extended, tmp_path / "out", init="random", pad_to=1, seed=3)
    assert sorted(path.name for path in (tmp_path / "out").glob("*.safetensors")) == names
    assert results["rows"] == len(read_model(extended / "tokenizer.model").pieces)
    index = json.loads((tmp_path / "out/model.safetensors.index.json").read_text())
    model = AutoModelForCausalLM.from_pretrained(tmp_path / "out")
    assert index["metadata"]["total_size"] == sum(4 * p.numel() for p in model.parameters())
    assert index["metadata"]["total_parameters"] == model.num_parameters()
    norms = model.lm_head.weight[pieces:].norm(dim=1)
    wanted = before.lm_head.weight[:pieces].norm(dim=1).median().item()
    assert norms.std() < 1e-5
    assert norms[0].item() == pytest.approx(wanted, rel=1e-2)  # of torch, the median is the lower of the middle two
    assert not torch.equal(model.lm_head.weight[pieces:], model.model.embed_tokens.weight[pieces:])
    again = embed(tmp_path / "model", extended, tmp_path / "again", init="random", pad_to=1, seed=3)
    assert again["rows"] == results["rows"]
    for name in names:
        assert (tmp_path / "again" / name).read_bytes() == (tmp_path / "out" / name).read_bytes()


def test_specials_and_tokenizer_go_with_the_model(small, extended, tmp_path):
    make_model(tmp_path / "model", small)
    (tmp_path / "model/pytorch_model.bin").write_bytes(b"old rows")
    (tmp_path / "model/LICENSE").write_text("theirs")
    embed(tmp_path / "model", extended, tmp_path / "out", init="subword-mean", pad_to=None)
    config = json.loads((tmp_path / "out/config.json").read_text())
    generation = json.loads((tmp_path / "out/generation_config.json").read_text())
    assert (config["bos_token_id"], config["eos_token_id"], config["pad_token_id"]) == (1, 2, 0)
    assert generation["eos_token_id"] == 2
    assert config["architectures"] == ["LlamaForCausalLM"]
    assert not (tmp_path / "out/pytorch_model.bin").exists()
    assert (tmp_path / "out/LICENSE").read_text() == "theirs"
    ids = AutoTokenizer.from_pretrained(tmp_path / "out")("研墨。笔墨纸砚", add_special_tokens=False)["input_ids"]
    assert ids == SentencePieceProcessor(model_file=str(extended / "tokenizer.model")).encode("研墨。笔墨纸砚")
    assert json.loads((tmp_path / "out/manifest.json").read_text())["kind"] == "model"


def test_subwords_are_what_the_base_made_of_the_piece(small, extended):
    base_pieces, subwords = new_pieces(extended)
    model = read_model(extended / "tokenizer.model")
    base = SentencePieceProcessor(model_file=str(small))
    assert len(subwords) == len(model.pieces) - base_pieces
    for piece, ids in zip(model.pieces[base_pieces:], subwords, strict=True):
        behind = base.encode("。" + piece.piece)
        assert behind[-len(ids) :] == list(ids)
        assert max(ids) < base_pieces


def test_a_second_run_does_nothing_and_another_is_refused(small, extended, tmp_path, capsys):
    make_model(tmp_path / "model", small)
    words = ["embed", "--model", str(tmp_path / "model"), "--tokenizer", str(extended), "--out", str(tmp_path / "out")]
    assert command(words) == 0
    assert "kept bit for bit" in capsys.readouterr().out
    assert command([*words, "--json"]) == 0
    said = capsys.readouterr()
    assert "nothing to do" in said.err
    assert json.loads(said.out)["init"] == "mean"
    with pytest.raises(OutputError, match="--overwrite"):
        command([*words, "--init", "zero"])
    assert command([*words, "--init", "zero", "--overwrite"]) == 0


def test_what_does_not_fit_is_one_line(small, extended, tmp_path):
    make_model(tmp_path / "model", small)
    pieces = len(read_model(small).pieces)

    def wrong(said, change):
        folder = shutil.copytree(tmp_path / "model", tmp_path / "bad", dirs_exist_ok=True)
        change(folder)
        with pytest.raises(InputError, match=said) as error:
            embed(folder, extended, tmp_path / "never", init="mean", pad_to=None)
        assert "\n" not in str(error.value)
        assert not (tmp_path / "never").exists()
        shutil.rmtree(folder)

    def tensors(change):
        def apply(folder):
            path = folder / "model.safetensors"
            found = load_file(path)
            change(found)
            save_file(found, path)

        return apply

    wrong("holds no model.safetensors", lambda folder: (folder / "model.safetensors").unlink())
    wrong("holds no config.json", lambda folder: (folder / "config.json").unlink())
    wrong("has no vocab_size", lambda folder: (folder / "config.json").write_text("{}"))
    wrong("is not a safetensors file", lambda folder: (folder / "model.safetensors").write_bytes(b"\x00" * 64))
    whole = (tmp_path / "model/model.safetensors").read_bytes()
    wrong("cut short", lambda folder: (folder / "model.safetensors").write_bytes(whole[:-100]))
    wrong("no input embedding", tensors(lambda t: t.update({"x.weight": t.pop("model.embed_tokens.weight")})))
    wrong("has a row a piece in lm_head.bias", tensors(lambda t: t.update({"lm_head.bias": torch.zeros(pieces)})))
    wrong("as I8", tensors(lambda t: t.update({"lm_head.weight": torch.zeros(pieces, 32, dtype=torch.int8)})))
    few = tensors(lambda t: t.update({"lm_head.weight": t["lm_head.weight"][:-1].clone()}))
    wrong(f"was extended from {pieces:,} pieces", few)
    other = extended / "tokenizer.model"
    wrong("pieces differ at id", lambda folder: shutil.copyfile(other, folder / "tokenizer.model"))
    index = {"weight_map": {"a": "model-1.safetensors"}}
    wrong("which is not there", lambda f: (f / "model.safetensors.index.json").write_text(json.dumps(index)))
    with pytest.raises(InputError, match="no such folder"):
        embed(tmp_path / "model", tmp_path / "nowhere", tmp_path / "never", init="mean", pad_to=None)


@given(
    st.lists(st.floats(width=32, allow_nan=False, max_value=2.0**127, min_value=-(2.0**127)), min_size=1, max_size=50)
)
def test_bfloat16_is_rounded_as_torch_does(values):
    given_ = np.array(values, np.float32)
    raw = from_float(given_, "BF16")
    theirs = torch.from_numpy(given_).to(torch.bfloat16)
    assert np.array_equal(raw, theirs.view(torch.uint16).numpy())
    assert np.array_equal(to_float(raw, "BF16"), theirs.float().numpy())


def test_headers_are_read_as_the_library_writes_them(tmp_path):
    path = tmp_path / "x.safetensors"
    found = {"名": torch.arange(6, dtype=torch.bfloat16).reshape(2, 3), "empty": torch.zeros(0, 4)}
    save_file(found, path, metadata={"format": "pt"})
    tensors, metadata = read_header(path)
    assert metadata == {"format": "pt"}
    assert {tensor.name: tensor.shape for tensor in tensors} == {"名": (2, 3), "empty": (0, 4)}
    tensor = next(tensor for tensor in tensors if tensor.name == "名")
    assert to_float(tensor.raw(), "BF16").tolist() == [[0, 1, 2], [3, 4, 5]]
    assert "random" in INITS
