"""Stage pt: pre-training on token shards, fresh or continued. Data, loss, and what becomes of the run's folder.

    <out>/checkpoints/step-*   complete or absent (train.checkpoint)
    <out>/metrics.jsonl        a line a step
    <out>/curves.png, curves.html
    <out>/model/               the final model, safetensors, with its tokenizer and model card
    <out>/manifest.json        settings, inputs, results; written last

The same command does nothing once that stands, and goes on from the newest complete checkpoint until then. Cost of the
tiny-cpu recipe: four minutes on two cores.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from tokenizer.shards import TokenShards
from train import metrics, parallel
from train.checkpoint import CheckpointSettings
from train.data import MicroBatches, Order, accumulation, check_enough
from train.lora import FOLDER, LoraSettings, add_adapter, check_tune, save_adapter
from train.model import ModelSettings, check_shape, check_tokenizer, make_model, save_model
from train.plan import PlanSettings
from train.replay import Mixed, MixedOrder, ReplaySettings
from train.schedule import OptimSettings
from train.spikes import SpikeSettings, Watch
from workbench import manifest
from workbench.config import as_dict, at_least, section, setting
from workbench.console import note, progress
from workbench.errors import ConfigError, OutputError
from workbench.files import atomic_path, read_json, sha256_file

if TYPE_CHECKING:
    from eval.bits import Bits

TOKENS_BY = "tokenizer pack CORPUS --tokenizer DIR --out DIR"
LAST_STEPS = 10  # the summary's last loss is their mean: one step's is noise
UNMARKED = (
    "out",
    "checkpoint",
    "plan",
    "report_to",
)  # settings that change no result: a run may be gone on with others


@dataclass(frozen=True)
class EvalSettings:
    """Bits per byte of the validation split: before, after, and during the run."""

    sequences: int | None = setting(None, "sequences to score, spread evenly; none: all", check=at_least(1))
    every: int | None = setting(None, "steps between scores during the run; none: before and after", check=at_least(1))
    batch: int = setting(8, "sequences in a forward pass", check=at_least(1))


@dataclass(frozen=True)
class PtSettings:
    """Everything about a pre-training run."""

    data: Path = setting(doc="the folder of token shards: tokenizer pack makes one")
    tokenizer: Path = setting(doc="the tokenizer folder that packed them: tokenizer extend makes one")
    out: Path = setting(Path("data/runs/pt"), "the run's folder")
    seed: int = setting(0, "of the initial weights and the order of the data", check=at_least(0))
    steps: int = setting(1000, "optimizer steps", check=at_least(1))
    batch_tokens: int = setting(524288, "tokens a step on all devices together", check=at_least(1))
    micro_batch: int | None = setting(1, "sequences a device at once; none: the whole batch", check=at_least(1))
    precision: Literal["auto", "bf16", "fp16", "fp32"] = setting(
        "auto", "of the products; the weights stay fp32; auto: bf16 where the device computes in it, else fp32"
    )
    recompute: Literal["none", "full"] = setting("none", "full: keep each layer's input alone, a third more FLOPs")
    tune: Literal["full", "lora", "qlora"] = setting("full", "all weights, or an adapter over frozen ones")
    parallel: Literal["ddp", "fsdp2", "zero1", "zero2", "zero3"] = setting("ddp", "several devices; today ddp alone")
    model: ModelSettings = section(ModelSettings)
    lora: LoraSettings = section(LoraSettings)
    report_to: tuple[Literal["tensorboard", "wandb", "swanlab"], ...] = setting((), "also send each row to these")
    replay: ReplaySettings = section(ReplaySettings)
    optim: OptimSettings = section(OptimSettings)
    checkpoint: CheckpointSettings = section(CheckpointSettings)
    spikes: SpikeSettings = section(SpikeSettings)
    eval: EvalSettings = section(EvalSettings)
    plan: PlanSettings = section(PlanSettings)


def train_pt(settings: PtSettings, *, overwrite: bool = False) -> dict[str, Any]:
    """Run the stage.

    Args:
        settings: The run's.
        overwrite: Replace a run of other settings in the same folder.

    Returns:
        The results that are in the manifest and in the summary.

    Raises:
        UserError: For settings, inputs or an output folder that cannot be.
        NotFinite: If the loss becomes NaN or infinite.
        KeyboardInterrupt: If a signal stopped it; a checkpoint was saved.
    """
    check_shape(settings.model)
    check_tune(settings.tune, settings.model)
    if settings.parallel != "ddp":
        found = f"{settings.parallel} is counted by --plan, but cannot be run in this version"
        raise ConfigError("parallel", found, "use parallel=ddp under torchrun")
    tokens = manifest.read(settings.data, "tokens", TOKENS_BY)
    shards = TokenShards.open(settings.data, "train")
    held_out = TokenShards.open(settings.data, "validation")
    check_tokenizer(settings.tokenizer, shards)
    check_enough(len(shards), shards.seq_len, settings.batch_tokens, settings.data)
    if not len(held_out):
        raise ConfigError("data", f"{settings.data} has an empty validation split", "pack it with a validation share")
    replayed = settings.replay.data and TokenShards.open(settings.replay.data, "train")
    mixed = Mixed(shards, replayed) if replayed else None
    inputs = _inputs(settings, tokens)
    plain = as_dict(settings)
    mark = manifest.fingerprint("run", {k: v for k, v in plain.items() if k not in UNMARKED}, inputs)
    with parallel.joined():
        if parallel.by_first(lambda: _claim(settings.out, mark, overwrite)) == "complete":
            if parallel.first():
                note(f"{settings.out}: this run is complete, nothing to do")
            return dict(manifest.read(settings.out, "run", "train stage=pt").results)
        results = _train(settings, shards, mixed, held_out)
        parallel.by_first(lambda: _complete(settings, mark, plain, inputs, results))
    return results


def _complete(
    settings: PtSettings, mark: str, plain: dict[str, Any], inputs: list[dict[str, Any]], results: dict[str, Any]
) -> None:
    files = [
        manifest.describe_file(path, settings.out)
        for path in sorted(settings.out.rglob("*"))
        if path.is_file() and "checkpoints" not in path.parts and path.name != manifest.UNFINISHED
    ]
    manifest.write(
        settings.out, manifest.Manifest("run", mark, {"stage": "pt", **plain}, inputs, files=files, results=results)
    )


def _inputs(settings: PtSettings, tokens: manifest.Manifest) -> list[dict[str, Any]]:
    """What the run is made from: folders with manifests by their fingerprint, so that ``train lineage`` walks on."""
    tokenizer = manifest.read(settings.tokenizer, "tokenizer", "tokenizer extend --add zh7k --out DIR")
    inputs = [
        {"path": str(settings.data), "fingerprint": tokens.fingerprint},
        {
            "path": str(settings.tokenizer),
            "fingerprint": tokenizer.fingerprint,
            "sha256": sha256_file(settings.tokenizer / "tokenizer.model"),
        },
    ]
    if settings.replay.data is not None:
        replayed = manifest.read(settings.replay.data, "tokens", TOKENS_BY)
        inputs.append({"path": str(settings.replay.data), "fingerprint": replayed.fingerprint})
    weights = settings.model.weights
    if weights is not None and (weights / manifest.NAME).is_file():
        inputs.append({"path": str(weights), "fingerprint": read_json(weights / manifest.NAME)["fingerprint"]})
    elif weights is not None:
        from eval.models import model_folder

        inputs += [manifest.describe_file(path) for path in sorted(model_folder(weights).glob("*.safetensors"))]
    return inputs


def _claim(out: Path, mark: str, overwrite: bool) -> str:
    try:
        return manifest.claim(out, "run", mark, overwrite=overwrite)
    except OutputError as error:
        raise OutputError(error.place, error.found, error.remedy.replace("another --out", "another out=")) from error


def _train(settings: PtSettings, shards: TokenShards, mixed: Mixed | None, held_out: TokenShards) -> dict[str, Any]:
    import torch

    from eval.bits import bits_of_shards, total
    from eval.models import default_device, model_folder
    from eval.packing import batch
    from train.arguments import training_arguments
    from train.checkpoint import newest_complete, step_of
    from train.curves import draw
    from train.loss import use_chunked_loss
    from train.meter import Meter, shape_of
    from train.metrics import Metrics, Silent
    from train.trainer import Discipline, Run

    device = default_device()
    precision = _precision(settings.precision, device)
    world = parallel.world()
    micro_batch = settings.micro_batch or max(1, settings.batch_tokens // shards.seq_len // world)
    micro_steps = accumulation(settings.batch_tokens, shards.seq_len, micro_batch, world)
    model = make_model(settings.model, shards, settings.seed).to(device)

    def score() -> Bits:
        autocast = "fp32" if precision == "fp32" else "bf16"
        wanted, size = settings.eval.sequences, settings.eval.batch
        return total(bits_of_shards(model, held_out, sequences=wanted, batch_size=size, precision=autocast))

    rows = model.get_input_embeddings().num_embeddings
    shape, adapter = shape_of(model), None
    if settings.tune == "lora":
        assert settings.model.weights is not None
        adapter = add_adapter(model, settings.lora, model_folder(settings.model.weights), shards.vocab_size)
        shape = replace(shape, frozen=shape.parameters - shape.input_embedding)
    use_chunked_loss(model)

    def begin() -> tuple[Path | None, float]:
        done = newest_complete(settings.out)
        if lost := metrics.trim(settings.out, -1 if done is None else step_of(done)):
            note(f"{lost} steps after the last checkpoint are done again")
        if done is None or not metrics.read(settings.out):
            before = score().per_byte
            book = Metrics(settings.out)
            book.write({"step": 0, "tokens": 0, "bits_per_byte": before})
            book.close()
        return done, float(metrics.read(settings.out)[0]["bits_per_byte"])

    done, before = parallel.by_first(begin)
    book = Metrics(settings.out) if parallel.first() else Silent()
    name = (
        torch.get_device_module().get_device_name()
        if device.type != "cpu"
        else f"cpu, {torch.get_num_threads()} threads"
    )
    arguments = training_arguments(
        settings.out,
        steps=settings.steps,
        micro_batch=micro_batch,
        accumulation=micro_steps,
        precision=precision,
        seed=settings.seed,
        optim=settings.optim,
        recompute=settings.recompute,
        report_to=settings.report_to if parallel.first() else (),
    )
    order, samples = Order(len(shards), settings.seed), mixed or shards
    if mixed is not None:
        order = MixedOrder(len(shards), len(mixed.replayed), settings.replay.share, settings.seed)
    with progress("train", settings.steps, "steps") if parallel.first() else nullcontext(_NoBar()) as bar:
        bar.advance(0 if done is None else step_of(done))
        try:
            trainer = Discipline(model=model, args=arguments, train_dataset=shards)
        except (ImportError, RuntimeError) as error:
            if not settings.report_to:
                raise
            found = f"{', '.join(settings.report_to)} cannot be used ({str(error).splitlines()[0]})"
            raise ConfigError("report_to", found, "pip install it, or leave it out") from error
        trainer.attach(
            Run(
                folder=settings.out,
                steps=settings.steps,
                samples=len(samples),
                collate=lambda sequences: batch(samples, sequences, rows),
                micro_batches=MicroBatches(
                    order, size=micro_batch, total=settings.steps * micro_steps, rank=parallel.rank(), world=world
                ),
                optim=settings.optim,
                checkpoints=settings.checkpoint,
                meter=Meter(shape, shards.seq_len, devices=world, device_name=name),
                metrics=book,
                bar=bar,
                batch_tokens=settings.batch_tokens,
                score=lambda: score().per_byte,
                score_every=settings.eval.every,
                watch=Watch(settings.spikes),
                trained_only=adapter is not None,
                documents=samples.documents,
            )
        )
        try:
            trainer.go(done)
        finally:
            book.close()
    if trainer.stopped_by and trainer.state.global_step < settings.steps:
        if parallel.first():
            draw(settings.out)
        raise KeyboardInterrupt
    settings = replace(settings, precision=precision)
    return parallel.by_first(lambda: _close(settings, shards, model, adapter, score(), before, name))


def _close(
    settings: PtSettings, shards: TokenShards, model: Any, adapter: Any, found: Bits, before: float, device: str
) -> dict[str, Any]:
    """Score, write the final model, draw, and return the results."""
    from train.curves import draw
    from train.curves_html import NAME, write_html
    from train.metrics import Metrics

    rows = model.get_input_embeddings().num_embeddings
    own = 1.0 if settings.replay.data is None else 1 - settings.replay.share
    steps = metrics.read(settings.out)
    if "lr" in steps[-1]:  # else an earlier process came as far as this
        book = Metrics(settings.out)
        book.write({"step": settings.steps, "tokens": steps[-1]["tokens"], "bits_per_byte": found.per_byte})
        book.close()
    results = {
        **_speed(steps),
        "steps": settings.steps,
        "batch_tokens": settings.batch_tokens,
        "seq_len": shards.seq_len,
        "passes": own * settings.steps * settings.batch_tokens / shards.seq_len / len(shards),
        "replay_share": 1 - own,
        "data": str(settings.data),
        "data_tokens": shards.tokens,
        "bits_before": before,
        "bits_after": found.per_byte,
        "bits_bytes": found.bytes,
        "parameters": sum(parameter.numel() for parameter in model.parameters()),
        "trained_parameters": sum(parameter.numel() for parameter in model.parameters() if parameter.requires_grad),
        "vocabulary": shards.vocab_size,
        "rows": rows,
        "family": model.config.model_type,
        "started_from": str(settings.model.weights or "fresh weights"),
        "precision": settings.precision,
        "device": device,
        "devices": parallel.world(),
        "name": settings.out.name,
        "model": str(settings.out / ("model" if adapter is None else FOLDER)),
        "curves": str(draw(settings.out)),
    }
    write_html([settings.out], settings.out / NAME)
    if adapter is None:
        _finish(settings, model, results)
    else:
        with atomic_path(settings.out / FOLDER) as temporary:
            save_adapter(adapter, temporary, settings.tokenizer)
    return results


def _speed(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """The figures of the whole run, from its metrics: the speed is all tokens over all seconds."""
    steps = [row for row in rows if "lr" in row]
    last = steps[-1]
    tail = [row["loss"] for row in steps[-LAST_STEPS:]]
    speed = last["tokens"] / last["seconds"]
    return {
        "loss_first": steps[0]["loss"],
        "loss_last": sum(tail) / len(tail),
        "loss_last_steps": len(tail),
        "tokens": last["tokens"],
        "seconds": last["seconds"],
        "tokens_per_second": speed,
        "tflops": last["tflops"] * speed / last["tokens_per_second"],
        "mfu": last["mfu"] and last["mfu"] * speed / last["tokens_per_second"],
        "data_wait": sum(row["data_wait"] for row in steps) / len(steps),
    }


class _NoBar:
    def advance(self, amount: float = 1, text: str | None = None) -> None:
        """Show nothing: another process does."""


def _finish(settings: PtSettings, model: Any, results: Mapping[str, Any]) -> None:
    from train.summary import write_card

    with atomic_path(settings.out / "model") as temporary:
        temporary.mkdir()
        save_model(model, temporary, settings.tokenizer)
        write_card(temporary, results)


def _precision(wanted: str, device: Any) -> Any:
    """Return the precision of the products on a device."""
    from eval.models import computes_in_bf16

    if wanted == "fp16" and device.type == "cpu":
        found = (
            "fp16 on a CPU is emulated, some 20 times slower than bf16, and transformers would run fp32 without a word"
        )
        raise ConfigError("precision", found, "use precision=auto")
    fast = computes_in_bf16(device)
    if wanted == "bf16" and not fast and parallel.first():
        note(f"precision: this {device.type} emulates bf16, up to 80 times slower than fp32; precision=auto would not")
    return ("bf16" if fast else "fp32") if wanted == "auto" else wanted
