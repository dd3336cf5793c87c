"""Supervised fine-tuning learns answers to the letter and nothing else; packed dialogues do not see each other."""

import json
import shutil

import numpy as np
import pytest
import torch

from corpus.instructions.rows import Turn
from eval.merge import merge
from eval.models import load_model
from eval.packing import IGNORED, masked_batch
from tests.train.talk import dialogues, make_base, material, run, sentence, write
from tests.train.test_pt import exact, series
from tokenizer.chat.encode import encode_prompt, find_template, load
from tokenizer.dialogues import Packs
from train.trainer import Discipline
from workbench import lineage
from workbench.errors import ConfigError, InputError
from workbench.runs import metrics

LEARN = ("steps=90", "batch=4", "micro_batch=4", "optim.lr=5e-3", "optim.weight_decay=0", "optim.schedule=constant")
SHORT = ("steps=6", "batch=2", "micro_batch=1", "held_out=0", "checkpoint.every=2")


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    return make_base(tmp_path_factory.mktemp("base"))


@pytest.fixture(scope="module")
def twenty(tmp_path_factory):
    return dialogues(tmp_path_factory.mktemp("data") / "二十.jsonl")


@pytest.fixture(scope="module")
def learnt(base, twenty, tmp_path_factory):
    out = tmp_path_factory.mktemp("sft") / "run"
    return out, run("sft", base, twenty, out, "held_out=0", *LEARN)


def nats_by_mask(model, packs):
    """Mean -ln p of answers, and of everything else but first ids."""
    rows = model.get_input_embeddings().num_embeddings
    inputs = masked_batch(packs, range(len(packs)), rows)
    answers = inputs["labels"][:, 1:] != IGNORED
    every = torch.stack([torch.arange(packs.seq_len) < packs.valid(i) for i in range(len(packs))])[:, 1:]
    every &= inputs["position_ids"][:, 1:] > 0
    with torch.inference_mode():
        logits = model(input_ids=inputs["input_ids"], position_ids=inputs["position_ids"], use_cache=False).logits
    nats = -logits[:, :-1].log_softmax(-1).gather(2, inputs["input_ids"][:, 1:, None])[..., 0]
    return float(nats[answers].mean()), float(nats[every & ~answers].mean())


def packs_of(base, path, window=96, **more):
    rows = material(base, path, "sft", window)
    return Packs(rows.dialogues(rows.train), window, **more)


def test_it_learns_twenty_answers_to_the_letter_and_no_question(base, twenty, learnt):
    out, results = learnt
    packs = packs_of(base, twenty)
    model = load_model(out, "cpu")
    before, after = nats_by_mask(load_model(base, "cpu"), packs), nats_by_mask(model, packs)
    assert after[0] < 0.02
    assert after[1] > 0.9 * before[1]  # a loss on all ids would learn these too
    chat, template = load(base / "model"), find_template("own", load(base / "model"))
    for line in twenty.read_text(encoding="utf-8").splitlines():
        question, answer = json.loads(line)["messages"]
        ids = encode_prompt(chat, (Turn("user", question["content"]),), template).tolist()
        made = model.generate(torch.tensor([ids]), max_new_tokens=40, do_sample=False, pad_token_id=0)
        assert chat.tokenizer.decode(made[0, len(ids) :].tolist()) == answer["content"]
    assert results["loss_last"] < 0.05
    assert results["answer_tokens"] == sum(int(part.mask.sum()) for part in packs.parts)


def test_the_same_command_again_does_nothing_and_reads_no_row(base, twenty, learnt, monkeypatch, capsys):
    monkeypatch.setattr("tokenizer.dialogues.read_material", None)
    assert run("sft", base, twenty, learnt[0], "held_out=0", *LEARN) == learnt[1]
    assert "nothing to do" in capsys.readouterr().err
    with pytest.raises(TypeError):  # another seed is another run
        run("sft", base, twenty, learnt[0], "held_out=0", *LEARN, "seed=1")


