"""Generation with a kept prefix against one that runs the whole text again for each id."""

import random

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from eval.generate import Wanted, generate
from eval.likelihood import hflm


@pytest.fixture(scope="module")
def model(tiny):
    return AutoModelForCausalLM.from_pretrained(tiny).eval()


@pytest.fixture(scope="module")
def tokenizer(tiny):
    return AutoTokenizer.from_pretrained(tiny)


def prompts(model_ids=256, seed=0, head=30):
    rnd = random.Random(seed)
    first = [rnd.randrange(2, model_ids) for _ in range(head)]
    return [first + [rnd.randrange(2, model_ids) for _ in range(rnd.randrange(1, 30))] for _ in range(13)] + [
        [*first, 7]
    ]


def slow(model, ids, count, context):
    out = list(ids)
    while len(out) - len(ids) < count and len(out) < context:
        with torch.no_grad():
            out.append(int(model(torch.tensor([out])).logits[0, -1].argmax()))
        if out[-1] == 1:
            break
    return out[len(ids) :]


@pytest.mark.parametrize("slots", [1, 5, 40])
@pytest.mark.parametrize("head", [30, 0])
def test_greedy_is_the_likeliest_id_each_time(model, tokenizer, slots, head):
    asked = prompts(head=head)
    found = generate(model, tokenizer, [Wanted(ids, 12) for ids in asked], context=80, slots=slots)
    for ids, text in zip(asked, found, strict=True):
        made = slow(model, ids, 12, 80)
        alone = tokenizer.decode(ids[-8:], skip_special_tokens=True)
        assert text == tokenizer.decode([*ids[-8:], *made], skip_special_tokens=True)[len(alone) :]


def test_a_stop_string_ends_a_text_and_is_not_in_it(model, tokenizer):
    ids = prompts()[0]
    whole = generate(model, tokenizer, [Wanted(ids, 30)], context=4096)[0]
    stop = whole[8:10]
    cut = generate(model, tokenizer, [Wanted(ids, 30, ("never", stop))], context=4096)[0]
    assert cut == whole[: whole.find(stop)]


def test_a_sample_depends_on_its_seed_alone(model, tokenizer):
    ids = prompts()[0]
    wanted = [Wanted(ids, 10, (), 1.0, seed) for seed in range(6)]
    together = generate(model, tokenizer, wanted, context=4096, slots=6)
    assert together == generate(model, tokenizer, wanted, context=4096, slots=2)
    assert together[3] == generate(model, tokenizer, [wanted[3]], context=4096)[0]
    assert len(set(together)) > 1


def test_lm_evals_requests_are_hflms_texts(model, tokenizer):
    from lm_eval.api.instance import Instance

    options = {"until": ["\n\n"], "max_gen_toks": 16, "do_sample": False, "temperature": 0.0}
    requests = [Instance("generate_until", {}, (f"Q: What is {n}? 是什么？\nA:", dict(options)), 0) for n in range(5)]
    ours = hflm(model, tokenizer, batch=3).generate_until(requests)
    theirs = [
        one
        for request in requests
        for one in hflm(model, tokenizer, batch=1, shared=False).generate_until([request], disable_tqdm=True)
    ]
    assert ours == theirs
