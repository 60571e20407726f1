"""Choose the hidden size with which a kind has a wanted number of parameters, and say if there is none."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from math import inf
from typing import Any

from pydantic import ValidationError
from torch import nn

from rnnkit._messages import counted, describe_exception, join_names
from rnnkit.build import build_on_meta
from rnnkit.catalog import get_kind
from rnnkit.compare.task import Task
from rnnkit.errors import CompareError
from rnnkit.specs import RecurrentSpec

_TRIED_NEARBY = 8  # sizes, for kinds that build with some only, such as multiples of their heads
_LARGEST = 65536
_TOLERANCE = 0.2  # of the wanted number of parameters


def spec_for(task: Task, fields: Mapping[str, Any], *, parameters: int | None) -> dict[str, Any]:
    """Return the spec of a model for a task, as plain data.

    Args:
        task: it sets the sizes of input and output, and the readout.
        fields: all other fields, `kind` among them.
        parameters: the number of parameters to come close to, by the hidden size; None: as `fields` say.

    Raises:
        CompareError: a field is set by both, the spec is not valid, or its model cannot be built.
    """
    fixed = dict(task.fields())
    if both := sorted(set(fixed) & set(fields)):
        raise CompareError(f"The task {task.name!r} sets {join_names(both)}: leave it out of the spec of the kind")
    merged = {**fields, **fixed, "options": {**_time_option(task, fields["kind"]), **fields.get("options", {})}}
    if parameters is not None:
        merged["hidden_size"] = _closest_size(merged, parameters)
    try:
        spec = RecurrentSpec.from_dict(merged).to_dict()
    except ValidationError as error:
        raise CompareError(f"The kind {fields['kind']!r} cannot be built for task {task.name!r}: {error}") from error
    if isinstance(found := _parameters(spec), Exception):
        raise CompareError(
            f"The kind {fields['kind']!r} cannot be built for task {task.name!r}: {describe_exception(found)}"
        ) from found
    return spec


def size_warning(spec: Mapping[str, Any], wanted: int) -> str:
    """Return how far a model is from the wanted number of parameters; empty if it is within 20 % of it."""
    found = _parameters(spec)
    if isinstance(found, Exception) or abs(found - wanted) <= _TOLERANCE * wanted:
        return ""
    return f"{counted(found, 'parameter')} instead of {wanted:,}: no hidden size comes closer"


def _time_option(task: Task, kind: str) -> dict[str, Any]:
    """The option of a kind that reads elapsed times, if the task has them."""
    cell = get_kind(kind).cell
    reads = task.time_feature is not None and cell is not None and cell.takes_elapsed
    return {"time_feature": task.time_feature} if reads else {}


def _closest_size(fields: dict[str, Any], wanted: int) -> int:
    """Return the hidden size whose number of parameters is the closest."""

    @cache
    def count(size: int) -> int | Exception:
        return _parameters({**fields, "hidden_size": size})

    def buildable(size: int) -> tuple[int, float]:
        """Return the next size that builds, and its number of parameters: infinite if there is none nearby."""
        for larger in range(size, size + _TRIED_NEARBY):
            if isinstance(found := count(larger), int):
                return larger, found
        return size, inf

    low, high = buildable(1), buildable(2)
    if isinstance(problem := count(low[0]), Exception):
        raise CompareError(
            f"No hidden size from 1 to {_TRIED_NEARBY} builds kind {fields['kind']!r}: {describe_exception(problem)}"
        ) from problem
    while high[1] < wanted and high[0] < _LARGEST:
        low, high = high, buildable(2 * high[0])
    while (middle := buildable((low[0] + high[0]) // 2)) not in (low, high):
        low, high = (middle, high) if middle[1] < wanted else (low, middle)
    return min((low, high), key=lambda found: abs(found[1] - wanted))[0]


def _parameters(fields: Mapping[str, Any]) -> int | Exception:
    """Return the number of parameters, or why there is no such model."""
    try:
        model = build_on_meta(RecurrentSpec.from_dict(dict(fields)))
    except Exception as error:  # noqa: BLE001  # plugins raise anything
        return error
    return count_parameters(model)


def count_parameters(model: nn.Module) -> int:
    """Return the number of parameters, those included that are not trained, such as the matrix of a reservoir."""
    return sum(each.numel() for each in model.state_dict().values())