def test_packed_dialogues_do_not_see_each_other(base, twenty):
    together, apart = packs_of(base, twenty, 192), packs_of(base, twenty, 192, together=False)
    assert len(together) < len(apart) == 20
    model, rows = load_model(base, "cpu"), 384
    several = next(i for i in range(len(together)) if len(together.bins[i]) > 1)
    inputs = masked_batch(together, [several], rows)
    with torch.inference_mode():
        logits = model(input_ids=inputs["input_ids"], position_ids=inputs["position_ids"], use_cache=False).logits[0]
        for start, number in zip(together.starts(several), together.bins[several], strict=True):
            ids = torch.from_numpy(together.parts[number].ids.astype("int64"))
            alone = model(input_ids=ids[None]).logits[0]
            assert torch.allclose(logits[start : start + len(ids)], alone, atol=1e-4)
    assert sorted(n for part in together.bins for n in part) == list(range(20))


def test_packing_changes_no_loss(base, twenty, tmp_path):
    """All twenty in one batch, packed or not: the same mean over the same answers, the same gradient."""
    words = ("steps=1", "held_out=0")
    alone = run("sft", base, twenty, tmp_path / "a", *words, "batch=20", "micro_batch=5", "packing=false")
    packed = run("sft", base, twenty, tmp_path / "b", *words, "batch=4", "micro_batch=4")
    assert packed["samples"] == 4
    assert alone["loss_first"] == pytest.approx(packed["loss_first"], abs=1e-5)
    norms = [series(tmp_path / name, "grad_norm")[1] for name in "ab"]
    assert norms[0] == pytest.approx(norms[1], rel=1e-4)


def test_a_crash_changes_nothing_and_noise_is_resumed(base, twenty, tmp_path, monkeypatch):
    whole, out, step = tmp_path / "whole", tmp_path / "run", Discipline.check_step
    run("sft", base, twenty, whole, *SHORT, "neftune=5")

    def crash(self, loss, norm):
        if self.state.global_step + 1 == 4:
            raise RuntimeError("power cut")
        return step(self, loss, norm)

    monkeypatch.setattr(Discipline, "check_step", crash)
    with pytest.raises(RuntimeError):
        run("sft", base, twenty, out, *SHORT, "neftune=5")
    monkeypatch.undo()
    run("sft", base, twenty, out, *SHORT, "neftune=5")
    assert exact(out) == exact(whole)
    run("sft", base, twenty, tmp_path / "plain", *SHORT)
    assert series(tmp_path / "plain") != series(whole)


def test_held_out_rows_by_their_question_whatever_is_mixed_in(base, twenty, tmp_path):
    other = dialogues(tmp_path / "b.jsonl", 10, seed=5, turns=2)
    words = ("held_out=0.3", "steps=2", "batch=1", "micro_batch=1")
    alone, mixed = (
        material(base, twenty, "sft", held_out=0.3),
        material(base, f"{twenty},{other}@2", "sft", held_out=0.3),
    )
    held = {row.id for row in alone.held_out}
    assert 0 < len(held) < 20
    assert len(alone.train) == 20 - len(held)
    assert {row.id for row in mixed.held_out if row.source == alone.train[0].source} == held
    others = [row for row in mixed.train if row.source == "b"]
    assert len(others) == 2 * (10 - (len(mixed.held_out) - len(held)))
    one = run("sft", base, f"{twenty},{other}@2", tmp_path / "one", *words)
    assert one["held_out"] == len(mixed.held_out)
    assert [given["weight"] for given in one["sets"]] == [1, 2]
    rows = metrics.read(tmp_path / "one")
    assert rows[0]["held_out_loss"] == one["scores"]["held_out_loss"][0]
    assert rows[-1]["held_out_loss"] == one["scores"]["held_out_loss"][1]


def test_lora_on_a_run_then_merged_then_gone_on_with(base, twenty, tmp_path, capsys):
    out = tmp_path / "lora"
    results = run("sft", base, twenty, out, *SHORT, "tune=lora", "lora.rank=4", "optim.lr=1e-2")
    assert results["trained_parameters"] < 0.3 * results["parameters"]
    with pytest.raises(InputError, match=r"holds an adapter, no whole model; merge it first: train merge"):
        run("sft", out, twenty, tmp_path / "next", *SHORT)
    assert merge(out, tmp_path / "merged")["difference"] < 1e-5
    run("sft", tmp_path / "merged", twenty, tmp_path / "next", *SHORT)
    chain = lineage.chain(tmp_path / "next")
    assert [e["kind"] for e in chain if e["kind"] != "corpus"] == ["run", "model", "run", "run", "tokens", "tokenizer"]
    assert chain[0]["raw_files"] == 1
    assert "sft: loss" in chain[0]["what"]
    assert (tmp_path / "next/model/tokenizer.model").is_file()
    assert not (tmp_path / "next/model/adapter_config.json").exists()


