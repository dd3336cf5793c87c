"""GRPO and RLOO on PPO's loop: the advantages and losses of TRL's trainers on the same batch, and they learn."""

import pytest
import torch

from tests.train.test_ppo import figures, learned, make_trainer, one_thread, run, words, world
from train import ppo_math
from train.settings import resolve
from workbench.errors import ConfigError

__all__ = ["one_thread", "world"]
GROUP = ("prompts=8", "rollouts=8", "epochs=4", "kl.target=none")


def trl_trainer(world, name, folder, beta):
    """TRL's own, on the same model and reward."""
    import trl
    from datasets import Dataset
    from transformers import AutoModelForCausalLM, AutoTokenizer

    args = getattr(trl, f"{name}Config")(
        output_dir=str(folder),
        beta=beta,
        num_generations=2,
        per_device_train_batch_size=6,
        max_completion_length=8,
        use_cpu=True,
        bf16=False,
        gradient_checkpointing=False,
        report_to=[],
        **({"loss_type": "bnpo"} if name == "GRPO" else {}),
    )
    model = AutoModelForCausalLM.from_pretrained(world / "sft", dtype=torch.float32)
    data = Dataset.from_dict({"prompt": ["天地？"] * 8})
    return getattr(trl, f"{name}Trainer")(
        model=model,
        reward_funcs=lambda completions, **_: [0.0 for _ in completions],
        args=args,
        train_dataset=data,
        processing_class=AutoTokenizer.from_pretrained(world / "sft"),
    )


@pytest.mark.parametrize("name", ["GRPO", "RLOO"])
def test_advantages_and_loss_are_those_of_trl(world, tmp_path, name):
    from eval.draw import padded

    more = ("prompts=3", "rollouts=2", "minibatch=6", "micro_batch=4", "kl.coefficient=0.3", "reward=rule:length:5")
    stage = ("whiten_advantages=false", "value_coefficient=0", f"estimator={name.lower()}")
    trainer = make_trainer(world, tmp_path, *more, *stage)
    policy = trainer.models.policy
    with torch.no_grad():
        for n, parameter in enumerate(policy.parameters()):
            parameter.add_(torch.randn(parameter.shape, generator=torch.Generator().manual_seed(n)), alpha=0.01)
    batch = trainer.collect()
    scores = batch.scores.double()
    for n in range(0, 6, 2):  # by hand, from the papers
        pair = [float(scores[n]), float(scores[n + 1])]
        if name == "RLOO":
            kls = ppo_math.answer_kl(batch.logp, batch.reference, batch.mask)[n : n + 2].tolist()
            pair = [score - 0.3 * kl for score, kl in zip(pair, kls, strict=True)]
            wanted = [pair[0] - pair[1], pair[1] - pair[0]]
        else:
            mean = sum(pair) / 2
            deviation = sum((x - mean) ** 2 for x in pair) ** 0.5
            wanted = [(x - mean) / (deviation + 1e-4) for x in pair]
        assert batch.advantages[n : n + 2, 0].tolist() == pytest.approx(wanted, abs=1e-5)
    with torch.no_grad():
        for n, parameter in enumerate(policy.parameters()):
            parameter.add_(torch.randn(parameter.shape, generator=torch.Generator().manual_seed(50 + n)), alpha=0.01)
    tokens = int(batch.mask.sum())
    figures = trainer.backward(batch, [0, 2, 3, 5], tokens) + trainer.backward(batch, [1, 4], tokens)
    theirs = trl_trainer(world, name, tmp_path / "trl", 0.3)
    theirs.model.load_state_dict(policy.state_dict())
    prompts, prompt_mask = padded(batch.prompts, "cpu", left=True)
    answers, answer_mask = padded(batch.answers, "cpu")
    wide = answers.shape[1]
    inputs = {
        "prompt_ids": prompts,
        "prompt_mask": prompt_mask,
        "completion_ids": answers,
        "completion_mask": answer_mask,
        "advantages": batch.advantages[:, 0],
        "old_per_token_logps": batch.logp[:, :wide],
        "old_logps": (batch.logp * batch.mask).sum(1),
        "ref_per_token_logps": batch.reference[:, :wide],
    }
    theirs.current_gradient_accumulation_steps = 1
    theirs.model.train()
    loss = theirs._compute_loss(theirs.model, inputs)
    loss.backward()
    assert float(figures[0] + figures[5]) == pytest.approx(float(loss.detach()), abs=1e-6)
    for ours, other in zip(policy.parameters(), theirs.model.parameters(), strict=True):
        torch.testing.assert_close(ours.grad, other.grad, atol=1e-6, rtol=1e-4)
    assert any(p.grad.abs().max() > 1e-3 for p in policy.parameters())


@pytest.mark.slow
@pytest.mark.parametrize(("stage", "coefficient"), [("grpo", "0.04"), ("rloo", "0.07")])
def test_it_raises_the_reward_and_stays_near_the_reference(world, tmp_path, stage, coefficient):
    line = [f"stage={stage}", *words(world, tmp_path / "run", *GROUP, f"kl.coefficient={coefficient}")[1:]]
    found, loaded = resolve(line)
    assert found.name == stage
    results = found.run(loaded, False)
    assert results["stage"] == stage
    assert learned(tmp_path / "run") == (True, True, True)
    assert not (tmp_path / "run/model/value_head.safetensors").exists()


def test_a_group_of_one_has_nothing_to_compare(world, tmp_path):
    with pytest.raises(ConfigError, match="rollouts"):
        run(world, tmp_path / "run", "estimator=rloo", "rollouts=1")


def test_equal_answers_teach_nothing(world, tmp_path):
    scores = torch.tensor([2.0, 2.0, 2.0, 1.0, 0.0, 2.0])
    grpo = ppo_math.group_advantages(scores, 3, leave_one_out=False)
    rloo = ppo_math.group_advantages(scores, 3, leave_one_out=True)
    assert grpo[:3].tolist() == rloo[:3].tolist() == [0, 0, 0]
    assert rloo[3:].tolist() == pytest.approx([0, -1.5, 1.5])
    assert grpo[3:].tolist() == pytest.approx([0, -1, 1], abs=1e-3)
    run(world, tmp_path / "run", "estimator=rloo", "steps=1", "kl.coefficient=0", "reward=rule:share:无")
    assert figures(tmp_path / "run")[0]["grad_norm"] == pytest.approx(0, abs=1e-6)
