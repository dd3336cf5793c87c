"""The frame that every stage shares; a stage's own file is its settings, its data, its loss and what it logs.

    <out>/checkpoints/step-*   complete or absent (train.checkpoint)
    <out>/metrics.jsonl        a line a step
    <out>/curves.png, curves.html
    <out>/model/               the final model, safetensors, with its tokenizer and model card (lora, qlora: adapter/)
    <out>/manifest.json        settings, inputs, results; written last

A stage makes a ``Job`` and gives it to ``run_stage``, which claims the folder by the fingerprint of settings and
inputs, scores on held-out data, trains on ``train.trainer.Discipline``, scores again and closes. The same command does
nothing once the manifest stands, and goes on from the newest complete checkpoint until then.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from train import metrics, parallel
from train.checkpoint import CheckpointSettings
from train.curves import PANELS
from train.data import MicroBatches, Order
from train.lora import FOLDER, LoraSettings, add_adapter, check_tune, save_adapter
from train.model import save_model
from train.schedule import OptimSettings
from train.spikes import SpikeSettings, Watch
from workbench import manifest
from workbench.config import as_dict, at_least, section, setting
from workbench.console import note, progress
from workbench.errors import ConfigError, OutputError
from workbench.files import atomic_path, read_json

if TYPE_CHECKING:
    from train.meter import Shape

LAST_STEPS = 10  # the summary's last loss is their mean: one step's is noise
UNMARKED = (
    "out",
    "checkpoint",
    "plan",
    "report_to",
    "samples",
)  # they change no result: a run may be gone on with others


@dataclass(frozen=True)
class EvalSettings:
    """The score on held-out data: before, after, and during the run."""

    sequences: int | None = setting(None, "held-out samples to score, spread evenly; none: all", check=at_least(1))
    every: int | None = setting(None, "steps between scores during the run; none: before and after", check=at_least(1))
    batch: int = setting(8, "samples in a forward pass", check=at_least(1))


@dataclass(frozen=True, kw_only=True)
class RunSettings(ABC):
    """What every stage can be told."""

    out: Path
    seed: int = setting(0, "of the initial weights and the order of the data", check=at_least(0))
    precision: Literal["auto", "bf16", "fp16", "fp32"] = setting(
        "auto", "of the products; the weights stay fp32; auto: bf16 where the device computes in it, else fp32"
    )
    recompute: Literal["none", "full"] = setting("none", "full: keep each layer's input alone, a third more FLOPs")
    tune: Literal["full", "lora", "qlora"] = setting(
        "full", "all weights; or an adapter over frozen ones; qlora: those in 4 bits, needs bitsandbytes"
    )
    parallel: Literal["ddp", "fsdp2", "zero1", "zero2", "zero3"] = setting(
        "ddp", "several processes: what is divided among them (torchrun … -m train); zero needs deepspeed"
    )
    offload: bool = setting(False, "zero: moments, zero3 and fsdp2: weights too, in the host's memory")
    lora: LoraSettings = section(LoraSettings)
    report_to: tuple[Literal["tensorboard", "wandb", "swanlab"], ...] = setting((), "also send each row to these")
    optim: OptimSettings = section(OptimSettings)
    checkpoint: CheckpointSettings = section(CheckpointSettings)
    spikes: SpikeSettings = section(SpikeSettings)
    eval: EvalSettings = section(EvalSettings)

    @property
    @abstractmethod
    def weights(self) -> Path | None:
        """Where the model comes from; None for a fresh one."""


@dataclass(frozen=True)
class Machine:
    """What the run computes on."""

    device: Any
    precision: str  # bf16, fp16 or fp32
    home: Any  # where a model is put: the device, or the CPU where it is divided first

    @property
    def autocast(self) -> str:
        """The precision of a score: fp16 needs a loss scaler and is scored in bf16."""
        return "fp32" if self.precision == "fp32" else "bf16"


@dataclass(frozen=True, kw_only=True)
class Job:
    """What a stage brings to the frame."""

    model: Any
    shape: Shape
    adapter: Any  # None: all weights are trained
    tokenizer: Path  # the folder whose files go beside the model
    vocabulary: int
    samples: int
    order: Order
    collate: Callable[[list[int]], dict[str, Any]]
    steps: int
    micro_batch: int
    accumulation: int
    seq_len: int  # ids in a sample, for the count of FLOPs; a mean where they differ
    score: Callable[[], dict[str, float]]  # on held-out data; empty where there is none
    results: Callable[[dict[str, float]], dict[str, Any]]  # the stage's own, given the scores before; after the last
    documents: Callable[[int], list[str]]  # the ids of what is in a sample
    figures: dict[str, list[Any]] = field(default_factory=dict)  # scalars of the micro-steps beside the loss
    panels: Sequence[tuple[str, str]] = PANELS  # of the curves: keys of the metrics and their labels
    neftune: float | None = None
    chat_template: str | None = None  # jinja, laid beside the model, so that those who serve it take the right one


def run_stage(
    stage: str,
    settings: RunSettings,
    inputs: Sequence[dict[str, Any]],
    prepare: Callable[[Machine], Job],
    *,
    overwrite: bool = False,
) -> dict[str, Any]:
    """Run a stage in its folder.

    Args:
        stage: Its name.
        settings: The run's.
        inputs: What it is made from, for the manifest and for ``train lineage``.
        prepare: Makes the job; called once the folder is ours.
        overwrite: Replace a run of other settings in the same folder.

    Returns:
        The results that are in the manifest and in the summary.

    Raises:
        UserError: For settings, inputs or an output folder that cannot be.
        NotFinite: If the loss becomes NaN or infinite.
        KeyboardInterrupt: If a signal stopped it; a checkpoint was saved.
    """
    return claimed(stage, settings, inputs, lambda: _train(stage, settings, prepare), overwrite=overwrite)


def claimed(
    stage: str, settings: Any, inputs: Sequence[dict[str, Any]], work: Callable[[], dict[str, Any]], *, overwrite: bool
) -> dict[str, Any]:
    """Do the work of a run in its folder, unless it is done, and write the manifest after it; see ``run_stage``."""
    plain, mark = as_dict(settings), _mark(settings, inputs)
    with parallel.joined():
        if parallel.by_first(lambda: _claim(settings.out, mark, overwrite)) == "complete":
            return finished(settings, inputs) or {}
        results = {"stage": stage, **work()}

        def complete() -> None:
            files = [
                manifest.describe_file(path, settings.out)
                for path in sorted(settings.out.rglob("*"))
                if path.is_file() and "checkpoints" not in path.parts and path.name != manifest.UNFINISHED
            ]
            made = manifest.Manifest("run", mark, {"stage": stage, **plain}, inputs, files=files, results=results)
            manifest.write(settings.out, made)

        parallel.by_first(complete)
    return results


def finished(settings: Any, inputs: Sequence[dict[str, Any]]) -> dict[str, Any] | None:
    """Return the results of a run that is complete, and say so; None if it is not, or another's."""
    if not (settings.out / manifest.NAME).is_file():
        return None
    found = read_json(settings.out / manifest.NAME)
    if found.get("fingerprint") != _mark(settings, inputs):
        return None
    if parallel.first():
        note(f"{settings.out}: this run is complete, nothing to do")
    return dict(found["results"])


