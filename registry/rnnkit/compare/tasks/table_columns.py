"""The columns of a table: which there are, and whether they hold what a task needs."""

from __future__ import annotations

import re
import warnings
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

from rnnkit._messages import did_you_mean, join_quoted, short_repr
from rnnkit.errors import CompareError

if TYPE_CHECKING:
    import pandas as pd

_UNNAMED = re.compile(r"Unnamed: \d+(\.\d+)?")  # the names that pandas gives to columns without a heading
MOST_INTEGER_CLASSES = 50  # more may be a quantity: the user has to say


@dataclass(frozen=True)
class Columns:
    """The columns that a task reads; features that are None are all others."""

    target: str
    group: str
    time: str | None
    features: tuple[str, ...] | None
    elapsed: bool


def checked_columns(frame: pd.DataFrame, columns: Columns) -> Columns:
    """Return the columns with their features, after a check of each.

    Raises:
        CompareError: a column is missing, is used twice, holds something else than numbers, or lacks a value.
    """
    roles = [each for each in (columns.target, columns.group, columns.time) if each is not None]
    _require_columns(frame, [*roles, *(columns.features or ())])
    if columns.elapsed and columns.time is None:
        raise CompareError("elapsed=True needs a column of times: time='...'")
    features = columns.features
    if features is None:
        features = _named_columns([str(each) for each in frame.columns if each not in roles])
    _require_different([*roles, *features])
    if frame.empty:
        raise CompareError("The table has no rows")
    if not features and not columns.elapsed:
        raise CompareError(f"The table has no column for features beside {join_quoted(roles)}")
    for each in features:
        _require_numbers(column_of(frame, each))
    for each in [*roles, *features]:
        _require_values(column_of(frame, each))
    for each in (columns.target, columns.group):
        _require_hashable(column_of(frame, each))
    return replace(columns, features=features)


def _named_columns(names: list[str]) -> tuple[str, ...]:
    """Return the columns whose heading is not empty: such a column usually is the index of a data frame."""
    unnamed = [name for name in names if _UNNAMED.fullmatch(name)]
    if unnamed:
        warnings.warn(
            f"The table has no heading for {join_quoted(unnamed)}, as for the index that DataFrame.to_csv writes: it "
            "is not used as a feature. To use it, name it in features=[...]; to avoid this warning, write the table "
            "with index=False, or name the features",
            stacklevel=5,  # of `from_file` and `from_frame`
        )
    return tuple(name for name in names if name not in unnamed)


def column_of(frame: pd.DataFrame, name: str) -> Any:
    """Return a column, a `pandas.Series`; type checkers see that it may be a data frame."""
    return frame[name]


def infer_problem(frame: pd.DataFrame, target: str) -> Literal["classification", "regression"]:
    """Return what a column is for: floats for a regression, anything else for a classification."""
    from pandas.api import types

    column = column_of(frame, target)
    if types.is_float_dtype(column):
        return "regression"
    if types.is_integer_dtype(column) and (number := column.nunique()) > MOST_INTEGER_CLASSES:
        raise CompareError(
            f"The target {target!r} has {number} different integers: say whether they are classes or a quantity, by "
            "problem='classification' or problem='regression'"
        )
    return "classification"


def times_of(column: Any) -> Any:
    """Return times since the first one, as seconds or in the unit of the numbers that they are.

    Raises:
        CompareError: they are neither numbers nor dates.
    """
    import pandas as pd
    from pandas.api import types

    if types.is_numeric_dtype(column) and not types.is_bool_dtype(column):
        if types.is_signed_integer_dtype(column):
            column = column.astype("int64")  # the difference of two int8 can overflow
        return (column - column.min()).astype("float64")  # nanoseconds since 1970 exceed the digits of a float
    try:
        dates = pd.to_datetime(column, format="ISO8601", utc=True)
    except (TypeError, ValueError) as error:
        raise CompareError(
            f"The time {column.name!r} must hold numbers, or dates as ISO 8601 such as 2024-05-31T12:00:00: {error}"
        ) from error
    return (dates - dates.min()).dt.total_seconds()


def _require_columns(frame: pd.DataFrame, names: list[str]) -> None:
    known = [str(each) for each in frame.columns]
    if twice := sorted({name for name in known if known.count(name) > 1}):
        raise CompareError(f"Several columns of the table are called {join_quoted(twice)}: rename them")
    for name in names:
        if not isinstance(name, str):
            raise CompareError(f"The name of a column must be a string, but is {short_repr(name)}")
        if name not in known:
            hint = did_you_mean(name, known)
            raise CompareError(
                f"The table has no column {short_repr(name)}.{hint} Its columns are {join_quoted(known)}"
            )


def _require_different(names: list[str]) -> None:
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise CompareError(f"Use each column once: {join_quoted(twice)} occurs more than once in the arguments")


def _require_numbers(column: Any) -> None:
    from pandas.api import types

    if not types.is_numeric_dtype(column) or types.is_complex_dtype(column):
        raise CompareError(
            f"The feature {column.name!r} does not hold numbers, but values such as {short_repr(column.iloc[0])}: "
            "encode it, such as by pandas.get_dummies, or leave it out by features=[...]"
        )


def _require_hashable(column: Any) -> None:
    try:
        column.nunique()
    except TypeError as error:
        raise CompareError(
            f"Column {column.name!r} holds values such as {short_repr(column.iloc[0])}, which are not hashable "
            f"({error}): convert them to strings or numbers"
        ) from error


def _require_values(column: Any) -> None:
    import numpy as np
    from pandas.api import types

    lacking = column.isna()
    if types.is_float_dtype(column):
        lacking |= np.isinf(column.astype("float64"))
    if lacking.any():
        row = int(lacking.to_numpy().argmax())
        value = "no value" if column.isna().iloc[row] else column.iloc[row]
        fill = (
            "fill the gaps, such as by DataFrame.interpolate, or drop the rows"
            if types.is_numeric_dtype(column)
            else "fill the gaps, or drop the rows. pandas.read_csv also takes words such as NA, None and null for no "
            "value: to keep them, use from_frame(pandas.read_csv(path, keep_default_na=False), ...)"
        )
        raise CompareError(
            f"Column {column.name!r} has {value} in row {row + 1} of the data, and in {lacking.sum()} of {len(column)} "
            f"rows in all: {fill}"
        )
