"""Draws follow the softmax and nothing else; padding, batching and the neighbours change neither draws nor log-probabilities."""

import pytest
import torch

from eval.draw import Draw, by_length, draw_answers
from eval.rollout import score_answers
from eval.value_head import ValueHead
from tests.train.tiny_chat import make_model

PROMPTS = [[5, 6, 7, 8, 9, 10, 11], [12], [13, 14, 15], [16, 17, 18, 19]]
END = 2


@pytest.fixture(scope="module")
def policy(tmp_path_factory):
    from eval.models import load_model

    return load_model(make_model(tmp_path_factory.mktemp("policy"), initializer_range=0.3), "cpu")


def draw(policy, prompts, numbers, size=8, **other):
    given = {"seed": 1, "longest": 10, "temperature": 1.0, "end": END, **other}
    return draw_answers(policy, prompts, numbers, size=size, **given)


def test_an_answer_does_not_depend_on_its_batch(policy):
    numbers = [40, 41, 42, 43]
    together = draw(policy, PROMPTS, numbers)
    assert together == draw(policy, PROMPTS, numbers, size=1)
    assert together[::-1] == draw(policy, PROMPTS[::-1], numbers[::-1], size=3)
    assert together != draw(policy, PROMPTS, numbers, seed=2)
    assert together != draw(policy, PROMPTS, [44, 45, 46, 47])
    for answer in together:
        assert 1 <= len(answer) <= 10
        assert END not in answer[:-1]


def test_an_answer_ends_with_its_first_end(policy):
    for answer in draw(policy, [PROMPTS[1]] * 200, range(200)):
        assert (answer[-1] == END) or len(answer) == 10


def test_draws_follow_the_softmax():
    logits = torch.tensor([[2.0, -torch.inf, 0.0, 1.0, -1.0]])
    draws = Draw([3], 0, 1, 4000, 0.7)
    count = torch.zeros(5)
    for n in range(4000):
        chosen = draws(torch.zeros(1, 1 + n), logits)
        assert chosen.isfinite().sum() == 1
        count += chosen[0] == 0
    share = (logits[0] / 0.7).softmax(0)
    error = (share * (1 - share) / 4000).sqrt()
    assert ((count / 4000 - share).abs() <= 4 * error).all()
    assert count[1] == 0


def test_a_draw_never_falls_behind_the_last_that_has_mass():
    draws = Draw([0], 0, 1, 1, 1.0)
    draws.draws = torch.tensor([[1.0]])  # what rounding could make of the largest uniform number
    assert int(draws(torch.zeros(1, 1), torch.tensor([[0.0, 1.0, -torch.inf]])).argmax()) == 1


def test_the_models_own_generation_settings_are_set_aside(policy):
    plain = draw(policy, PROMPTS, [0, 1, 2, 3])
    own = policy.generation_config
    try:
        policy.generation_config = type(own)(
            repetition_penalty=9.0, do_sample=True, top_k=1, temperature=0.1, max_new_tokens=3, eos_token_id=2
        )
        mine = policy.generation_config
        assert draw(policy, PROMPTS, [0, 1, 2, 3]) == plain
        assert policy.generation_config is mine
    finally:
        policy.generation_config = own


def test_padded_scores_are_those_of_each_answer_alone(policy):
    head = ValueHead(64)
    torch.nn.init.normal_(head.out.weight, std=0.1, generator=torch.Generator().manual_seed(0))
    answers = draw(policy, PROMPTS, [0, 1, 2, 3])
    answers[0], answers[2] = answers[0][:1], answers[2][:4]
    with torch.no_grad():
        found = score_answers(policy, head, PROMPTS, answers, 0.8)
    assert found.mask.sum(1).tolist() == [len(answer) for answer in answers]
    for n, (prompt, answer) in enumerate(zip(PROMPTS, answers, strict=True)):
        for t, token in enumerate(answer):  # each token by a pass of its own over what stands before it
            with torch.no_grad():
                out = policy(torch.tensor([[*prompt, *answer[:t]]]), output_hidden_states=True)
            logs = (out.logits[0, -1] / 0.8).log_softmax(-1)
            assert float(found.logp[n, t]) == pytest.approx(float(logs[token]), abs=1e-5)
            assert float(found.entropy[n, t]) == pytest.approx(float(-(logs.exp() * logs).sum()), abs=1e-5)
            value = head(out.hidden_states[-1])[0, -1].detach()
            assert float(found.values[n, t]) == pytest.approx(float(value), rel=1e-5, abs=1e-5)


def test_batches_are_by_length_and_whole():
    batches = list(by_length([5, 1, 3, 2, 4], 2))
    assert batches == [[1, 3], [2, 4], [0]]