def _mark(settings: Any, inputs: Sequence[dict[str, Any]]) -> str:
    marked = {key: value for key, value in as_dict(settings).items() if key not in UNMARKED}
    return manifest.fingerprint("run", marked, inputs)


def check_run(stage: str, settings: RunSettings) -> None:
    """Refuse what cannot be tuned or divided.

    Raises:
        ConfigError: Naming the setting.
    """
    check_tune(settings.tune, settings)
    if settings.parallel != "ddp" or settings.offload:
        from train.sharded import check

        check(stage, settings)


def weights_inputs(weights: Path | None, *, adapter: bool = False) -> list[dict[str, Any]]:
    """Return a manifest's inputs of the weights: a run by its fingerprint, so that lineage walks on, or the files."""
    if weights is None:
        return []
    if (weights / manifest.NAME).is_file():
        return [{"path": str(weights), "fingerprint": read_json(weights / manifest.NAME)["fingerprint"]}]
    from eval.models import model_folder

    folder = weights if adapter and any(weights.rglob("adapter_config.json")) else model_folder(weights)
    return [manifest.describe_file(path) for path in sorted(folder.rglob("*.safetensors"))]


def tuned(settings: RunSettings, model: Any, vocabulary: int, *, task: str = "CAUSAL_LM") -> tuple[Shape, Any]:
    """Put the adapter that ``tune`` asks for into a model.

    Returns:
        The shape for the count of FLOPs, and PEFT's wrapper, None if all weights are trained.
    """
    from train.meter import shape_of

    shape = shape_of(model)
    if settings.tune == "full":
        return shape, None
    from eval.models import model_folder

    assert settings.weights is not None
    adapter = add_adapter(model, settings.lora, model_folder(settings.weights), vocabulary, task)
    return replace(shape, frozen=shape.parameters - shape.input_embedding), adapter


