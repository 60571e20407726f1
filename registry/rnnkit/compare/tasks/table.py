"""A task of your own table: a CSV or Parquet file, or a data frame of pandas."""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field

from rnnkit.compare.objective import CLASSIFICATION, REGRESSION, Objective
from rnnkit.compare.task import DatasetTask, Splits
from rnnkit.compare.tasks.table_columns import Columns, checked_columns, infer_problem
from rnnkit.compare.tasks.table_sequences import Sequences, sequences_of, splits_of
from rnnkit.errors import CompareError

if TYPE_CHECKING:
    import pandas as pd

Problem = Literal["classification", "regression"]


@dataclass(frozen=True)
class Table(DatasetTask):
    """A task of a table, which `from_file` and `from_frame` make.

    Groups of rows are sequences. 60 % of them are for training, 20 % for validation and 20 % for the test.
    """

    target: str
    """The column to predict."""
    group: str
    """The column that tells sequences apart."""
    time: str | None = None
    """The column that orders the steps of a sequence; None: the order of the rows."""
    features: tuple[str, ...] = ()
    """The columns that are the input."""
    elapsed: bool = False
    """Whether the first feature is the time since the step before."""
    problem: Problem = "classification"
    """Whether the target is a class or a value."""
    seed: Annotated[int, Field(ge=0, lt=2**32)] = 0
    """The seed of the split."""
    file: str = ""
    """The name of the file, without its directory; empty for a data frame."""
    digest: str = ""
    """The start of the SHA-256 of the content."""
    path: str = field(default="", compare=False, repr=False)
    """The path of the file. It is not written to results."""
    frame: Any = field(default=None, compare=False, repr=False)
    """The data frame, if the task was made of one. It is not written to results."""

    name = "table"
    summary = "Predict a column of a table."
    measures = "your own data"
    source = "your own data"

    @property
    def objective(self) -> Objective:
        return CLASSIFICATION if self.problem == "classification" else REGRESSION

    @property
    def time_feature(self) -> int | None:
        return 0 if self.elapsed else None

    @property
    def classes(self) -> tuple[str, ...]:
        """The label of each class, as text; empty for a regression."""
        return _load(self)[0].classes

    def fields(self) -> Mapping[str, Any]:
        data = _load(self)[0]
        return {
            "input_size": len(self.features) + self.elapsed,
            "output_size": len(data.classes) or 1,
            "readout": "all" if data.per_step else "last",
        }

    def missing(self) -> str:
        return "" if find_spec("pandas") else "pandas: pip install 'rnnkit[compare]'"

    def settings(self) -> dict[str, Any]:
        return {each.name: getattr(self, each.name) for each in fields(self) if each.compare}

    def __str__(self) -> str:
        settings = json.dumps(self.settings(), sort_keys=True).encode()  # tasks that differ have different names
        shown = [self.target, *(["elapsed"] if self.elapsed else []), _digest(settings)[:8]]
        return f"{self.file or 'table'}({', '.join(shown)})"

    def load(self) -> Splits:
        return _load(self)[1]


def from_file(
    path: str | Path,
    *,
    target: str,
    group: str,
    time: str | None = None,
    features: Sequence[str] | None = None,
    elapsed: bool = False,
    problem: Problem | None = None,
    seed: int = 0,
) -> Table:
    """Return a task of a CSV or Parquet file: predict a column from the others.

    The rows of a group are a sequence, in the order of the time. Groups are split into training, validation and test:
    60, 20 and 20 % of them, with equal shares of the classes where sequences have one. Features, and the values of a
    regression, are standardized by the mean and the standard deviation of the training.

    If the target is constant in each group, the model predicts one value for each sequence, after its last step;
    otherwise it predicts one at each step.

    Args:
        path: a file that ends in `.csv`, `.parquet` or `.pq`. Workers read it too, and need it at the same path.
        target: the column to predict.
        group: the column that tells sequences apart, such as a patient or a device.
        time: the column that orders the steps: numbers, or dates as ISO 8601; None: the order of the rows.
        features: the columns of the input, which hold numbers or booleans; None: all other columns that have a heading.
            One without a heading, as the index that `DataFrame.to_csv` writes, is left out with a warning.
        elapsed: whether to add the time since the step before as feature 0, in units of its mean in the training, and
            1 at the first step. Kinds that model time get it as `time_feature`.
        problem: `"classification"` or `"regression"`; None: regression for floats, classification for strings,
            booleans, categories and integers.
        seed: of the split.

    Raises:
        CompareError: pandas, or what it reads Parquet with, is not installed; a column is missing or has the wrong
            type; a value is missing; a time occurs twice in a group; there are fewer than five groups; a class is in no
            training sequence; or the target is constant.
        OSError: the file cannot be read.
    """
    _require_pandas()
    path = Path(path).absolute()
    content = path.read_bytes()
    return _table(
        _read(content, path),
        {"file": path.name, "path": str(path), "digest": _digest(content)},
        Columns(target, group, time, _names_of(features), elapsed),
        problem,
        seed,
    )


