"""The error of a file, which has all that is wrong with it, one line for each problem."""

from __future__ import annotations

import math
from collections.abc import Iterable

from rnnkit.errors import SpecFileError
from rnnkit.file_problem import FileProblem

_MOST_SHOWN = 20


def refusal(problems: Iterable[FileProblem]) -> SpecFileError:
    """The error that lists problems, one on each line, in the order of the file; of very many the first."""
    every = tuple(sorted(problems, key=_place_in_order))
    more = [f"and {len(every) - _MOST_SHOWN:,} more problems"] if len(every) > _MOST_SHOWN else []
    return SpecFileError("\n".join([*map(str, every[:_MOST_SHOWN]), *more]), every)


def _place_in_order(problem: FileProblem) -> tuple[bool, float]:
    """The overrides come last, and what is on no line after what is on one."""
    return problem.override is not None, math.inf if problem.line is None else problem.line