def test_the_model_carries_the_template_it_was_trained_in(base, twenty, tmp_path):
    from transformers import AutoTokenizer

    bare = tmp_path / "bare"
    shutil.copytree(base / "model", bare)
    config = json.loads((bare / "tokenizer_config.json").read_text(encoding="utf-8"))
    del config["chat_template"]
    (bare / "tokenizer_config.json").write_text(json.dumps(config), encoding="utf-8")
    run("sft", bare, twenty, tmp_path / "run", "steps=1", "batch=2", "micro_batch=2", "template=ziya", "held_out=0")
    tokenizer = AutoTokenizer.from_pretrained(tmp_path / "run/model")
    found = tokenizer.apply_chat_template(
        [{"role": "user", "content": "望月"}], tokenize=False, add_generation_prompt=True
    )
    assert found == "<s><human>望月<bot>"


def test_what_does_not_fit_loses_its_oldest_exchanges_or_is_left_out(base, tmp_path, capsys):
    def chat_of(*texts):
        roles = ("user", "assistant") * len(texts)
        return {"messages": [{"role": r, "content": t} for r, t in zip(roles, texts, strict=False)]}

    long = "".join(sentence(np.random.default_rng(n)) for n in range(30))
    records = [chat_of(long, "好。"), chat_of("1", "好。", "2" * 60, "好。", "3" * 60, "好。"), chat_of("2", "")]
    data = write(tmp_path / "d.jsonl", [*records, *[chat_of(str(n), "好。") for n in range(3, 9)]])
    results = run("sft", base, data, tmp_path / "run", "steps=1", "batch=1", "micro_batch=1", "held_out=0")
    assert (results["left_out"], results["shortened"]) == (2, 1)
    err = capsys.readouterr().err
    assert "d.jsonl:3: " in err
    assert "the window is 96; not used" in err
    assert "1 rows lost their oldest exchanges to fit 96 ids" in err
    (short,) = [
        d for d in material(base, data, "sft").dialogues(material(base, data, "sft").train) if d.id == "d.jsonl:2"
    ]
    assert len(short.ids) <= 96
    assert short.mask.sum() == 2 * (short.mask.sum() // 2)


@pytest.mark.parametrize(
    ("change", "kind", "said"),
    [
        ("data=nowhere.jsonl", InputError, "nowhere.jsonl: "),
        ("held_out=0.5", InputError, "do not fill one batch of 200"),
        ("model.weights=nowhere", InputError, "nowhere: no such folder"),
        ("window=4096", ConfigError, "window: 4,096 ids, the model has 128 positions; give at most 128"),
        ("micro_batch=3", ConfigError, "batch: 200 is no multiple of 3 = 3 samples x 1 devices; give 201"),
        ("data=a.jsonl@0", ConfigError, "the weight 0 is not in (0, 100]"),
    ],
)
def test_bad_input_is_one_line(base, twenty, tmp_path, change, kind, said):
    rows = ["held_out=0", "batch=200", "packing=false"]
    data = dialogues(tmp_path / "many.jsonl", 220) if change.startswith("micro") else twenty
    with pytest.raises(kind) as caught:
        run("sft", base, data, tmp_path / "run", *rows, change)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_nothing_to_train_on_and_another_tokenizer(base, tmp_path):
    empty = write(tmp_path / "leer.jsonl", [])
    with pytest.raises(InputError, match=r"leer\.jsonl: "):
        run("sft", base, empty, tmp_path / "run")
    data = dialogues(tmp_path / "d.jsonl")
    other = tmp_path / "other"
    shutil.copytree(base / "model", other)
    text = (other / "tokenizer.json").read_text(encoding="utf-8")
    (other / "tokenizer.json").write_text(text + " ", encoding="utf-8")
    with pytest.raises(InputError, match="is another tokenizer than the one of the weights"):
        run("sft", base, data, tmp_path / "run", f"tokenizer={other}")
    (other / "tokenizer.json").unlink()
    with pytest.raises(InputError, match=r"has no tokenizer\.json"):
        run("sft", other, data, tmp_path / "run")
