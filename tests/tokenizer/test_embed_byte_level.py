import json
import shutil

import numpy as np
import pytest
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

from tests.tokenizer.conftest import SENTENCES
from tokenizer.base import Base
from tokenizer.byte_level import LETTERS, extend_byte_level
from tokenizer.cli import command
from tokenizer.embed import embed, new_pieces
from tokenizer.vocabularies import find_list
from workbench.errors import InputError
from workbench.files import sha256_file

torch = pytest.importorskip("torch")
from safetensors.torch import load_file  # noqa: E402
from transformers import AutoModelForCausalLM, AutoTokenizer, LlamaConfig, LlamaForCausalLM  # noqa: E402

TEMPLATE = "{% for message in messages %}{{ message['content'] }}{% endfor %}"


@pytest.fixture(scope="module")
def base(byte_level, tmp_path_factory):
    """A folder as a published model has it: vocabulary, configuration, chat template."""
    folder = tmp_path_factory.mktemp("base")
    shutil.copyfile(byte_level, folder / "tokenizer.json")
    (folder / "tokenizer_config.json").write_text('{"eos_token": "<|end|>", "tokenizer_class": "Qwen2Tokenizer"}')
    (folder / "chat_template.jinja").write_text(TEMPLATE)
    return folder


@pytest.fixture(scope="module")
def grown(base, words, tmp_path_factory):
    out = tmp_path_factory.mktemp("grown") / "tok"
    path = base / "tokenizer.json"
    lists = [find_list(str(words)), find_list("medical")]
    extend_byte_level(Base(str(path), path, sha256_file(path)), lists, out, pad_to=64)
    return out


def make_model(folder, base, *, tied=False, dtype=torch.float32, padding=0, shard_size="5GB"):
    """A tiny Llama of the byte-level vocabulary, which it carries."""
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=400 + padding, hidden_size=32, intermediate_size=48, num_hidden_layers=2, num_attention_heads=2,
        num_key_value_heads=2, tie_word_embeddings=tied, bos_token_id=None, eos_token_id=0, pad_token_id=None,
    )  # fmt: skip
    model = LlamaForCausalLM(config).to(dtype).eval()
    model.save_pretrained(folder, max_shard_size=shard_size)
    shutil.copytree(base, folder, dirs_exist_ok=True)
    return model


def merged(content, letters):
    """The base's ids of a token's letters, by the definition of byte pair encoding."""
    ranks = {tuple(merge): rank for rank, merge in enumerate(content["model"]["merges"])}
    tokens = list(letters)
    while True:
        found = [(ranks[pair], at) for at, pair in enumerate(zip(tokens, tokens[1:], strict=False)) if pair in ranks]
        if not found:
            return [content["model"]["vocab"][token] for token in tokens]
        _, at = min(found)
        tokens[at : at + 2] = [tokens[at] + tokens[at + 1]]


@pytest.fixture(scope="module")
def expected_subwords(base, grown):
    """Of each new id the old ones: through the old file's merges, and a special as the old tokenizer reads its text."""
    content = json.loads((base / "tokenizer.json").read_text())
    vocabulary = json.loads((grown / "tokenizer.json").read_text())["model"]["vocab"]
    old = Tokenizer.from_file(str(base / "tokenizer.json"))
    pieces = sorted((number, token) for token, number in vocabulary.items() if number >= 400)
    specials = [old.encode(name).ids for name in ("<human>", "<bot>")]
    return [*(merged(content, token) for _, token in pieces), *specials]


def test_each_new_id_is_what_the_old_tokenizer_made_of_its_text(base, grown, expected_subwords):
    base_pieces, subwords = new_pieces(grown)
    assert base_pieces == 400
    assert [list(ids) for ids in subwords] == expected_subwords
    after = Tokenizer.from_file(str(grown / "tokenizer.json"))
    before = Tokenizer.from_file(str(base / "tokenizer.json"))
    for word in ("砚", "笔墨纸砚", "℃"):
        (number,) = after.encode(word).ids
        assert list(subwords[number - 400]) == before.encode(word).ids
    report = json.loads((grown / "report.json").read_text())
    assert report["byte_prefixes"] > 0  # pieces that are no text are among them