def from_frame(
    frame: pd.DataFrame,
    *,
    target: str,
    group: str,
    time: str | None = None,
    features: Sequence[str] | None = None,
    elapsed: bool = False,
    problem: Problem | None = None,
    seed: int = 0,
) -> Table:
    """Return a task of a data frame, as `from_file` does of a file.

    The whole frame is sent to workers with each run: save a large one as Parquet, and use `from_file`.

    Args:
        frame: a `pandas.DataFrame`; later changes of it have no effect.
        target: as in `from_file`, like all other arguments.
        group: as in `from_file`.
        time: as in `from_file`.
        features: as in `from_file`.
        elapsed: as in `from_file`.
        problem: as in `from_file`.
        seed: as in `from_file`.

    Raises:
        CompareError: as in `from_file`, or `frame` is not a data frame.
    """
    _require_pandas()
    import pandas as pd

    if not isinstance(frame, pd.DataFrame):
        raise CompareError(
            f"from_frame takes a pandas.DataFrame, not a {type(frame).__name__}; use from_file for a path"
        )
    frame = _with_columns(frame)
    digest = _digest(f"{frame.dtypes.to_dict()}\n{frame.to_csv()}".encode())
    columns = Columns(target, group, time, _names_of(features), elapsed)
    return _table(frame, {"digest": digest, "frame": frame}, columns, problem, seed)


def _table(frame: pd.DataFrame, origin: dict[str, Any], columns: Columns, problem: Problem | None, seed: int) -> Table:
    columns = checked_columns(frame, columns)
    table = Table(
        target=columns.target,
        group=columns.group,
        time=columns.time,
        features=columns.features or (),
        elapsed=columns.elapsed,
        problem=problem or infer_problem(frame, columns.target),
        seed=seed,
        **origin,
    )
    _load(table)  # errors of the data are raised here
    return table


def _names_of(features: Sequence[str] | None) -> tuple[str, ...] | None:
    if isinstance(features, str):  # a sequence of letters
        raise CompareError(f"features={features!r} is a single name: write [{features!r}]")
    return None if features is None else tuple(features)


@lru_cache(maxsize=4)
def _load(table: Table) -> tuple[Sequences, Splits]:
    """Return the data of a table; a process keeps that of the last four."""
    columns = Columns(table.target, table.group, table.time, table.features, table.elapsed)
    data = sequences_of(_frame_of(table), columns, classify=table.problem == "classification")
    return data, splits_of(data, elapsed=table.elapsed, seed=table.seed)


def _frame_of(table: Table) -> pd.DataFrame:
    if table.frame is not None:
        return table.frame
    content = Path(table.path).read_bytes()
    if _digest(content) != table.digest:
        raise CompareError(
            f"{table.path} has changed since the task was made of it: make it again with tasks.from_file"
        )
    return _read(content, Path(table.path))


def _with_columns(frame: pd.DataFrame) -> pd.DataFrame:
    """Return a copy whose columns are called by strings, among them the levels of the index that have a name."""
    drop = all(name is None for name in frame.index.names)
    frame = frame.reset_index(drop=drop, allow_duplicates=True)
    return frame.set_axis(frame.columns.map(str), axis="columns")


def _read(content: bytes, path: Path) -> pd.DataFrame:
    import pandas as pd

    suffix = path.suffix.lower()
    try:
        if suffix == ".csv":
            return _with_headings(_separated_by_commas(_read_csv(content, low_memory=False), path), content, path)
        if suffix in (".parquet", ".pq"):
            return _with_columns(pd.read_parquet(io.BytesIO(content)))
    except ImportError as error:
        raise CompareError("Parquet files need a reader: pip install pyarrow, or use a CSV file") from error
    except (ValueError, OSError) as error:
        raise CompareError(f"{path} is not a valid {suffix} file: {error}") from error
    raise CompareError(f"{path} is neither a .csv nor a .parquet file")


def _separated_by_commas(frame: pd.DataFrame, path: Path) -> pd.DataFrame:
    if len(frame.columns) == 1:
        for separator in (";", "\t", "|"):
            if separator in str(frame.columns[0]):
                raise CompareError(
                    f"{path} has columns that are separated by {separator!r}: separate them by commas, or use "
                    f"from_frame(pandas.read_csv(path, sep={separator!r}), ...)"
                )
    return frame


def _with_headings(frame: pd.DataFrame, content: bytes, path: Path) -> pd.DataFrame:
    """Return the columns with the headings of the file: pandas numbers those that occur twice, as in `x` and `x.1`."""
    import pandas as pd

    headings = _read_csv(content, header=None, nrows=1, dtype=str, keep_default_na=False).iloc[0]
    if not (frame.empty or isinstance(frame.index, pd.RangeIndex)):  # the first columns are the index
        raise CompareError(
            f"{path} has {len(headings)} headings, but more values in each row: remove commas at the ends of the rows, "
            "or add the missing headings"
        )
    return frame.set_axis([heading or name for heading, name in zip(headings, frame.columns, strict=True)], axis=1)


def _read_csv(content: bytes, **options: Any) -> pd.DataFrame:
    import pandas as pd

    return pd.read_csv(io.BytesIO(content), **options)


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:16]


def _require_pandas() -> None:
    if not find_spec("pandas"):
        raise CompareError("Tables need pandas: pip install 'rnnkit[compare]'")
