"""Stage pt: pre-training on token shards, fresh or continued, with replay; scored in bits per byte of held-out text.

Cost of the tiny-cpu recipe: four minutes on two cores.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from eval import parallel
from eval.device import Machine
from eval.models import weights_inputs
from tokenizer.joined import Joined
from tokenizer.open import check_packed_by, describe_tokenizer
from tokenizer.shards import TokenShards
from train.data import MixedOrder, Order, ReplaySettings, accumulation, check_enough
from train.job import Job, RunSettings
from train.lora import place
from train.model import TOKENS_BY, ModelSettings, check_shape, make_model
from train.plan import PlanSettings
from train.stage import check_run, run_stage, tuned
from workbench import manifest
from workbench.config import at_least, section, setting
from workbench.errors import ConfigError

if TYPE_CHECKING:
    from eval.bits import Bits


@dataclass(frozen=True, kw_only=True)
class PtSettings(RunSettings):
    """Everything about a pre-training run."""

    data: Path = setting(doc="the folder of token shards: tokenizer pack makes one")
    tokenizer: Path = setting(doc="the folder whose tokenizer packed them: tokenizer extend makes one")
    out: Path = setting(Path("data/runs/pt"), "the run's folder")
    steps: int = setting(1000, "optimizer steps", check=at_least(1))
    batch_tokens: int = setting(524288, "tokens a step on all devices together", check=at_least(1))
    micro_batch: int | None = setting(1, "sequences a device at once; none: the whole batch", check=at_least(1))
    model: ModelSettings = section(ModelSettings)
    replay: ReplaySettings = section(ReplaySettings)
    plan: PlanSettings = section(PlanSettings)


def run(stage: str, settings: PtSettings, *, overwrite: bool = False) -> dict[str, Any]:
    """Run the stage; see ``train.stage.run_stage``."""
    check_shape(settings.model)
    check_run(stage, settings, settings.model.weights)
    manifest.read(settings.data, "tokens", TOKENS_BY)
    shards = TokenShards.open(settings.data, "train")
    held_out = TokenShards.open(settings.data, "validation")
    check_packed_by(settings.tokenizer, shards)
    check_enough(len(shards), shards.seq_len, settings.batch_tokens, settings.data)
    if not len(held_out):
        raise ConfigError("data", f"{settings.data} has an empty validation split", "pack it with a validation share")
    replayed = settings.replay.data and TokenShards.open(settings.replay.data, "train")
    mixed = Joined(shards, replayed) if replayed else None

    def prepare(machine: Machine) -> Job:
        return _prepare(settings, shards, mixed, held_out, machine)

    return run_stage(stage, settings, _inputs(settings), prepare, overwrite=overwrite)


def _inputs(settings: PtSettings) -> list[dict[str, Any]]:
    """What the run is made from."""
    packed = [data for data in (settings.data, settings.replay.data) if data is not None]
    data, *replayed = [manifest.describe_folder(folder, "tokens", TOKENS_BY) for folder in packed]
    return [data, describe_tokenizer(settings.tokenizer), *replayed, *weights_inputs(settings.model.weights)]


def _prepare(
    settings: PtSettings, shards: TokenShards, mixed: Joined | None, held_out: TokenShards, machine: Machine
) -> Job:
    from eval.bits import NOTHING, bits_of_shards, total
    from eval.packing import batch
    from train.loss import use_chunked_loss

    world, seq_len = parallel.world(), shards.seq_len
    micro_batch = settings.micro_batch or max(1, settings.batch_tokens // seq_len // world)
    factors = {"tokens": seq_len, "sequences": micro_batch, "devices": world}
    micro_steps = accumulation("batch_tokens", settings.batch_tokens, factors)
    model = make_model(settings.model, shards, settings.seed)
    model = place(model, settings.tune, machine.precision, machine.home)
    rows = model.get_input_embeddings().num_embeddings
    shape, adapter = tuned(settings, model, shards.vocab_size, settings.model.weights)
    use_chunked_loss(model)
    order, samples = Order(len(shards), settings.seed), mixed or shards
    if mixed is not None:
        order = MixedOrder(len(shards), len(mixed.replayed), settings.replay.share, settings.seed)
    found: Bits = NOTHING

    def score() -> dict[str, float]:
        nonlocal found
        wanted, size = settings.eval.sequences, settings.eval.batch
        found = total(bits_of_shards(model, held_out, sequences=wanted, batch_size=size, precision=machine.autocast))
        return {"bits_per_byte": found.per_byte}

    def results(before: dict[str, float]) -> dict[str, Any]:
        own = 1.0 if mixed is None else 1 - settings.replay.share
        passes = own * settings.steps * settings.batch_tokens / seq_len / len(shards)
        batches = f"{settings.steps:,} steps of {settings.batch_tokens:,}, sequences of {seq_len:,}"
        return {
            "batch_tokens": settings.batch_tokens,
            "passes": passes,
            "replay_share": 1 - own,
            "data": str(settings.data),
            "data_tokens": shards.tokens,
            "bits_before": before["bits_per_byte"],
            "bits_after": found.per_byte,
            "bits_bytes": found.bytes,
            "told": [
                ["trained on", batches, ""],
                ["data", f"`{settings.data}`", f"{passes:.2f} passes over {shards.tokens:,} tokens"],
                ["held out", f"{found.bytes:,} bytes", "of the validation split; `evaluate bits` measures them again"],
            ],
        }

    return Job(
        model=model,
        shape=shape,
        adapter=adapter,
        tokenizer=settings.tokenizer,
        vocabulary=shards.vocab_size,
        samples=len(samples),
        order=order,
        collate=lambda sequences: batch(samples, sequences, rows),
        steps=settings.steps,
        micro_batch=micro_batch,
        accumulation=micro_steps,
        seq_len=seq_len,
        score=score,
        results=results,
        documents=samples.documents,
    )