@pytest.mark.parametrize("init", ["subword-mean", "mean", "random", "zero"])
@pytest.mark.parametrize(("dtype", "tied"), [("float32", False), ("bfloat16", True)])
def test_old_rows_stay_and_new_rows_are_what_a_loop_gives(base, grown, expected_subwords, tmp_path, init, dtype, tied):
    make_model(tmp_path / "model", base, tied=tied, dtype=getattr(torch, dtype), padding=3)
    results = embed(tmp_path / "model", grown, tmp_path / "out", init=init, pad_to=None)
    total = 400 + len(expected_subwords)
    assert results["rows"] == -(-total // 64) * 64
    old, new = (load_file(tmp_path / name / "model.safetensors") for name in ("model", "out"))
    changed = {name for name in old if "embed_tokens" in name or "lm_head" in name}
    assert len(changed) == (1 if tied else 2)
    for name in old.keys() - changed:
        assert torch.equal(old[name], new[name])
    for name in changed:
        rows = old[name][:400]
        assert torch.equal(rows.view(torch.uint8), new[name][:400].view(torch.uint8))
        found = new[name][400:total].double().numpy()
        table = rows.double().numpy()
        median = np.median(np.linalg.norm(table, axis=1))
        mean = table.mean(axis=0)
        exact = {"rtol": 1e-5 if dtype == "float32" else 8e-3, "atol": 1e-6}
        if init == "subword-mean":
            means = np.array([table[ids].mean(axis=0) for ids in expected_subwords])
            np.testing.assert_allclose(found, means / np.linalg.norm(means, axis=1)[:, None] * median, **exact)
        elif init == "random":
            np.testing.assert_allclose(np.linalg.norm(found, axis=1), median, rtol=exact["rtol"])
            assert np.abs(found[0] - found[1]).max() > 1e-3
        else:
            np.testing.assert_allclose(found, np.tile(mean * (init == "mean"), (len(found), 1)), **exact)
        padding = new[name][total:].double().numpy()
        np.testing.assert_allclose(padding, np.tile(mean * (init != "zero"), (len(padding), 1)), **exact)


def test_the_model_loads_speaks_as_before_and_keeps_its_specials(base, grown, tmp_path, capsys):
    before = make_model(tmp_path / "model", base, shard_size="60KB")
    names = sorted(path.name for path in (tmp_path / "model").glob("*.safetensors"))
    assert len(names) > 2
    (tmp_path / "model/generation_config.json").write_text('{"eos_token_id": [0, 7]}')
    words = ["embed", "--model", str(tmp_path / "model"), "--tokenizer", str(grown), "--out", str(tmp_path / "out")]
    assert command(words) == 0
    assert "kept bit for bit" in capsys.readouterr().out
    assert sorted(path.name for path in (tmp_path / "out").glob("*.safetensors")) == names
    model = AutoModelForCausalLM.from_pretrained(tmp_path / "out").eval()
    auto = AutoTokenizer.from_pretrained(tmp_path / "out")
    text = "研究 the dog, 笔墨纸砚 37℃"
    ids = auto(text, add_special_tokens=False)["input_ids"]
    assert ids == Tokenizer.from_file(str(grown / "tokenizer.json")).encode(text).ids
    assert max(ids) >= 400
    assert auto.chat_template == TEMPLATE
    assert auto.eos_token_id == model.config.eos_token_id == 0
    assert json.loads((tmp_path / "out/generation_config.json").read_text()) == {"eos_token_id": [0, 7]}
    assert not (tmp_path / "out/tokenizer.model").exists()
    with torch.no_grad():
        assert torch.isfinite(model(torch.tensor([ids])).logits).all()
        english = torch.tensor([auto("the lazy dog", add_special_tokens=False)["input_ids"]])
        assert torch.equal(before(english).logits, model(english).logits[..., :400])
    assert command(words) == 0
    assert "nothing to do" in capsys.readouterr().err


def other_vocabulary(path):
    made = Tokenizer(models.BPE())
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=400, initial_alphabet=alphabet, special_tokens=["<|end|>"], show_progress=False
    )
    made.train_from_iterator(SENTENCES[4:8], trainer)
    made.save(str(path))


