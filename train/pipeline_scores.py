"""What each stage of a pipeline changed: its model beside the one before it, on the same held-out items.

All models are scored on one sheet: the validation text of pt, the held-out questions of sft, of rm or dpo, and answers
to the latter's prompts, which the pipeline's reward model judges at the end (``eval.stage_scores``). What a model
scored is kept in ``scores/``, so that an interrupted pipeline measures nothing twice. Cost: seconds a stage.
"""

from __future__ import annotations

from dataclasses import asdict
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from eval.stage_scores import Change, Scored, Sheet, changes, multiple_choice, score
from workbench import manifest
from workbench.config import as_dict
from workbench.console import note
from workbench.files import make_folder, read_json, write_json, write_text

if TYPE_CHECKING:
    from tokenizer.dialogues import Material
    from train.pipeline import Pipeline, Step

FOLDER, START, PAGE = "scores", "00-start", "pipeline.html"
MATERIAL = ("data", "template", "window", "held_out", "min_jaccard")  # settings that say what is held out


class Scoring:
    """Scores models as they are made, each once."""

    def __init__(self, plan: Pipeline) -> None:
        """Look at nothing yet."""
        self.plan, self.settings, self.first = plan, plan.loaded.value, plan.steps[0]
        self.folder = self.settings.out / FOLDER
        self.scored: dict[str, Scored] = {}  # of each policy, in order
        self.changed: dict[str, list[Change]] = {}

    def after(self, step: Step) -> None:
        """Score what a stage made, and say what it changed."""
        if not self.scored:
            self._of(START, None, str(self.first.loaded.value.model.weights))
        if not step.makes_policy:
            self.changed[step.name] = _accuracy(step)
            write_json(self.folder / f"{step.name}.json", {"changed": self._told(step)})
        else:
            before = list(self.scored.values())[-1]
            mark = read_json(step.run / manifest.NAME)["fingerprint"]
            found = self._of(step.name, step.weights, mark)
            self.changed[step.name] = changes(before.items, found.items)
            kept = read_json(self.folder / f"{step.name}.json")
            write_json(self.folder / f"{step.name}.json", {**kept, "changed": self._told(step)})
        for one in self.changed[step.name]:
            note(f"{step.name}: {one.score} {_number(one.before)} → {_number(one.after)}, {one.verdict}")

    def _told(self, step: Step) -> list[dict[str, Any]]:
        return [one.as_dict() for one in self.changed[step.name]]

    def _of(self, name: str, weights: Path | None, of: str) -> Scored:
        """Return a model's scores: those on disk, if they are of it and of this sheet."""
        path = self.folder / f"{name}.json"
        told = {key: value for key, value in as_dict(self.settings).items() if key not in ("out", "pipeline")}
        sets = {s.stage.name: [getattr(s.loaded.value, k, None) for k in MATERIAL] for s in self.plan.steps}
        kinds = {key: sets[key] for key in ("pt", "sft", "rm", "dpo") if key in sets}
        first = as_dict(self.first.loaded.value)
        mark = manifest.fingerprint("score", [told, str(kinds), first["model"], first["seed"], of], self.files)
        kept = read_json(path) if path.is_file() else {}
        if kept.get("mark") != mark:
            note(f"{name}: scoring")
            found = score(self._open(weights), self.chat.tokenizer, self.sheet)
            kept = {"mark": mark, **asdict(found)}
            make_folder(self.folder)
            write_json(path, kept)
        self.scored[name] = Scored(kept["items"], kept["answers"])
        return self.scored[name]

    @cached_property
    def files(self) -> list[dict[str, Any]]:
        """The files whose rows are held out, with their digests."""
        from tokenizer.dialogues import files_of

        sets = [s.loaded.value.data for s in self.plan.steps if s.stage.name in ("sft", "rm", "dpo")]
        return [manifest.describe_file(path) for words in sets for path in files_of(words)]

    def _open(self, weights: Path | None) -> Any:
        from eval.models import default_device, load_model
        from train.model import make_model

        settings = self.first.loaded.value
        if weights is None and settings.model.weights is None:
            return make_model(settings.model, self.shards("train"), settings.seed).to(default_device()).eval()
        return load_model(weights or settings.model.weights).float()

    def shards(self, split: str) -> Any:
        """Return the tokens of pt."""
        from tokenizer.shards import TokenShards

        return TokenShards.open(self.first.loaded.value.data, split)

    @cached_property
    def tokenizer(self) -> Path:
        """The folder of the tokenizer that all stages share."""
        from eval.models import model_folder

        settings = self.first.loaded.value
        found: Path = settings.tokenizer or model_folder(settings.model.weights)
        return found

    @cached_property
    def chat(self) -> Any:
        """That tokenizer."""
        from tokenizer.chat.encode import load

        return load(self.tokenizer)

    @cached_property
    def sheet(self) -> Sheet:
        """What all models are scored on."""
        from eval.bits import choose
        from tokenizer.chat.encode import encode_prompt, find_template, render
        from tokenizer.prompts import Prompt, end_of

        own, most = self.settings, self.settings.items
        steps = {step.stage.name: step.loaded.value for step in self.plan.steps}
        given: dict[str, Any] = {"sequences": most, "max_new": own.max_new, "seed": own.seed}
        named = [s.template for s in steps.values() if getattr(s, "template", "own") != "own"]
        template = find_template(named[0] if named else "own", self.chat) if len(steps) > ("pt" in steps) else None

        def held(name: str) -> Material:
            from tokenizer.dialogues import read_material

            how: dict[str, Any] = {
                key: getattr(steps[name], key) for key in MATERIAL if key not in ("data", "template")
            }
            form = template.name if template is not None else "own"
            return read_material(steps[name].data, name, tokenizer=self.tokenizer, template=form, **how)

        if "pt" in steps:
            given["tokens"] = self.shards("validation")
        if "sft" in steps:
            rows = held("sft")
            some = [rows.held_out[n] for n in choose(len(rows.held_out), most).tolist()]
            given |= {"dialogues": rows.dialogues(some), "window": steps["sft"].window}
        if (paired := next((name for name in ("rm", "dpo") if name in steps), None)) and template is not None:
            rows = held(paired)
            some = [rows.held_out[n] for n in choose(len(rows.held_out), most).tolist()]
            given["pairs"] = rows.pairs(some)
            texts: dict[str, Any] = {}
            for pair in given["pairs"]:
                turns, tools = pair.row.prompt, pair.row.tools
                text = "".join(p.text for p in render(turns, template, tools, specials=self.chat.specials, ask=True))
                texts.setdefault(text, encode_prompt(self.chat, turns, template, tools))
            asked = [Prompt(text, tuple(ids.tolist())) for text, ids in texts.items()]
            given["prompts"] = [asked[n] for n in choose(len(asked), own.prompts).tolist()]
            given["end"] = self.chat.id_of(end_of(self.chat, template, self.tokenizer))
        if own.mc is not None:
            given["choices"] = multiple_choice(own.mc, most)
        return Sheet(**given)


