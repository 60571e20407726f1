"""From the rows of a table to padded sequences."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray

from rnnkit._messages import counted
from rnnkit.compare.objective import IGNORED
from rnnkit.compare.task import Batch, Splits
from rnnkit.compare.tasks.preparation import Indices, lengths_of, pad, split, standardize
from rnnkit.compare.tasks.table_columns import Columns, column_of, times_of
from rnnkit.errors import CompareError

if TYPE_CHECKING:
    import pandas as pd

FEWEST_GROUPS = 5


@dataclass(frozen=True)
class Sequences:
    """The sequences of a table, one for each group.

    Attributes:
        x: the features of each, `(time, features)`.
        target: the class or value at each step, `(time,)`.
        elapsed: the time since the step before, `(time,)`; NaN at the first step.
        classes: the labels of the classes; empty for a regression.
        per_step: whether each step has a target of its own.
    """

    x: list[NDArray[Any]]
    target: list[NDArray[Any]]
    elapsed: list[NDArray[Any]]
    classes: tuple[str, ...]
    per_step: bool


def sequences_of(frame: pd.DataFrame, columns: Columns, *, classify: bool) -> Sequences:
    """Return the sequences of a table with checked columns.

    Raises:
        CompareError: a time occurs twice in a group, there are too few groups, or the target does not fit the problem.
    """
    target, classes = _targets(column_of(frame, columns.target), classify=classify)
    features = frame[list(columns.features or ())].to_numpy(np.float64)
    numbers = np.arange(len(frame), dtype=np.float64)
    times = numbers if columns.time is None else times_of(column_of(frame, columns.time)).to_numpy()
    rows = [_in_order(each, times) for each in frame.groupby(columns.group, observed=True).indices.values()]
    if len(rows) < FEWEST_GROUPS:
        raise CompareError(
            f"Column {columns.group!r} has {counted(len(rows), 'group')}: a split into training, validation and test "
            f"needs {FEWEST_GROUPS} or more"
        )
    elapsed = [np.diff(times[each], prepend=math.nan) for each in rows]
    _require_different_times(frame, columns, rows, elapsed)
    return Sequences(
        x=[features[each] for each in rows],
        target=[target[each] for each in rows],
        elapsed=elapsed,
        classes=classes,
        per_step=any((target[each] != target[each[0]]).any() for each in rows),
    )


def splits_of(data: Sequences, *, elapsed: bool, seed: int) -> Splits:
    """Return the parts of the data, standardized by the training.

    Raises:
        CompareError: the training lacks a class, or its values are constant.
    """
    strata = None if data.per_step or not data.classes else np.array([each[0] for each in data.target])
    parts = split(len(data.x), strata=strata, seed=seed)
    training = parts[0]
    x = standardize(data.x, training)
    if elapsed:
        x = [np.column_stack(each) for each in zip(_scaled(data.elapsed, training), x, strict=True)]
    target = data.target
    if data.classes:
        _require_all_classes(data, training)
    else:
        _require_variance(data, parts)
        target = standardize([each[:, None] for each in target], training)
    return Splits(*[_batch(x, target, part, data) for part in parts])


def _targets(column: Any, *, classify: bool) -> tuple[NDArray[Any], tuple[str, ...]]:
    """Return the class or the value of each row, and the labels of the classes."""
    from pandas.api import types

    if not classify:
        if not types.is_numeric_dtype(column):
            raise CompareError(f"The target {column.name!r} does not hold numbers: use problem='classification'")
        return column.to_numpy(np.float64), ()
    labels = column.to_numpy(object)
    try:
        classes = sorted(set(labels))
    except TypeError:  # of different types
        classes = sorted(set(labels), key=str)
    if len(classes) < 2:
        raise CompareError(f"The target {column.name!r} is constant: all rows have {labels[0]!r}")
    number_of = {label: number for number, label in enumerate(classes)}
    return np.array([number_of[label] for label in labels]), tuple(map(str, classes))


def _in_order(rows: Indices, times: NDArray[Any]) -> Indices:
    rows = np.sort(rows)
    return rows[np.argsort(times[rows], kind="stable")]


def _require_different_times(
    frame: pd.DataFrame, columns: Columns, rows: list[Indices], elapsed: list[NDArray[Any]]
) -> None:
    for chosen, steps in zip(rows, elapsed, strict=True):
        if (steps == 0).any():
            row = frame.iloc[chosen[int((steps == 0).argmax())]]
            raise CompareError(
                f"Group {str(row[columns.group])!r} has the time {row[columns.time]!s} twice: drop a row, or choose a "
                "`group` that tells the sequences apart"
            )


def _scaled(elapsed: list[NDArray[Any]], training: Indices) -> list[NDArray[Any]]:
    """Return elapsed times in units of their mean in the training; the first step of a sequence has 1."""
    known = np.concatenate([elapsed[each] for each in training])
    known = known[~np.isnan(known)]
    mean = known.mean() if len(known) else 1.0
    return [np.nan_to_num(each / mean, nan=1.0) for each in elapsed]


def _require_all_classes(data: Sequences, training: Indices) -> None:
    known = set(np.concatenate([data.target[each] for each in training]))
    for number, label in enumerate(data.classes):
        if number not in known:
            count = sum(int((each == number).any()) for each in data.target)
            raise CompareError(
                f"Class {label!r} is in {count} of {counted(len(data.target), 'sequence')}, but in none for training: "
                "merge it with another class, or leave its sequences out"
            )


def _require_variance(data: Sequences, parts: tuple[Indices, Indices, Indices]) -> None:
    """Check that the NRMSE of each part is defined."""
    for part, name in zip(parts, ("training", "validation", "test"), strict=True):
        known = np.concatenate([data.target[each] for each in part])
        if (known == known[0]).all():
            raise CompareError(
                f"All targets of the {name} are {known[0]}, which leaves nothing to predict; it has {len(part)} of the "
                f"{len(data.target)} groups: more groups, or another `seed`, may help"
            )


def _batch(x: list[NDArray[Any]], target: list[NDArray[Any]], part: Indices, data: Sequences) -> Batch:
    dtype = np.int64 if data.classes else np.float32
    chosen = [x[each].astype(np.float32) for each in part]
    targets = [target[each].astype(dtype) for each in part]
    if not data.per_step:
        return Batch(pad(chosen), torch.as_tensor(np.stack([each[0] for each in targets])), lengths_of(chosen))
    return Batch(pad(chosen), pad(targets, IGNORED if data.classes else math.nan), lengths_of(chosen))
