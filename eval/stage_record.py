"""What each stage of a pipeline changed: its model beside the one before it, on the same held-out items.

All models are scored on one sheet (``eval.stage_sheet``), and the pipeline's reward model judges their answers at the
end (``eval.stage_scores``). What a model scored is kept in a folder under a mark, so that an interrupted pipeline
measures nothing twice. Cost: seconds a stage.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict
from functools import cached_property
from pathlib import Path
from typing import Any

from eval.stage_page import stage_page
from eval.stage_scores import Change, Scored, Sheet, changes, score, shown
from eval.stage_sheet import Asked, make_sheet
from tokenizer.chat.encode import ChatTokenizer, load
from tokenizer.dialogues import files_of
from workbench import manifest
from workbench.config import as_dict
from workbench.console import note
from workbench.files import make_folder, read_json, write_json, write_text

START = "00-start"  # the weights that the first stage began from


class StageRecord:
    """Scores models as they are made, each once."""

    def __init__(self, folder: Path, asked: Asked) -> None:
        """Look at nothing yet.

        Args:
            folder: Where scores are kept, a file a stage.
            asked: What the sheet is made from.
        """
        self.folder, self.asked = folder, asked
        self.scored: dict[str, Scored] = {}  # of each policy, in order
        self.changed: dict[str, list[Change]] = {}

    @cached_property
    def chat(self) -> ChatTokenizer:
        """The tokenizer that all stages share."""
        return load(self.asked.tokenizer)

    @cached_property
    def sheet(self) -> Sheet:
        """What all models are scored on."""
        return make_sheet(self.asked, self.chat)

    @cached_property
    def files(self) -> list[dict[str, Any]]:
        """The held-out data, with their hashes."""
        return [manifest.describe_file(path) for one in self.asked.sets.values() for path in files_of(one.data)]

    def score(self, name: str, of: str, model: Callable[[], Any]) -> None:
        """Take a model's scores, those on disk if they are of it and of this sheet, and say what has changed.

        Args:
            name: Its stage.
            of: Its fingerprint: an equal one, of an equal sheet, means equal scores.
            model: Opens it.
        """
        path, mark = self.folder / f"{name}.json", manifest.fingerprint("score", [as_dict(self.asked), of], self.files)
        kept = read_json(path) if path.is_file() else {}
        if kept.get("mark") != mark:
            note(f"{name}: scoring")
            kept = {"mark": mark, **asdict(score(model(), self.chat.tokenizer, self.sheet))}
            make_folder(self.folder)
            write_json(path, kept)
        before = next(reversed(self.scored.values()), None)
        self.scored[name] = found = Scored(kept["items"], kept["answers"])
        if before is not None:
            self._tell(name, changes(before.items, found.items), kept)

    def accuracy(self, name: str, report: Path) -> None:
        """Take a reward model's accuracy on held-out pairs from its own report, as a change from a coin's throw."""
        found = read_json(report)["all"]
        apart = [value - 0.5 for value in (found["accuracy"], *found["interval"])] if found["n"] else []
        self._tell(name, [Change("accuracy", found["n"], 0.5, found["accuracy"], *apart)] if apart else [], {})

    def _tell(self, name: str, changed: list[Change], kept: Mapping[str, Any]) -> None:
        self._keep(name, changed, kept)
        for one in changed:
            note(f"{name}: {one.score} {shown(one.before)} → {shown(one.after)}, {one.verdict}")

    def _keep(self, name: str, changed: list[Change], kept: Mapping[str, Any]) -> None:
        self.changed[name] = changed
        write_json(self.folder / f"{name}.json", {**kept, "changed": [one.as_dict() for one in changed]})

    def judge(self, reward_model: Path) -> None:
        """Let a reward model judge all answers: one more score of each stage."""
        from eval.device import default_device
        from eval.models import load_tokenizer
        from eval.scorer import make_reward

        own = load_tokenizer(self.asked.tokenizer)
        reward = make_reward(str(reward_model), own, default_device(), 16, speak=False)
        before: Scored | None = None
        for name, found in self.scored.items():
            found.items["reward"] = [(value, 1.0) for value in reward(self.sheet.prompts, found.answers)]
            if before is not None:
                self._keep(name, changes(before.items, found.items), read_json(self.folder / f"{name}.json"))
            before = found

    def close(self, stages: Mapping[str, tuple[str, str]], page: Path) -> dict[str, Any]:
        """Write the page, and return what each stage changed.

        Args:
            stages: Of each stage its Chinese and English name.
            page: The file to write.
        """
        some, decode = self.sheet.prompts[:4], self.chat.tokenizer.decode
        answers = {name: [decode(ids) for ids in found.answers[: len(some)]] for name, found in self.scored.items()}
        write_text(page, stage_page(stages, self.changed, [prompt.text for prompt in some], answers))
        return {
            "stages": {name: [one.as_dict() for one in found] for name, found in self.changed.items()},
            "page": str(page),
        }
