"""The value head: one number for each place of a sequence, from the policy's last hidden state; the policy's trunk is shared.

It begins at zero (Huang et al., arXiv 2403.17031): before the first update it foresees nothing, and advantages are
plain returns. It is saved as ``value_head.safetensors`` beside the model, so that another run goes on from it; a model
without one (every SFT model) gets a fresh one, told. Always fp32: width + 1 numbers.
"""

from __future__ import annotations

from pathlib import Path

import torch

from workbench.console import note
from workbench.errors import InputError

NAME = "value_head.safetensors"


class ValueHead(torch.nn.Module):
    """hidden -> value."""

    def __init__(self, width: int) -> None:
        """Begin at zero."""
        super().__init__()
        self.out = torch.nn.Linear(width, 1)
        torch.nn.init.zeros_(self.out.weight)
        torch.nn.init.zeros_(self.out.bias)

    def forward(self, hidden: torch.Tensor) -> torch.Tensor:
        """Return values, shape (...), from hidden states, shape (..., width)."""
        with torch.autocast(hidden.device.type, enabled=False):
            value: torch.Tensor = self.out(hidden.float())[..., 0]
        return value


def save(head: ValueHead, folder: Path) -> None:
    """Write the head beside a model."""
    from safetensors.torch import save_file

    save_file({name: tensor.cpu().contiguous() for name, tensor in head.state_dict().items()}, folder / NAME)


def load(folder: Path, width: int, *, needed: bool = False, speak: bool = True) -> ValueHead:
    """Return the head that stands beside a model, or a fresh one.

    Args:
        folder: The model's, or a checkpoint's.
        width: Of the hidden states.
        needed: Whether it must be there (in a checkpoint), or may be fresh.
        speak: Whether a fresh one is told.

    Raises:
        InputError: If it is needed and not there, damaged, or of another width.
    """
    from safetensors.torch import load_file

    head, path = ValueHead(width), folder / NAME
    if not path.is_file():
        if needed:
            raise InputError(folder, f"has no {NAME}, so it is no checkpoint of stage=ppo", "remove it, or the run")
        if speak:
            note(f"{folder}: has no {NAME}; the value head begins at zero")
        return head
    try:
        head.load_state_dict(load_file(path))
    except Exception as error:  # safetensors and torch raise several kinds
        if isinstance(error, MemoryError | KeyboardInterrupt):
            raise
        found = f"is no value head over {width} hidden states ({' '.join(str(error).split())[:120]})"
        raise InputError(path, found, "remove it for a fresh one, or take the model it was trained with") from error
    return head
