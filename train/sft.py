"""Stage sft: supervised fine-tuning on dialogues. Loss on assistant turns alone; dialogues packed without leakage.

All turns of a dialogue are one sequence, so each answer is learnt with its history. Packed dialogues restart their
positions and see nothing of each other (``eval.packing``). NEFTune adds noise to the embeddings in training. Scored in
nats a token of held-out answers. Cost beyond pt: none; rows without loss are left out before the lm_head product.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from train.instruct import Data, InstructSettings, make_job, open_data
from train.stage import Job, Machine, run_stage, scoring, tuned
from workbench.config import at_least, setting


@dataclass(frozen=True, kw_only=True)
class SftSettings(InstructSettings):
    """Everything about a run of supervised fine-tuning."""

    out: Path = setting(Path("data/runs/sft"), "the run's folder")
    packing: bool = setting(True, "several dialogues in a sequence of the window's length; they do not see each other")
    neftune: float | None = setting(None, "alpha of NEFTune's noise, 5 in the paper; none: no noise", check=at_least(0))


def train_sft(settings: SftSettings, *, overwrite: bool = False) -> dict[str, Any]:
    """Run the stage; see ``train.stage.run_stage``."""
    data, inputs = open_data("sft", settings)
    return run_stage("sft", settings, inputs, lambda machine: _prepare(settings, data, machine), overwrite=overwrite)


def _prepare(settings: SftSettings, data: Data, machine: Machine) -> Job:
    from eval.bits import nats_of_answers
    from eval.packing import masked_batch
    from tokenizer.dialogues import Packs, dialogues
    from train.loss import use_chunked_loss
    from train.model import open_weights

    model = open_weights(settings.weights, settings.window, settings.seed).to(machine.device)
    rows = model.get_input_embeddings().num_embeddings
    shape, adapter = tuned(settings, model, rows)
    use_chunked_loss(model)
    packs, held = (
        Packs(dialogues(part, data.encode, settings.window, data.left_out), settings.window, together=settings.packing)
        for part in (data.mix.train, data.mix.held_out)
    )

    def score() -> dict[str, float]:
        wanted, size = settings.eval.sequences, settings.eval.batch
        with scoring(model, machine):
            found = nats_of_answers(model, held, sequences=wanted, batch_size=size, precision=machine.autocast)
        return {} if found is None else {"held_out_loss": found}

    answers = sum(int(part.mask.sum()) for part in packs.parts)
    kept = sum(len(part.ids) for part in packs.parts)
    about = [
        ["loss", f"on {answers / kept:.0%} of {kept:,} ids", "the answers'"],
        ["packed", f"{len(packs.parts):,} dialogues in {len(packs):,} sequences", f"of {settings.window} ids"],
    ]
    return make_job(
        settings,
        data,
        range(len(packs)),
        name_of=packs.documents,
        results=lambda before: {"answer_tokens": answers, "told": about},
        model=model,
        shape=shape,
        adapter=adapter,
        collate=lambda sequences: masked_batch(packs, sequences, rows),
        seq_len=settings.window,
        score=score,
        neftune=settings.neftune,
    )
