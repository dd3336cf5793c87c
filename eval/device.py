"""What a model computes on: the device that is here, and the precision that it is fast in."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from eval import parallel
from workbench.console import note
from workbench.errors import ConfigError

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class Machine:
    """What a run computes on."""

    device: Any
    precision: str  # bf16, fp16 or fp32
    home: Any  # where a model is put: the device, or the CPU where it is divided first

    @classmethod
    def of(cls, precision: str, *, divided: bool = False) -> Machine:
        """Return what is here; of ``precision`` auto becomes one that the device computes in.

        Raises:
            ConfigError: If it computes in another only.
        """
        import torch

        tell_deepspeed()
        device = default_device()
        return cls(device, precision_on(precision, device), torch.device("cpu") if divided else device)

    @property
    def name(self) -> str:
        """What the device is called."""
        import torch

        if self.device.type == "cpu":
            return f"cpu, {torch.get_num_threads()} threads"
        return str(torch.get_device_module().get_device_name())

    @property
    def about(self) -> dict[str, Any]:
        """What a run's results say of it."""
        return {"precision": self.precision, "device": self.name, "devices": parallel.world()}

    @property
    def autocast(self) -> str:
        """The precision of a score: fp16 needs a loss scaler and is scored in bf16."""
        return "fp32" if self.precision == "fp32" else "bf16"


def tell_deepspeed() -> None:
    """Tell DeepSpeed where there is no accelerator; transformers imports it unasked, and it would say so on stdout."""
    import torch

    if not torch.accelerator.is_available():
        os.environ.setdefault("DS_ACCELERATOR", "cpu")


def default_device() -> torch.device:
    """Return the accelerator if there is one, else the CPU."""
    import torch

    found = torch.accelerator.current_accelerator() if torch.accelerator.is_available() else None
    return found or torch.device("cpu")


def computes_in_bf16(device: torch.device) -> bool:
    """Return whether a device multiplies bfloat16 matrices by itself.

    A CPU without such instructions (AVX-512 BF16, AMX) emulates them: measured, 80 times slower than fp32.
    """
    import torch

    if device.type == "cpu":
        return torch._C._has_mkldnn and bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    return True


def precision_on(wanted: str, device: Any) -> str:
    """Return the precision of the products on a device."""
    if wanted == "fp16" and device.type == "cpu":
        found = (
            "fp16 on a CPU is emulated, some 20 times slower than bf16, and transformers would run fp32 without a word"
        )
        raise ConfigError("precision", found, "use precision=auto")
    fast = computes_in_bf16(device)
    if wanted == "bf16" and not fast and parallel.first():
        note(f"precision: this {device.type} emulates bf16, up to 80 times slower than fp32; precision=auto would not")
    return ("bf16" if fast else "fp32") if wanted == "auto" else wanted
