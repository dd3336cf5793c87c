"""transformers' TrainingArguments for our discipline: what ``train.trainer`` does itself is switched off there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

import torch
from transformers import TrainingArguments

from train import checkpoint
from train.schedule import OptimSettings


def training_arguments(
    folder: Path,
    *,
    steps: int,
    micro_batch: int,
    accumulation: int,
    precision: str,
    seed: int,
    optim: OptimSettings,
    recompute: str = "none",
    report_to: Sequence[str] = (),
    neftune: float | None = None,
    divided: Mapping[str, Any] = MappingProxyType({}),
) -> TrainingArguments:
    """Return the Trainer's arguments.

    Args:
        folder: The run's folder.
        steps: Optimizer steps of the run.
        micro_batch: Sequences a device and micro-step.
        accumulation: Micro-steps a step.
        precision: bf16, fp16 (both by autocast, weights stay fp32) or fp32.
        seed: Of everything random.
        report_to: transformers' integrations that get every row: tensorboard, wandb, swanlab.
        recompute: ``full`` keeps each layer's input alone and computes the rest again in backward.
        neftune: Alpha of the noise on the embeddings (NEFTune, Jain et al., 2023); None: none.
        divided: ``train.sharded.arguments``.
        optim: AdamW's settings; the schedule is ``Discipline.create_scheduler``'s.
    """
    return TrainingArguments(
        output_dir=str(folder / checkpoint.FOLDER),
        max_steps=steps,
        per_device_train_batch_size=micro_batch,
        gradient_accumulation_steps=accumulation,
        learning_rate=optim.lr,
        weight_decay=optim.weight_decay,
        adam_beta1=optim.beta1,
        adam_beta2=optim.beta2,
        adam_epsilon=optim.epsilon,
        optim="adamw_torch_fused",
        max_grad_norm=optim.grad_clip or 0.0,
        bf16=precision == "bf16",
        fp16=precision == "fp16",
        use_cpu=not torch.accelerator.is_available(),
        seed=seed,
        activation_checkpointing=recompute == "full",
        activation_checkpointing_kwargs={"use_reentrant": False},
        neftune_noise_alpha=neftune,
        logging_strategy="no",
        logging_nan_inf_filter=False,  # the default puts an average in the place of a NaN loss
        save_strategy="no",
        eval_strategy="no",
        ddp_find_unused_parameters=False,
        report_to=list(report_to),
        disable_tqdm=True,
        ignore_data_skip=True,  # the cursor says where the data goes on
        remove_unused_columns=False,
        dataloader_pin_memory=torch.accelerator.is_available(),
        **divided,
    )
