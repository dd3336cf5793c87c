"""The value head: one number for each place, from the policy's last hidden state; the policy's trunk is shared.

It begins at zero (Huang et al., arXiv 2403.17031): before the first update it foresees nothing, and advantages are
plain returns. It stands as ``value_head.safetensors`` beside the model, and another run goes on from it; a model
without one (every SFT model) gets a fresh one, told. Always fp32: width + 1 numbers.
"""

from __future__ import annotations

from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from workbench.console import note
from workbench.errors import InputError

NAME = "value_head.safetensors"


class ValueHead(torch.nn.Module):
    """Values, shape (...), from hidden states, shape (..., width)."""

    def __init__(self, width: int) -> None:
        """Begin at zero."""
        super().__init__()
        self.out = torch.nn.Linear(width, 1)
        torch.nn.init.zeros_(self.out.weight)
        torch.nn.init.zeros_(self.out.bias)

    def forward(self, hidden: torch.Tensor) -> torch.Tensor:
        """Return the values, in fp32 also under autocast."""
        with torch.autocast(hidden.device.type, enabled=False):
            value: torch.Tensor = self.out(hidden.float())[..., 0]
        return value


def save(head: ValueHead, folder: Path) -> None:
    """Write the head beside a model."""
    save_file({name: tensor.cpu().contiguous() for name, tensor in head.state_dict().items()}, folder / NAME)


def load(folder: Path, head: ValueHead) -> bool:
    """Fill a head from what stands beside a model.

    Returns:
        Whether there was one.

    Raises:
        InputError: If it is damaged, or over hidden states of another width.
    """
    path = folder / NAME
    if not path.is_file():
        return False
    try:
        head.load_state_dict(load_file(path))
    except (SafetensorError, RuntimeError) as error:
        found = f"is no value head over {head.out.in_features} hidden states ({' '.join(str(error).split())[:120]})"
        raise InputError(path, found, "remove it for a fresh one, or take the model it was trained with") from error
    return True


def load_or_fresh(folder: Path, width: int, *, speak: bool) -> ValueHead:
    """Return the head that stands beside a model, or a fresh one and say so."""
    head = ValueHead(width)
    if not load(folder, head) and speak:
        note(f"{folder}: has no {NAME}; the value head begins at zero")
    return head
