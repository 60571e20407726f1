"""The measurements of a kind: the content of the JSON file beside its card."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, Literal

from pydantic import ConfigDict, RootModel

FORMAT: Final = 1
_CONFIG = ConfigDict(extra="forbid", strict=False)


@dataclass(frozen=True, kw_only=True)
class Machine:
    """The machine of a measurement.

    Attributes:
        processor: model name.
        cores: number of cores that the system reports.
        system: `Linux`, `Darwin`, `Windows`.
    """

    __pydantic_config__ = _CONFIG

    processor: str
    cores: int | None
    system: str


@dataclass(frozen=True, kw_only=True)
class CheckOutcome:
    """The outcome of one conformance check: a `rnnkit.testing.CheckResult` as plain data."""

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
    """The test accuracy on the demo task, of the kind and of torch's LSTM with the same seed and batches.

    Attributes:
        hidden_size: of both models.
        learning_rate: of Adam.
        images: number of test images.
        accuracies: of the kind, after each epoch.
        lstm_accuracies: of torch's LSTM, after each epoch.
    """

    __pydantic_config__ = _CONFIG

    hidden_size: int
    learning_rate: float
    images: int
    accuracies: tuple[float, ...]
    lstm_accuracies: tuple[float, ...]


@dataclass(frozen=True, kw_only=True)
class Timing:
    """CPU time of one call on one thread in milliseconds, of the kind and of torch's LSTM of the same sizes."""

    __pydantic_config__ = _CONFIG

    milliseconds: float
    lstm_milliseconds: float

    @property
    def ratio(self) -> float:
        """The time of the kind relative to torch's LSTM; less than 1 is faster."""
        return self.milliseconds / self.lstm_milliseconds


@dataclass(frozen=True, kw_only=True)
class Speed:
    """The speed of the kind at one shape.

    Attributes:
        shape: name of the shape.
        sizes: `batch`, `time`, `input_size`, `hidden_size` and `num_layers`.
        forward: a forward pass without gradients.
        training: a forward and a backward pass.
    """

    __pydantic_config__ = _CONFIG

    shape: str
    sizes: dict[str, int]
    forward: Timing
    training: Timing


@dataclass(frozen=True, kw_only=True)
class Measurements:
    """All measurements of a kind, taken on one machine.

    Attributes:
        format: version of the file format.
        kind: canonical name of the kind.
        date: date in UTC, as `2026-01-31`.
        machine: the machine.
        versions: of rnnkit, of the plugin that provides the kind (`rnnkit-nbrc==0.1.0`), of torch and of Python.
        checks: outcome of each conformance check.
        learning: accuracy on the demo task.
        speed: speed at each shape.
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

    def outcome_of(self, check: str) -> CheckOutcome | None:
        """The outcome of a check; None if the check was not run."""
        return next((each for each in self.checks if each.check == check), None)

    def to_dict(self) -> dict[str, Any]:
        """Return plain data for JSON."""
        plain: dict[str, Any] = RootModel[Measurements](self).model_dump(mode="json")
        return plain

    @classmethod
    def from_json(cls, text: str) -> Measurements:
        """Read JSON of the form of `to_dict`.

        Raises:
            pydantic.ValidationError: the text is not valid.
        """
        return RootModel[Measurements].model_validate_json(text).root
