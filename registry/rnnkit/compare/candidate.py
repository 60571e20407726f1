"""The pairs of a model and a task that a comparison is about, and those of them that cannot be built."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from rnnkit._messages import describe_exception, join_names, on_one_line
from rnnkit.compare.task import Task
from rnnkit.errors import CompareError

_SHOWN = 5  # reasons in one warning


@dataclass(frozen=True)
class Candidate:
    """A model on a task.

    Attributes:
        label: what the tables call the model.
        fields: of its spec, without those that the task sets.
        task: the task.
        required: whether an error of it ends the comparison. False if a pattern found its kind.
    """

    label: str
    fields: Mapping[str, Any]
    task: Task
    required: bool = True


@dataclass(frozen=True)
class Choice:
    """The settings of a candidate: those of all, or the result of a search."""

    fields: Mapping[str, Any]
    learning_rate: float


class Skipped:
    """The candidates that a comparison goes on without.

    Attributes:
        reasons: each candidate with the reason.
    """

    def __init__(self) -> None:
        self.reasons: list[tuple[Candidate, str]] = []
        self._reported = 0

    @contextmanager
    def unless_required(self, candidate: Candidate) -> Iterator[None]:
        """Skip a candidate that the block raises an error for; the error of a required one is raised."""
        try:
            yield
        except Exception as error:  # plugins raise anything
            if candidate.required:
                raise
            text = str(error) if isinstance(error, CompareError) else describe_exception(error)
            self.reasons.append((candidate, on_one_line(text)))

    def warn(self) -> None:
        """Warn once about those since the last warning, at the caller of `compare`."""
        tasks: dict[tuple[str, str], list[str]] = {}
        for candidate, reason in self.reasons[self._reported :]:
            tasks.setdefault((candidate.label, reason), []).append(candidate.task.name)
        self._reported = len(self.reasons)
        texts = [f"{label} on {join_names(names)} ({reason})" for (label, reason), names in tasks.items()]
        if texts:
            warn_of("The comparison goes on without", texts)


def warn_of(what: str, texts: list[str]) -> None:
    """Warn once about several things, at the caller of `compare`."""
    more = f"; and {len(texts) - _SHOWN} more" if len(texts) > _SHOWN else ""
    warnings.warn(f"{what} {'; '.join(texts[:_SHOWN])}{more}", stacklevel=4)
