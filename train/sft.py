"""Stage sft: supervised fine-tuning on dialogues. Loss on assistant turns alone; dialogues packed without leakage.

All turns of a dialogue are one sequence, so each answer is learnt with its history. Packed dialogues restart their
positions and see nothing of each other (``eval.packing``). NEFTune adds noise to the embeddings in training. Scored in
nats a token of held-out answers. Cost beyond pt: none; rows without loss are left out before the lm_head product.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from eval.device import Machine
from train.instruct import InstructSettings, make_job, open_model, run_on_rows
from train.job import Job
from workbench.config import at_least, setting

if TYPE_CHECKING:
    from tokenizer.dialogues import Material


@dataclass(frozen=True, kw_only=True)
class SftSettings(InstructSettings):
    """Everything about a run of supervised fine-tuning."""

    out: Path = setting(Path("data/runs/sft"), "the run's folder")
    packing: bool = setting(True, "several dialogues in a sequence of the window's length; they do not see each other")
    neftune: float | None = setting(None, "alpha of NEFTune's noise, 5 in the paper; none: no noise", check=at_least(0))


def run(stage: str, settings: SftSettings, *, overwrite: bool = False) -> dict[str, Any]:
    """Run the stage; see ``train.stage.run_stage``."""
    return run_on_rows(stage, settings, partial(_prepare, settings), overwrite=overwrite)


def _prepare(settings: SftSettings, material: Material, machine: Machine) -> Job:
    from eval.bits import nats_of_answers
    from eval.models import scoring
    from eval.packing import masked_batch
    from tokenizer.dialogues import Packs
    from train.loss import use_chunked_loss

    model, rows, parts = open_model(settings, machine)
    use_chunked_loss(model)
    packs, held = (
        Packs(material.dialogues(part), settings.window, together=settings.packing)
        for part in (material.train, material.held_out)
    )

    def score() -> dict[str, float]:
        wanted, size = settings.eval.sequences, settings.eval.batch
        with scoring(model, machine.device, machine.autocast):
            found = nats_of_answers(model, held, sequences=wanted, batch_size=size, precision=machine.autocast)
        return {} if found is None else {"held_out_loss": found}

    answers = sum(int(part.mask.sum()) for part in packs.parts)
    share = f"{answers:,} of {sum(len(part.ids) for part in packs.parts):,} ids bear loss"
    told = [["packed", f"{len(packs.parts):,} dialogues in {len(packs):,} sequences", share]]
    return make_job(
        settings,
        material,
        range(len(packs)),
        packs.documents,
        lambda: {"answer_tokens": answers, "told": told},
        collate=lambda sequences: masked_batch(packs, sequences, rows),
        seq_len=settings.window,
        score=score,
        neftune=settings.neftune,
        **parts,
    )
