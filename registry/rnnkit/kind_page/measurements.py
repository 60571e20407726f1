"""What was measured of a kind, as the file beside its page has it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, Literal

from pydantic import ConfigDict, RootModel

FORMAT: Final = 1
_CONFIG = ConfigDict(extra="forbid", strict=False)


@dataclass(frozen=True, kw_only=True)
class Machine:
    """What something was measured on.

    Attributes:
        processor: its name.
        cores: how many the system shows.
        system: `Linux`, `Darwin`, `Windows`.
    """

    __pydantic_config__ = _CONFIG

    processor: str
    cores: int | None
    system: str


@dataclass(frozen=True, kw_only=True)
class CheckOutcome:
    """What came of putting one promise of the conformance kit to the kind: a `CheckResult` as plain data."""

    __pydantic_config__ = _CONFIG

    check: str
    tier: str
    text: str
    outcome: Literal["passed", "failed", "not applicable"]
    reason: str
    figures: dict[str, float | int | str]
    left_out: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Learning:
    """How the kind and torch's LSTM learn the demo task, after the same seed and with the same batches.

    Attributes:
        hidden_size: of both.
        learning_rate: of Adam, likewise.
        images: how many images both are tested with.
        accuracies: of the kind on those images, after each epoch.
        lstm_accuracies: likewise of torch's LSTM.
    """

    __pydantic_config__ = _CONFIG

    hidden_size: int
    learning_rate: float
    images: int
    accuracies: tuple[float, ...]
    lstm_accuracies: tuple[float, ...]


@dataclass(frozen=True, kw_only=True)
class Timing:
    """CPU time of one call on one thread, in milliseconds, of the kind and of torch's LSTM of the same sizes."""

    __pydantic_config__ = _CONFIG

    milliseconds: float
    lstm_milliseconds: float

    @property
    def ratio(self) -> float:
        """How many times the time of torch's LSTM it takes."""
        return self.milliseconds / self.lstm_milliseconds


@dataclass(frozen=True, kw_only=True)
class Speed:
    """How fast the kind is at one shape.

    Attributes:
        shape: what the shape is called.
        sizes: `batch`, `time`, `input_size`, `hidden_size` and `num_layers`.
        forward: of a forward pass without gradients.
        training: of a forward and a backward pass.
    """

    __pydantic_config__ = _CONFIG

    shape: str
    sizes: dict[str, int]
    forward: Timing
    training: Timing


@dataclass(frozen=True, kw_only=True)
class Measurements:
    """All that was measured of a kind, on one machine.

    Attributes:
        format: of the file.
        kind: the canonical name of the kind.
        date: the day, in UTC: `2026-01-31`.
        machine: what it was measured on.
        versions: of rnnkit, of the plugin that provides the kind (`rnnkit-mgu==0.1.0`), of torch and of Python.
        promises: what came of each promise of the conformance kit.
        learning: how it learns the demo task.
        speed: at each shape.
    """

    __pydantic_config__ = _CONFIG

    format: Literal[1] = FORMAT
    kind: str
    date: str
    machine: Machine
    versions: dict[str, str | None]
    checks: tuple[CheckOutcome, ...]
    learning: Learning
    speed: tuple[Speed, ...]

    def of(self, check: str) -> CheckOutcome | None:
        """What came of a promise; None: it was not put to the kind."""
        return next((each for each in self.checks if each.check == check), None)

    def to_dict(self) -> dict[str, Any]:
        """As plain data."""
        plain: dict[str, Any] = RootModel[Measurements](self).model_dump(mode="json")
        return plain

    @classmethod
    def from_json(cls, text: str) -> Measurements:
        """What `to_dict` gave, from JSON.

        Raises:
            pydantic.ValidationError: the text is no such JSON.
        """
        return RootModel[Measurements].model_validate_json(text).root
