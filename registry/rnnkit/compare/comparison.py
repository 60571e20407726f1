"""The results of a comparison: a file, and what is shown of it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rnnkit.compare.environment import Environment
from rnnkit.compare.run import RunResult
from rnnkit.compare.training import Point
from rnnkit.errors import CompareError
from rnnkit.files import atomic_write

FORMAT = 1  # of the files; a larger number is refused


class Comparison:
    """The results of runs, in the order of their labels, tasks and seeds.

    Attributes:
        results: one for each run.
    """

    def __init__(self, results: Iterable[RunResult]) -> None:
        by_key = {result.key: result for result in results}  # the later one of a run counts
        self.results: Sequence[RunResult] = sorted(by_key.values(), key=lambda each: (each.task, each.label, each.seed))

    def save(self, path: str | Path) -> None:
        """Write the results to a JSON file, which `load` reads; an existing file is replaced at once."""
        content = {"format": FORMAT, "results": [asdict(each) for each in self.results]}
        with atomic_write(path) as temporary:
            temporary.write_text(json.dumps(content, indent=1, allow_nan=False) + "\n", encoding="utf-8")

    @classmethod
    def load(cls, path: str | Path) -> Comparison:
        """Read the results from a file.

        Raises:
            CompareError: the file does not hold the results of a comparison, or those of a later version of rnnkit.
            OSError: the file cannot be read.
        """
        try:
            content = json.loads(Path(path).read_text("utf-8"))
            if content["format"] > FORMAT:
                raise CompareError(f"{path} was written by a later version of rnnkit: update rnnkit to read it")
            return cls(map(_result, content["results"]))
        except (KeyError, TypeError, ValueError) as error:
            raise CompareError(f"{path} does not hold the results of a comparison: {error!r}") from error

    def merge(self, other: Comparison) -> Comparison:
        """Return the results of both; of a run that is in both, the result of `other`."""
        return Comparison([*self.results, *other.results])


def _result(fields: dict[str, Any]) -> RunResult:
    curve = [Point(*each) for each in fields.pop("curve")]
    return RunResult(**{**fields, "curve": curve, "environment": Environment(**fields.pop("environment"))})
