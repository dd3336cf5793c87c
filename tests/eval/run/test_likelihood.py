"""Shared-prefix scoring against HFLM, and against a plain forward pass of each sequence."""

import random

import numpy as np
import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from eval.forward import explicit, part
from eval.likelihood import hflm, score
from eval.models import shares
from eval.prefixes import MIN_SHARED, common, tree


@pytest.fixture(scope="module")
def model(tiny):
    return AutoModelForCausalLM.from_pretrained(tiny).eval()


@pytest.fixture(scope="module")
def tokenizer(tiny):
    return AutoTokenizer.from_pretrained(tiny)


def made(seed=0):
    """Four subjects; each question with four choices of several ids, two of one id, and one that moves the boundary."""
    rnd = random.Random(seed)

    def ids(count):
        return [rnd.randrange(2, 258) for _ in range(count)]

    pairs = []
    for _ in range(4):
        head = ids(40)
        for _ in range(5):
            question = head + ids(rnd.randrange(5, 30))
            pairs += [(question, ids(rnd.randrange(1, 12))) for _ in range(4)]
            pairs += [(question, [5]), (question, [6]), (question[:-3], ids(3)), (question, [5])]
    return [*pairs, (ids(200), ids(5)), (ids(300), ids(1)), ([7], [8])]


def plain(model, before, after, context):
    ids = [*before, *after][-(context + 1) :]
    with torch.no_grad():
        rows = model(torch.tensor([ids[:-1]])).logits[0].log_softmax(-1)[-len(after) :]
    wanted = torch.tensor(ids[1:])[-len(after) :]
    return float(rows.gather(1, wanted[:, None]).sum()), bool((rows.argmax(-1) == wanted).all())


@pytest.mark.parametrize("pack", [16, 100, 5000])
def test_equal_to_a_plain_pass_whatever_the_pack(model, pack):
    pairs = made()
    for found, (before, after) in zip(score(model, pairs, 128, pack), pairs, strict=True):
        want = plain(model, before, after, 128)
        assert found[0] == pytest.approx(want[0], abs=1e-4)
        assert found[1] == want[1]


def test_equal_to_hflm(model, tokenizer):
    ours, theirs = hflm(model, tokenizer), hflm(model, tokenizer, shared=False)
    assert type(ours).__name__ == "SharedPrefixLM"
    assert type(theirs).__name__ == "HFLM"
    head = "The following are questions. 以下是单项选择题。\n\n" * 3
    texts = [(f"{head}第{n}题？\nAnswer:", said) for n in range(12) for said in (" A", " B", " C", "answer 答案", " A")]
    requests = [((before, after), *ours._encode_pair(before, after)) for before, after in texts]
    found = ours._loglikelihood_tokens(requests)
    want = theirs._loglikelihood_tokens(requests, disable_tqdm=True)
    for one, other in zip(found, want, strict=True):
        assert one[0] == pytest.approx(other[0], abs=1e-4)
        assert one[1] == other[1]
    assert model.config._attn_implementation == "sdpa"  # as it was before


def test_every_id_is_computed_once(model, monkeypatch):
    import eval.forward

    passed = []
    real = eval.forward.hidden
    monkeypatch.setattr(eval.forward, "hidden", lambda m, ids, *rest: passed.append(len(ids)) or real(m, ids, *rest))
    pairs = made()
    score(model, pairs, 4096)
    root = tree(list({tuple([*before, *after][:-1]) for before, after in pairs}))
    assert sum(passed) == root.total
    assert sum(len(before) for before, _ in pairs) > 6 * root.total


def test_the_tree_holds_each_sequence():
    rnd = random.Random(1)
    sequences = [[rnd.randrange(3) for _ in range(rnd.randrange(1, 60))] for _ in range(200)]
    sequences += [[1] * 50 + [0] * n for n in range(1, 5)] + [[1] * 20, [1] * 20]
    path, found = [], {}
    for node in tree(sequences).walk():
        while path and path[-1].end > node.start:
            path.pop()
        path.append(node)
        for n in node.sequences:
            found[n] = np.concatenate([one.ids for one in path]).tolist()
    assert [found[n] for n in range(len(sequences))] == sequences


def test_short_common_runs_are_not_split_off():
    head = list(range(10, 10 + MIN_SHARED))
    assert tree([[*head, 1], [*head, 2]]).total == MIN_SHARED + 2
    assert tree([[*head[1:], 1], [*head[1:], 2]]).total == 2 * MIN_SHARED
    assert common(np.array([1, 2, 3]), np.array([1, 2])) == 2


@pytest.mark.parametrize("causal", [True, False])
def test_attention_over_a_part_by_the_kernel_and_in_plain_products(causal):
    torch.manual_seed(0)
    query, key, value = torch.randn(1, 4, 9, 16), torch.randn(1, 2, 9, 16), torch.randn(1, 2, 9, 16)
    wide = [one.repeat_interleave(2, 1) for one in (key, value)]
    want = torch.nn.functional.scaled_dot_product_attention(query, *wide, is_causal=causal, scale=0.25)
    out, norm = part(query, key, value, 0.25, causal=causal)
    other, other_norm = explicit(query, *wide, 0.25, causal=causal)
    for found in (out, other):
        assert torch.allclose(found, want, atol=1e-5)
    assert torch.allclose(norm, other_norm, atol=1e-5)


def test_a_window_and_a_rotation_by_length_are_left_to_hflm(model, monkeypatch):
    assert shares(model.config)
    with monkeypatch.context() as patch:
        patch.setitem(model.config.rope_parameters, "rope_type", "dynamic")
        assert not shares(model.config)
    model.config.sliding_window = 64
    try:
        assert not shares(model.config)
    finally:
        del model.config.sliding_window


def test_a_choice_that_melts_into_the_prompt_is_scored_alone(model, tokenizer):
    ours = hflm(model, tokenizer)
    real = ours.tok_encode
    ours.tok_encode = lambda text, **more: [9] if text in ("答", "答A") else real(text, **more)
    assert ours._encode_pair("答", "A") == ([9], real("A"))
