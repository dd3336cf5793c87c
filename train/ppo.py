"""Stage ppo (its other name: rl): a policy is taught by scores of its own answers, held near the model it came from.

A step draws answers to a batch of prompts, has each scored by ``reward``, charges each token for leaving the reference
(KL), and updates the policy and its value head a few times on them (``train.ppo_trainer``; the arithmetic, with its
papers, is ``train.ppo_math``). Four models, as many in memory as there must be:

    tune=lora   one base: the policy is the base with its adapter, the reference the same base with the adapter off
    tune=full   the policy and a frozen copy of it
    values      a head of width + 1 numbers on the policy's own states
    reward      a model of its own without gradients; the same base with its own adapter, if it is one; or a function

Bytes a parameter, fp32 weights: lora 4, full 20 (weights, gradients, two moments, copy), and the reward model's. Beside
what every stage leaves (``train.pt``) the folder holds ``samples.jsonl``: each step's first answers with their scores.
Cost of a step: (1 + epochs) times a training step on the same tokens, and the drawing.
"""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from eval import parallel
from eval.models import weights_inputs, whole_model
from eval.scorer import check_reward
from tokenizer.chat.window import tell
from tokenizer.dialogues import files_of
from tokenizer.open import check_carried
from tokenizer.prompts import read_prompts
from tokenizer.shards import TokenShards
from train.checkpoint import CheckpointSettings
from train.instruct import TemplateName
from train.lora import LoraSettings, add_adapter, check_tune, place
from train.model import TOKENS_BY, ModelSettings
from train.schedule import OptimSettings
from train.stage import claimed, interrupted, write_run
from workbench import manifest
from workbench.config import at_least, between, section, setting
from workbench.console import progress
from workbench.errors import ConfigError, InputError
from workbench.runs import metrics, summary
from workbench.runs.curves import DRAWN_PANELS


@dataclass(frozen=True)
class PpoOptimSettings(OptimSettings):
    """AdamW for a policy: a tenth of fine-tuning's rate, no decay towards zero, and Adam's larger epsilon."""

    lr: float = setting(1e-5, "peak learning rate", check=at_least(0))
    schedule: Literal["cosine", "wsd", "linear", "constant"] = setting("linear", "after the warm-up")
    warmup: int = setting(5, "steps of linear warm-up", check=at_least(0))
    weight_decay: float = setting(0.0, "AdamW weight decay, not on norms and biases", check=at_least(0))
    epsilon: float = setting(1e-5, "AdamW epsilon: early gradients are small, and 1e-8 would blow them up")


@dataclass(frozen=True)
class KlSettings:
    """The penalty for leaving the reference (Ziegler et al., arXiv 1909.08593, section 2.2)."""

    coefficient: float = setting(0.1, "beta at the beginning: reward that a nat costs", check=at_least(0))
    target: float | None = setting(
        6.0, "nats an answer that beta is steered to; none: beta stays", check=at_least(1e-6)
    )
    rate: float = setting(0.1, "of the steering: beta changes by at most a fifth of it a step", check=between(0, 1))


@dataclass(frozen=True)
class RolloutSettings:
    """Drawing answers."""

    max_prompt: int = setting(512, "ids of a prompt; a longer one loses its oldest exchanges", check=at_least(1))
    max_new: int = setting(128, "tokens of an answer at most", check=at_least(1))
    temperature: float = setting(1.0, "of the softmax that is drawn from", check=at_least(0.01))
    batch: int = setting(16, "answers drawn at once on a device", check=at_least(1))
    engine: Literal["hf", "vllm"] = setting("hf", "vllm: if it is installed, with tune=lora, on one device")
    unfinished: float | None = setting(None, "score of an answer cut off at max_new; none: as the reward has it")


@dataclass(frozen=True)
class PtxSettings:
    """PPO-ptx: the pre-training loss beside PPO's (Ouyang et al., arXiv 2203.02155, section 3.5, equation 2)."""

    data: Path | None = setting(None, "token shards of the policy's tokenizer; none: no such loss")
    coefficient: float = setting(1.0, "gamma: its weight, on the mean loss a token", check=at_least(0))
    sequences: int = setting(8, "sequences beside each minibatch, on all devices", check=at_least(1))


