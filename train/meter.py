"""How fast it goes: tokens a second, model TFLOP/s a device, MFU, time left, share of time spent waiting for data.

The FLOPs of a token are counted in ``workbench.model_size``.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from workbench.model_size import Shape

# Dense half-precision peak, TFLOP/s, from the makers' data sheets, by a part of the device's name.
PEAK_TFLOPS: Mapping[str, float] = MappingProxyType(
    {"A100": 312.0, "A800": 312.0, "H100": 989.0, "H800": 989.0, "V100": 125.0, "RTX 4090": 165.2, "910B": 376.0}
)
WINDOW = 20  # steps that the shown speed is averaged over


def shape_of(model: Any) -> Shape:
    """Return the shape of a transformers model of the Llama family."""
    from eval.quantised import whole_size

    config = model.config
    head = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    table, output = model.get_input_embeddings().weight, model.get_output_embeddings()  # a reward model has none
    return Shape(
        parameters=sum(map(whole_size, model.parameters())),
        input_embedding=0 if output is not None and output.weight is table else table.numel(),
        layers=config.num_hidden_layers,
        width=head * config.num_attention_heads,
    )


def peak_tflops(device: str) -> float | None:
    """Return the half-precision peak of a device by its name, None if it is not in the table."""
    return next((peak for part, peak in PEAK_TFLOPS.items() if part in device), None)


@dataclass(frozen=True)
class Reading:
    """The speed over the last steps."""

    tokens_per_second: float
    tflops: float  # model TFLOP/s a device
    mfu: float | None  # share of the device's peak, None if that is not known
    data_wait: float  # share of the time spent waiting for data


class Meter:
    """Counts tokens and seconds; ``step`` is called once a step, ``wait`` with the time spent on data."""

    def __init__(self, shape: Shape, seq_len: int, devices: int = 1, device_name: str = "") -> None:
        """Start from nothing; the devices share the tokens of sequences of ``seq_len``."""
        self.flops = shape.flops_per_token(seq_len) / devices
        self.peak = peak_tflops(device_name)
        self.tokens = 0
        self.seconds = 0.0
        self._began = time.perf_counter()
        self._waited = 0.0
        self._recent: deque[tuple[int, float, float]] = deque(maxlen=WINDOW)

    def resume(self, tokens: int, seconds: float) -> None:
        """Go on from what an earlier process counted."""
        self.tokens, self.seconds = tokens, seconds

    def restart(self) -> None:
        """Begin a step now: what came before (setting up, saving, evaluating) is no training time."""
        self._began, self._waited = time.perf_counter(), 0.0

    def wait(self, seconds: float) -> None:
        """Add time spent waiting for data in this step."""
        self._waited += seconds

    def step(self, tokens: int) -> float:
        """Close a step of so many tokens and begin the next; returns its seconds."""
        now = time.perf_counter()
        seconds = now - self._began
        self._recent.append((tokens, seconds, self._waited))
        self.tokens += tokens
        self.seconds += seconds
        self._began, self._waited = now, 0.0
        return seconds

    def read(self) -> Reading:
        """Return the speed over the last ``WINDOW`` steps."""
        tokens, seconds, waited = (sum(column) for column in zip(*self._recent, strict=True))
        speed = tokens / seconds
        tflops = speed * self.flops / 1e12
        return Reading(speed, tflops, tflops / self.peak if self.peak else None, waited / seconds)

    def figures(self) -> dict[str, Any]:
        """Return the part of a metrics row that is about tokens and speed."""
        speed = self.read()
        return {
            "tokens": self.tokens,
            "seconds": round(self.seconds, 3),
            "tokens_per_second": round(speed.tokens_per_second, 1),
            "tflops": round(speed.tflops, 6),
            "mfu": speed.mfu,
            "data_wait": round(speed.data_wait, 5),
        }

    def seconds_left(self, tokens: int) -> float:
        """Return the seconds that so many more tokens take at the present speed."""
        return tokens / self.read().tokens_per_second
