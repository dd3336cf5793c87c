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

from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from eval import parallel
from eval.device import Machine
from eval.models import ADAPTER, whole_model
from train.job import Job, RunSettings
from train.lora import add_adapter, check_tune, save_adapter
from train.model import compile_layers, save_model
from workbench import manifest
from workbench.config import as_dict
from workbench.console import note, progress
from workbench.errors import ConfigError
from workbench.files import atomic_path, read_json
from workbench.runs import metrics, summary

if TYPE_CHECKING:
    from workbench.model_size import Shape

# they change no result: a run may be gone on with others
UNMARKED = ("out", "checkpoint", "plan", "report_to", "samples")


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

    def claim() -> str:
        return manifest.claim(settings.out, "run", mark, overwrite=overwrite, option="out=")

    with parallel.joined():
        if parallel.by_first(claim) == "complete":
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


def check_run(stage: str, settings: RunSettings, weights: Path | None) -> None:
    """Refuse what cannot be tuned or divided.

    Raises:
        ConfigError: Naming the setting.
        InputError: If the weights are no model, or quantised.
    """
    check_tune(settings.tune, weights)
    if settings.compile and settings.parallel != "ddp":
        found = f"compiled layers are not divided by {settings.parallel}: that was not tried"
        raise ConfigError("compile", found, "use parallel=ddp, or leave compile out")
    if settings.parallel != "ddp" or settings.offload:
        from train.sharded import check

        check(stage, settings)
    if weights is not None:
        whole_model(weights)


def tuned(
    settings: RunSettings, model: Any, vocabulary: int, weights: Path | None, *, task: str = "CAUSAL_LM"
) -> tuple[Shape, Any]:
    """Put the adapter that ``tune`` asks for into a model.

    Returns:
        The shape for the count of FLOPs, and PEFT's wrapper, None if all weights are trained.
    """
    from train.meter import shape_of

    shape = shape_of(model)
    if settings.tune == "full":
        return shape, None
    from eval.models import model_folder

    assert weights is not None
    adapter = add_adapter(model, settings.lora, model_folder(weights), vocabulary, task)
    return replace(shape, frozen=shape.parameters - shape.input_embedding), adapter


def _train(stage: str, settings: RunSettings, prepare: Callable[[Machine], Job]) -> dict[str, Any]:
    from transformers.utils.logging import disable_progress_bar

    from train import sharded
    from train.checkpoint import newest_complete, step_of
    from train.trainer import Discipline

    disable_progress_bar()  # a bar a file of weights says nothing
    out, first, kind = settings.out, parallel.first(), settings.parallel
    machine = Machine.of(settings.precision, divided=kind != "ddp")
    job = prepare(machine)
    if settings.compile:
        compile_layers(job.model)

    def begin() -> tuple[Path | None, bool]:
        done = newest_complete(out)
        sharded.check_world(done, kind)
        if lost := metrics.trim(out, -1 if done is None else step_of(done)):
            note(f"{lost} steps after the last checkpoint are done again")
        return done, done is None or not metrics.read(out)

    done, unscored = parallel.by_first(begin)
    if kind == "fsdp2":
        sharded.divide(job.model, machine.device.type, machine.precision, settings.offload)
    book = metrics.Metrics(out, writes=first)
    with closing(book), progress("train", job.steps, "steps", shown=first) as bar:
        bar.advance(0 if done is None else step_of(done))
        trainer = Discipline(settings, job, machine, book, bar, unscored=unscored)
        trainer.go(done)
    if trainer.stopped_by and trainer.state.global_step < job.steps:
        interrupted(out, job.panels)
    after, weights = trainer.score(), sharded.gathered(job.model, kind)
    return parallel.by_first(lambda: _close(stage, settings, job, after, weights, machine.about))


def interrupted(out: Path, panels: Sequence[tuple[str, str]]) -> NoReturn:
    """Leave a run that was asked to stop, with its curves as they stand.

    Raises:
        KeyboardInterrupt: Always.
    """
    from workbench.runs.curves import draw

    if parallel.first():
        draw(out, panels)
    raise KeyboardInterrupt


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
        **summary.speed(steps),
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
    from eval.quantised import whole_size
    from workbench.runs.curves import draw
    from workbench.runs.curves_html import NAME, write_html
    from workbench.runs.summary import write_card

    out, parameters = settings.out, list(model.parameters())
    results = {
        **results,
        "parameters": sum(map(whole_size, parameters)),
        "trained_parameters": sum(whole_size(parameter) for parameter in parameters if parameter.requires_grad),
        "rows": model.get_input_embeddings().num_embeddings,
        "family": model.config.model_type,
        "started_from": str(settings.model.weights or "fresh weights"),
        "name": out.name,
        "model": str(out / ("model" if adapter is None else ADAPTER)),
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