@dataclass(frozen=True)
class PpoSettings:
    """Everything about a PPO run."""

    data: tuple[str, ...] = setting(doc="files or folders that hold prompts; answers that they have are not used")
    reward: str = setting(doc="a reward model's folder, python:FILE.py:FUNCTION, rule:length:50 or rule:share:TEXT")
    tokenizer: Path | None = setting(None, "the policy's tokenizer; none: what stands beside the model")
    template: TemplateName = setting("own", "chat template; own: the tokenizer's")
    out: Path = setting(Path("data/runs/ppo"), "the run's folder")
    seed: int = setting(0, "of the order of the prompts and of the drawing", check=at_least(0))
    steps: int = setting(200, "batches of answers", check=at_least(1))
    prompts: int = setting(32, "prompts a step, on all devices together", check=at_least(1))
    rollouts: int = setting(2, "answers to each prompt", check=at_least(1))
    estimator: Literal["gae", "grpo", "rloo"] = setting(
        "gae", "of advantages: from the value head, or from the other answers to a prompt (stages grpo and rloo)"
    )
    epochs: int = setting(4, "passes over a step's answers", check=at_least(1))
    minibatch: int = setting(32, "answers in an update, on all devices together", check=at_least(1))
    micro_batch: int = setting(8, "answers a device at once", check=at_least(1))
    clip: float = setting(0.2, "policy: how far a ratio may go", check=at_least(0))
    value_clip: float | None = setting(0.2, "values: how far they may go in a step; none: freely", check=at_least(0))
    value_coefficient: float = setting(0.1, "weight of the value loss", check=at_least(0))
    entropy_coefficient: float = setting(0.0, "weight of the entropy bonus", check=at_least(0))
    gamma: float = setting(1.0, "discount a token", check=between(0, 1))
    lam: float = setting(0.95, "lambda of GAE", check=between(0, 1))
    whiten_rewards: bool = setting(False, "scale the batch's token rewards to variance 1")
    whiten_advantages: bool = setting(True, "scale the batch's advantages to mean 0, variance 1")
    samples: int = setting(4, "answers a step in samples.jsonl", check=at_least(0))
    precision: Literal["auto", "bf16", "fp32"] = setting("auto", "of the products; the weights stay fp32")
    recompute: Literal["none", "full"] = setting("none", "full: keep each layer's input alone, a third more FLOPs")
    tune: Literal["full", "lora", "qlora"] = setting(
        "full", "all weights; or an adapter over frozen ones; qlora: those in 4 bits, needs bitsandbytes"
    )
    model: ModelSettings = section(ModelSettings)
    lora: LoraSettings = section(LoraSettings)
    kl: KlSettings = section(KlSettings)
    rollout: RolloutSettings = section(RolloutSettings)
    ptx: PtxSettings = section(PtxSettings)
    optim: PpoOptimSettings = section(PpoOptimSettings)
    checkpoint: CheckpointSettings = section(CheckpointSettings)


def check(settings: PpoSettings) -> None:
    """Refuse settings that do not go together.

    Raises:
        ConfigError: Naming the setting.
        InputError: If the weights or the reward are no model, or quantised.
    """
    if settings.model.weights is None:
        raise ConfigError("model.weights", "is not set", "name the model to go on from, e.g. the run of stage=sft")
    check_tune(settings.tune, settings.model.weights)
    whole_model(settings.model.weights)
    check_reward(settings.reward)
    if settings.lora.dropout:
        raise ConfigError("lora.dropout", "makes the policy another one at each pass", "PPO takes lora.dropout=0")
    if settings.estimator != "gae" and settings.rollouts < 2:
        raise ConfigError("rollouts", f"{settings.estimator} compares answers to one prompt", "give at least 2")
    if settings.rollout.engine == "vllm" and (settings.tune != "lora" or parallel.world() > 1):
        found = "vllm is handed the adapter at each step, on one device"
        raise ConfigError("rollout.engine", found, "use tune=lora on one device, or engine=hf")
    answers = settings.prompts * settings.rollouts
    if answers % settings.minibatch:
        found = f"{settings.minibatch} does not divide the {answers} answers of a step (prompts x rollouts)"
        raise ConfigError("minibatch", found, "give a divisor")
    for key, count in (("prompts", settings.prompts), ("minibatch", settings.minibatch)):
        if count % parallel.world():
            raise ConfigError(key, f"{count} is no multiple of {parallel.world()} devices", "give a multiple")


