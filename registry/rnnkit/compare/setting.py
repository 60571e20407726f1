"""The conditions that are equal for all models of a comparison."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal, Optional, get_args

from pydantic import Field

from rnnkit._messages import did_you_mean, join_quoted, short_repr
from rnnkit.compare.settings import check_argument
from rnnkit.compare.sizing import spec_for
from rnnkit.compare.task import Task
from rnnkit.compare.training import Training
from rnnkit.errors import CompareError

Match = Literal["parameters", "hidden_size", "time"]
Count = Annotated[int, Field(ge=1)]
Amount = Annotated[float, Field(gt=0, allow_inf_nan=False)]
_RULES: Mapping[str, Any] = {
    "parameters": Count,
    "hidden_size": Count,
    "num_layers": Count,
    "steps": Optional[Count],  # noqa: UP045  # type checkers refuse `Count | None` as a value
    "seconds": Amount,
    "learning_rate": Amount,
    "search": Annotated[int, Field(ge=0)],
}


@dataclass(frozen=True, kw_only=True)
class Setting:
    """The conditions that are equal for all models of a comparison, as arguments of `compare`.

    Attributes:
        limit: the seconds after which a training is stopped; None: never.
        search: trials of the search for settings; 0: there is none.

    Raises:
        CompareError: a value is out of range.
    """

    match: Match
    parameters: int
    hidden_size: int
    num_layers: int
    steps: int | None
    seconds: float
    learning_rate: float
    search: int = 0
    limit: float | None = None

    def __post_init__(self) -> None:
        if self.match not in get_args(Match):
            known = get_args(Match)
            raise CompareError(
                f"match={short_repr(self.match)} is none of {join_quoted(known)}.{did_you_mean(str(self.match), known)}"
            )
        for name, rule in _RULES.items():
            object.__setattr__(self, name, check_argument(name, getattr(self, name), rule))  # the dataclass is frozen

    def training(self, task: Task) -> Training:
        """Return how every model is trained on a task."""
        return Training(
            steps=self.steps or task.steps,
            batch_size=task.batch_size,
            learning_rate=self.learning_rate,
            seconds=self.seconds if self.match == "time" else None,
            limit=self.limit,
        )

    def spec(self, fields: Mapping[str, Any], task: Task) -> dict[str, Any]:
        """Return the spec of a model for a task, as plain data. `fields` takes precedence over the sizes of all."""
        sized = {"hidden_size": self.hidden_size, "num_layers": self.num_layers, **fields}
        return spec_for(task, sized, parameters=self.wanted(fields))

    def wanted(self, fields: Mapping[str, Any]) -> int | None:
        """Return the number of parameters that a model is to have; None: the hidden size counts."""
        return None if self.match == "hidden_size" or "hidden_size" in fields else self.parameters