@contextmanager
def scoring(model: Any, machine: Machine) -> Iterator[None]:
    """Within it the model is in evaluation mode, makes no gradients, and computes as in training."""
    import torch

    was_training = model.training
    model.eval()
    try:
        bf16 = machine.autocast == "bf16"
        with torch.no_grad(), torch.autocast(machine.device.type, torch.bfloat16, enabled=bf16):
            yield
    finally:
        model.train(was_training)


def _claim(out: Path, mark: str, overwrite: bool) -> str:
    try:
        return manifest.claim(out, "run", mark, overwrite=overwrite)
    except OutputError as error:
        raise OutputError(error.place, error.found, error.remedy.replace("another --out", "another out=")) from error


def _train(stage: str, settings: RunSettings, prepare: Callable[[Machine], Job]) -> dict[str, Any]:
    import torch
    from transformers.utils.logging import disable_progress_bar

    from eval.models import default_device
    from train import sharded
    from train.arguments import training_arguments
    from train.checkpoint import newest_complete, step_of
    from train.curves import draw
    from train.meter import Meter
    from train.trainer import Discipline, Run

    disable_progress_bar()  # a bar a file of weights says nothing
    sharded.tell_deepspeed()
    out, device, first = settings.out, default_device(), parallel.first()
    precision, kind = precision_on(settings.precision, device), settings.parallel
    job = prepare(machine := Machine(device, precision, device if kind == "ddp" else torch.device("cpu")))

    def begin() -> tuple[Path | None, bool]:
        done = newest_complete(out)
        sharded.check_world(done, kind)
        if lost := metrics.trim(out, -1 if done is None else step_of(done)):
            note(f"{lost} steps after the last checkpoint are done again")
        return done, done is None or not metrics.read(out)

    done, unscored = parallel.by_first(begin)
    if kind == "fsdp2":
        sharded.divide(job.model, device.type, precision, settings.offload)
    book = metrics.Metrics(out) if first else metrics.Silent()
    cpu = f"cpu, {torch.get_num_threads()} threads"
    name = cpu if device.type == "cpu" else torch.get_device_module().get_device_name()
    arguments = training_arguments(
        out,
        steps=job.steps,
        micro_batch=job.micro_batch,
        accumulation=job.accumulation,
        precision=machine.precision,
        seed=settings.seed,
        optim=settings.optim,
        recompute=settings.recompute,
        report_to=settings.report_to if first else (),
        neftune=job.neftune,
        divided=sharded.arguments(kind, precision, settings.offload, settings.optim.grad_clip or 0.0),
    )
    with progress("train", job.steps, "steps") if first else nullcontext(NoBar()) as bar:
        bar.advance(0 if done is None else step_of(done))
        try:
            trainer = Discipline(model=job.model, args=arguments, train_dataset=range(job.samples))
        except (ImportError, RuntimeError) as error:
            if not settings.report_to:
                raise
            found = f"{', '.join(settings.report_to)} cannot be used ({str(error).splitlines()[0]})"
            raise ConfigError("report_to", found, "pip install it, or leave it out") from error
        total, world = job.steps * job.accumulation, parallel.world()
        trainer.attach(
            Run(
                folder=out,
                steps=job.steps,
                samples=job.samples,
                collate=job.collate,
                micro_batches=MicroBatches(
                    job.order, size=job.micro_batch, total=total, rank=parallel.rank(), world=world
                ),
                optim=settings.optim,
                checkpoints=settings.checkpoint,
                meter=Meter(job.shape, job.seq_len, devices=world, device_name=name),
                metrics=book,
                bar=bar,
                score=job.score,
                score_every=settings.eval.every,
                watch=Watch(settings.spikes),
                trained_only=job.adapter is not None,
                documents=job.documents,
                figures=job.figures,
                kind=kind,
                unscored=unscored,
            )
        )
        try:
            trainer.go(done)
        finally:
            book.close()
    if trainer.stopped_by and trainer.state.global_step < job.steps:
        if first:
            draw(out, job.panels)
        raise KeyboardInterrupt
    about = {"precision": machine.precision, "device": name, "devices": world}
    after, weights = trainer.score(), sharded.gathered(job.model, kind)
    return parallel.by_first(lambda: _close(stage, settings, job, after, weights, about))


