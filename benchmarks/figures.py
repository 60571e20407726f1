"""The results of the benchmark: figures with their targets, failures and exports."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from benchmarks.by_hand import TORCH, TORCHRECURRENT

CELLS = ("rnn_cell", "gru_cell", "lstm_cell")
MODULES = ("rnn", "lstm", "gru")
ONCE = {"import": 1.3, "command": 1.5, "list_kinds": 1.5, "first build": 1.0}
BY_HAND_AT_SEED = {"forward": 1.25, "training": 1.10}


@dataclass(frozen=True, kw_only=True)
class Figure:
    """The cost of one operation with rnnkit and without."""

    what: str
    kind: str
    shape: str
    against: str
    unit: str
    threads: int
    ours: float
    theirs: float
    calls: int
    """Number of measurements of each side."""
    steady: bool = True
    """False if other programs disturbed too many calls; the target is then not checked."""

    @property
    def ratio(self) -> float:
        return self.ours / self.theirs

    @property
    def target(self) -> float | None:
        """Upper bound of the ratio; None: no target."""
        if self.what in ONCE:
            return ONCE[self.what]
        if self.what == "build":
            return 2.0 if self.kind in {*MODULES, "rnn_cell"} else None
        if self.what == "memory":
            return 1.1 if self.against == TORCH and self.kind in CELLS else None
        return self._target_of_speed()

    @property
    def missed(self) -> bool:
        return self.steady and self.target is not None and self.ratio > self.target

    def record(self) -> dict[str, Any]:
        """Return the figure as a JSON object."""
        numbers = {"ours": round(self.ours, 4), "theirs": round(self.theirs, 4), "ratio": round(self.ratio, 4)}
        return {**vars(self), **numbers, "target": self.target, "missed": self.missed}

    def _target_of_speed(self) -> float | None:
        seed = self.shape == "seed"
        if self.against == TORCH and self.kind in CELLS:
            return 1.3 if seed else 1.05
        if self.against == TORCH and self.kind in MODULES:
            return BY_HAND_AT_SEED[self.what] if seed else 1.03
        to_beat = (self.kind, self.against, self.what, self.shape) == ("mgu", TORCHRECURRENT, "training", "long")
        return 0.4 if to_beat else None


@dataclass(frozen=True, kw_only=True)
class Failure:
    """A figure that is missing, with the reason."""

    what: str
    kind: str
    shape: str
    threads: int
    reason: str

    def record(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True, kw_only=True)
class Export:
    """The ONNX files of a kind, as `export_onnx` reports them."""

    kind: str
    shape: str
    operators: Mapping[str, int]
    size: int
    difference: float
    int8_size: int | None
    int8_difference: float | None
    threads: int = 1
    what: str = "export"

    def record(self) -> dict[str, Any]:
        return asdict(self)


Result = Figure | Failure | Export
