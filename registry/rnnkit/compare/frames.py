"""The results of a comparison as pandas data frames."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, fields
from typing import TYPE_CHECKING, Any

from rnnkit.compare.requirements import require
from rnnkit.compare.run import RunResult
from rnnkit.compare.scores import flat
from rnnkit.compare.training import Point

if TYPE_CHECKING:
    import pandas as pd

_NESTED = ("spec", "training", "environment")


def results_frame(results: Sequence[RunResult]) -> pd.DataFrame:
    """Return one row for each run."""
    require("A data frame", "pandas")
    import pandas as pd

    plain = [name.name for name in fields(RunResult) if name.name not in (*_NESTED, "curve")]
    rows = [_row(each) for each in results]
    columns = dict.fromkeys([*plain, *(name for row in rows for name in row)])
    return pd.DataFrame(rows, columns=[*columns]).astype({"score": float, "chance": float})


def curves_frame(results: Sequence[RunResult]) -> pd.DataFrame:
    """Return one row for each point of each learning curve."""
    require("A data frame", "pandas")
    import pandas as pd

    columns = ["key", "label", "task", "metric", "seed", *Point._fields]
    rows = [
        (each.key, each.label, each.task, each.metric, each.seed, *point) for each in results for point in each.curve
    ]
    return pd.DataFrame(rows, columns=columns)


def _row(result: RunResult) -> dict[str, Any]:
    row = asdict(result)
    del row["curve"]
    for name in _NESTED:
        row.update(flat(row.pop(name), f"{name}."))
    return row