def _close(
    stage: str, settings: RunSettings, job: Job, after: dict[str, float], weights: Any, about: dict[str, Any]
) -> dict[str, Any]:
    """Write the last scores and the final model, and return the results."""
    out, model, steps = settings.out, job.model, metrics.read(settings.out)
    before = {key: value for key, value in steps[0].items() if key not in ("step", "tokens", "events")}
    if "lr" in steps[-1]:  # else an earlier process came as far as this
        book = metrics.Metrics(out)
        book.write({"step": job.steps, "tokens": steps[-1]["tokens"], **after})
        book.close()
    results = {
        "stage": stage,
        **_speed(steps),
        "steps": job.steps,
        "seq_len": job.seq_len,
        "scores": {name: [before.get(name), value] for name, value in after.items()},
        "vocabulary": job.vocabulary,
        **about,
        **job.results(before),
    }
    ends = (job.adapter, job.tokenizer, job.chat_template, job.panels)
    return write_run(settings, results, model, *ends, weights=weights)


def write_run(
    settings: Any,
    results: dict[str, Any],
    model: Any,
    adapter: Any,
    tokenizer: Path,
    template: str | None,
    panels: Sequence[tuple[str, str]],
    beside: Callable[[Path], None] = lambda folder: None,
    weights: Any = None,
) -> dict[str, Any]:
    """Draw the curves and write the final model of a run; returns its results with what is said of the model.

    Args:
        settings: The run's.
        results: What the stage has to say.
        model: The trained model.
        adapter: PEFT's wrapper around it; None: all weights were trained.
        tokenizer: The folder whose files go beside it.
        template: The chat template that it was trained in.
        panels: Of the curves.
        beside: Writes what else belongs to the model into its folder.
        weights: The gathered weights of a model that was divided; None: the model has them.
    """
    from train.curves import draw
    from train.curves_html import NAME, write_html
    from train.sharded import numel
    from train.summary import write_card

    out, parameters = settings.out, list(model.parameters())
    results = {
        **results,
        "parameters": sum(map(numel, parameters)),
        "trained_parameters": sum(numel(parameter) for parameter in parameters if parameter.requires_grad),
        "rows": model.get_input_embeddings().num_embeddings,
        "family": model.config.model_type,
        "started_from": str(settings.model.weights or "fresh weights"),
        "name": out.name,
        "model": str(out / ("model" if adapter is None else FOLDER)),
        "curves": str(draw(out, panels)),
    }
    write_html([out], out / NAME, panels)
    with atomic_path(Path(results["model"])) as temporary:
        if adapter is None:
            temporary.mkdir()
            save_model(model, temporary, tokenizer, weights)
            write_card(temporary, results)
        else:
            save_adapter(adapter, temporary, tokenizer)
        if template is not None:
            (temporary / "chat_template.jinja").write_text(template, encoding="utf-8")
        beside(temporary)
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


class NoBar:
    """The progress of a process that is not the first."""

    def advance(self, amount: float = 1, text: str | None = None) -> None:
        """Show nothing: another process does."""


def precision_on(wanted: str, device: Any) -> str:
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