def test_a_tokenizer_that_does_not_continue_the_models_is_one_line(base, grown, small, tmp_path):
    make_model(tmp_path / "model", base)

    def change_tokenizer(change):
        def apply(folder):
            content = json.loads((folder / "tokenizer.json").read_text())
            change(content["model"])
            (folder / "tokenizer.json").write_text(json.dumps(content))

        return apply

    def swap(model):
        model["merges"][3], model["merges"][4] = model["merges"][4], model["merges"][3]

    def longer(model):
        model["vocab"]["zz"] = 400

    for said, change in (
        (r"its \d+ pieces differ at id \d+", lambda folder: other_vocabulary(folder / "tokenizer.json")),
        ("its 401 pieces differ at id 400", change_tokenizer(longer)),
        ("its merges differ at number 3", change_tokenizer(swap)),
        (r"its merges differ at number \d+", change_tokenizer(lambda model: model["merges"].pop())),
        (
            r"tokenizer\.model: is there, but .* was extended from no such file",
            lambda folder: shutil.copyfile(small, folder / "tokenizer.model"),
        ),
        (r"is not a tokenizer\.json", lambda folder: (folder / "tokenizer.json").write_text("[]")),
    ):
        folder = shutil.copytree(tmp_path / "model", tmp_path / "bad")
        change(folder)
        with pytest.raises(InputError, match=said) as error:
            embed(folder, grown, tmp_path / "never", init="mean", pad_to=None)
        assert "\n" not in str(error.value)
        assert not (tmp_path / "never").exists()
        shutil.rmtree(folder)


def test_a_damaged_tokenizer_folder_is_one_line(grown, tmp_path):
    def without(number):
        def change(content):
            content["model"]["vocab"] = {t: n for t, n in content["model"]["vocab"].items() if n != number}

        return change

    def a_letter_of_no_byte(content):
        vocabulary = content["model"]["vocab"]
        vocabulary["砚"] = vocabulary.pop(next(token for token, number in vocabulary.items() if number == 401))

    for said, change in (
        ("has gaps in its ids from 400", without(402)),
        ("has 砚 at id 401, of which its base makes nothing", a_letter_of_no_byte),
        ("cannot be loaded", lambda content: content["model"].update(dropout="much")),
    ):
        folder = shutil.copytree(grown, tmp_path / "bad")
        content = json.loads((folder / "tokenizer.json").read_text())
        change(content)
        (folder / "tokenizer.json").write_text(json.dumps(content))
        with pytest.raises(InputError, match=said) as error:
            new_pieces(folder)
        assert "\n" not in str(error.value)
        shutil.rmtree(folder)


def test_a_space_that_a_pre_tokenizer_puts_first_is_no_part_of_a_piece(base, words, tmp_path):
    content = json.loads((base / "tokenizer.json").read_text())
    content["pre_tokenizer"] = {
        "type": "Sequence",
        "pretokenizers": [{"type": "Digits", "individual_digits": True}, content["pre_tokenizer"]],
    }
    content["pre_tokenizer"]["pretokenizers"][1]["add_prefix_space"] = True
    path = tmp_path / "tokenizer.json"
    path.write_text(json.dumps(content))
    extend_byte_level(Base("b", path, sha256_file(path)), [find_list(str(words))], tmp_path / "out", pad_to=1)
    space = content["model"]["vocab"][LETTERS[32]]
    assert all(ids[0] != space for ids in new_pieces(tmp_path / "out")[1])