def run(stage: str, settings: PpoSettings, *, overwrite: bool = False) -> dict[str, Any]:
    """Run the stage, or one on its loop; see ``train.stage.run_stage`` for results and errors."""
    check(settings)
    return claimed(stage, settings, _inputs(settings), lambda: _train(stage, settings), overwrite=overwrite)


def _inputs(settings: PpoSettings) -> list[dict[str, Any]]:
    """What the run is made from: folders with manifests by their fingerprint, so that ``train lineage`` walks on."""
    kind, _, rest = settings.reward.partition(":")
    files = [*files_of(settings.data), *([Path(rest.rpartition(":")[0])] if kind == "python" else [])]
    inputs = [manifest.describe_file(path) for path in files if path.is_file()]
    inputs += weights_inputs(settings.model.weights)
    if settings.ptx.data is not None:
        inputs.append(manifest.describe_folder(settings.ptx.data, "tokens", TOKENS_BY))
    if kind not in ("rule", "python"):
        inputs += weights_inputs(Path(settings.reward), adapter=True)
    return inputs


def _train(stage: str, settings: PpoSettings) -> dict[str, Any]:
    from transformers import set_seed

    from eval import value_head
    from eval.device import Machine
    from eval.draw import Vllm
    from eval.models import load_model, load_tokenizer, model_folder
    from eval.scorer import make_reward
    from train.ppo_batch import Models
    from train.ppo_trainer import Ppo

    first, machine = parallel.first(), Machine.of(settings.precision)
    device = machine.device
    assert settings.model.weights is not None
    folder = model_folder(settings.model.weights)
    beside = settings.tokenizer or folder
    tokenizer = load_tokenizer(beside)
    prompts = read_prompts(settings.data, beside, template=settings.template, window=settings.rollout.max_prompt)
    tokenizer.eos_token = prompts.end  # the template's: it need not be the tokenizer's own
    if first:
        tell(prompts.left_out, prompts.shortened, settings.rollout.max_prompt)
    set_seed(settings.seed)
    policy = place(load_model(folder, "cpu").float(), settings.tune, machine.precision, device)
    rows, most = policy.get_input_embeddings().num_embeddings, policy.config.max_position_embeddings
    if len(tokenizer) > rows:
        raise InputError(folder, f"has {rows:,} rows for {len(tokenizer):,} pieces", "extend it: tokenizer embed")
    if settings.rollout.max_prompt + settings.rollout.max_new > most:
        found = f"max_prompt + max_new is longer than the model's {most:,} positions"
        raise ConfigError("rollout.max_prompt", found, f"give at most {most - settings.rollout.max_new:,}")
    speak = first and settings.estimator == "gae"
    head = value_head.load_or_fresh(folder, policy.config.hidden_size, speak=speak).to(device)
    adapter = None if settings.tune == "full" else add_adapter(policy, settings.lora, folder, len(tokenizer))
    shared = (adapter, folder) if settings.tune == "lora" else None  # a reward's adapter learnt over an uncut base
    reward = make_reward(settings.reward, tokenizer, device, settings.micro_batch, speak=first, shared=shared)
    models = Models(policy, head, adapter)
    ptx = None if settings.ptx.data is None else TokenShards.open(settings.ptx.data, "train")
    if ptx is not None:
        check_carried(ptx, folder, "pack it with the model's own")
    book = metrics.Metrics(settings.out, writes=first)
    with closing(book), progress("train", settings.steps, "steps", shown=first) as bar:
        trainer = Ppo(settings, models, tokenizer, prompts.asked, reward, machine.precision, ptx, book, bar)
        if settings.rollout.engine == "vllm":
            trainer.vllm = Vllm(folder, settings.lora.rank, settings.rollout.max_prompt + settings.rollout.max_new)
        trainer.go()
    if trainer.step < settings.steps:
        interrupted(settings.out, DRAWN_PANELS)

    def close() -> dict[str, Any]:
        found = summary.drawn(metrics.read(settings.out)) | machine.about
        told = [*found["told"], ["scored by", settings.reward, f"prompts {', '.join(settings.data)}"]]
        found |= {"stage": stage, "steps": settings.steps, "vocabulary": len(tokenizer), "told": told}
        template, valued = getattr(prompts.template, "jinja", None), settings.estimator == "gae"

        def beside_it(folder: Path) -> None:
            if valued:
                value_head.save(head, folder)

        return write_run(settings, found, policy, adapter, beside, template, DRAWN_PANELS, beside_it)

    return parallel.by_first(close)
