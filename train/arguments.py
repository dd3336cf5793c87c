"""transformers' TrainingArguments for our discipline: what ``train.trainer`` does itself is switched off there."""

from __future__ import annotations

import torch
from transformers import TrainingArguments

from eval import parallel
from train import checkpoint, zero
from train.job import Job, RunSettings


def training_arguments(settings: RunSettings, job: Job, precision: str) -> TrainingArguments:
    """Return the Trainer's arguments; bf16 and fp16 by autocast, the schedule is ``Discipline.create_scheduler``'s."""
    optim, clip = settings.optim, settings.optim.grad_clip or 0.0
    return TrainingArguments(
        output_dir=str(settings.out / checkpoint.FOLDER),
        max_steps=job.steps,
        per_device_train_batch_size=job.micro_batch,
        gradient_accumulation_steps=job.accumulation,
        learning_rate=optim.lr,
        weight_decay=optim.weight_decay,
        adam_beta1=optim.beta1,
        adam_beta2=optim.beta2,
        adam_epsilon=optim.epsilon,
        optim="adamw_torch_fused",
        max_grad_norm=clip,
        bf16=precision == "bf16",
        fp16=precision == "fp16",
        use_cpu=not torch.accelerator.is_available(),
        seed=settings.seed,
        activation_checkpointing=settings.recompute == "full",
        activation_checkpointing_kwargs={"use_reentrant": False},
        neftune_noise_alpha=job.neftune,  # noise on the embeddings (Jain et al., 2023)
        logging_strategy="no",
        logging_nan_inf_filter=False,  # the default puts an average in the place of a NaN loss
        save_strategy="no",
        eval_strategy="no",
        ddp_find_unused_parameters=False,
        report_to=list(settings.report_to) if parallel.first() else [],
        disable_tqdm=True,
        ignore_data_skip=True,  # the cursor says where the data goes on
        remove_unused_columns=False,
        dataloader_pin_memory=torch.accelerator.is_available(),
        **zero.arguments(settings.parallel, precision, settings.offload, clip),
    )