def _accuracy(step: Step) -> list[Change]:
    """Return a reward model's accuracy on held-out pairs, as a change from a coin's throw."""
    from train.rm import REPORT

    found = read_json(step.run / REPORT)["all"]
    if not found["n"]:
        return []
    apart = [value - 0.5 for value in (found["accuracy"], *found["interval"])]
    return [Change("accuracy", found["n"], 0.5, found["accuracy"], *apart)]


def close(plan: Pipeline, scoring: Scoring) -> dict[str, Any]:
    """Let the reward model judge all answers, write the page, and return the results."""
    from eval.stage_page import stage_page

    judge = next((step for step in plan.steps if not step.makes_policy), None)
    if judge is not None and scoring.sheet.prompts:
        _judge(judge, scoring)
        names = list(scoring.scored)
        for before, name in zip(names[:-1], names[1:], strict=True):
            scoring.changed[name] = changes(scoring.scored[before].items, scoring.scored[name].items)
            kept = read_json(scoring.folder / f"{name}.json")
            told = [one.as_dict() for one in scoring.changed[name]]
            write_json(scoring.folder / f"{name}.json", {**kept, "changed": told})
    stages = {step.name: (step.stage.chinese, step.stage.doc) for step in plan.steps}
    answers = {
        name: [scoring.chat.tokenizer.decode(ids) for ids in found.answers[:4]]
        for name, found in scoring.scored.items()
    }
    asked = [prompt.text for prompt in scoring.sheet.prompts[:4]]
    page = scoring.settings.out / PAGE
    write_text(page, stage_page(stages, scoring.changed, asked, answers))
    return {
        "pipeline": list(scoring.settings.pipeline),
        "stages": {name: [one.as_dict() for one in found] for name, found in scoring.changed.items()},
        "page": str(page),
    }


def _judge(judge: Step, scoring: Scoring) -> None:
    from transformers import AutoTokenizer

    from eval.models import default_device
    from eval.scorer import make_reward

    own = AutoTokenizer.from_pretrained(scoring.tokenizer, local_files_only=True)
    reward = make_reward(str(judge.weights), own, default_device(), 16, speak=False)
    for found in scoring.scored.values():
        found.items["reward"] = [(value, 1.0) for value in reward(scoring.sheet.prompts, found.answers)]


def print_pipeline(results: dict[str, Any]) -> None:
    """Print the table of a finished pipeline."""
    from eval.stage_page import NAMES
    from workbench.console import table

    rows = []
    for stage, found in results["stages"].items():
        for one in found or [{"score": "", "verdict": "no data"}]:
            name = NAMES[one["score"]].en if one["score"] else "nothing was scored"
            values = [_number(one.get(key)) for key in ("before", "after", "difference")]
            low, high = one.get("low"), one.get("high")
            apart = "" if low is None or high is None else f"{low:+.3f} to {high:+.3f}"
            rows.append((stage, name, *values, apart, one.get("n", 0), one["verdict"]))
    columns = ("stage", "score", "before", "after", "change", "95 % interval", "items", "does it help?")
    table(columns, rows, title="Does each stage help?")
    print(results["page"])


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.3f}"
