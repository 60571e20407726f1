"""The file of a comparison: JSON, with one line for each run."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict
from functools import cache
from pathlib import Path
from typing import Any

from pydantic import ConfigDict, TypeAdapter, ValidationError

from rnnkit._messages import counted, dotted, short_repr
from rnnkit.compare.run import RunResult
from rnnkit.errors import CompareError
from rnnkit.files import atomic_write

FORMAT = 1  # of the files; a larger number is refused
_SHOWN = 3  # problems of a file


def write_results(results: Iterable[RunResult], path: str | Path) -> None:
    """Write results to a file, which is replaced completely or not at all.

    Raises:
        OSError: the file cannot be written.
    """
    lines = ",\n".join(json.dumps(asdict(each), allow_nan=False) for each in results)
    with atomic_write(path) as temporary:
        content = f'{{"format": {FORMAT}, "results": [\n{lines}\n]}}\n'
        temporary.write_text(content, encoding="utf-8", newline="\n")


def read_results(path: str | Path) -> list[RunResult]:
    """Read results from a file.

    Raises:
        CompareError: the file does not hold the results of a comparison, or was written by a later version of rnnkit.
        OSError: the file cannot be read.
    """
    content = _parsed(path)
    if not isinstance(content, dict) or not isinstance(content.get("results"), list):
        raise _error(path, "it has no list `results`")
    found = content.get("format")
    if type(found) is not int or found < 1:
        raise _error(path, f"its `format` is {short_repr(found)}")
    if found > FORMAT:
        raise CompareError(
            f"{path} was written by a later version of rnnkit (format {found}): update rnnkit to read it"
        )
    try:
        return _adapter().validate_python(content["results"])
    except ValidationError as error:
        raise _error(path, _described(error)) from error


def _parsed(path: str | Path) -> Any:
    try:
        return json.loads(Path(path).read_text("utf-8"))
    except ValueError as error:  # of JSON, or of UTF-8
        raise _error(path, f"it is not valid JSON ({error})") from error
    except RecursionError as error:
        raise _error(path, "its JSON is nested too deeply") from error


@cache
def _adapter() -> TypeAdapter[list[RunResult]]:
    return TypeAdapter(list[RunResult], config=ConfigDict(extra="forbid", allow_inf_nan=False))


def _described(error: ValidationError) -> str:
    problems = error.errors(include_url=False)
    lines = [
        f"{dotted(('results', *each['loc']))}: {each['msg']}, not {short_repr(each['input'])}"
        for each in problems[:_SHOWN]
    ]
    more = [f"and {counted(len(problems) - _SHOWN, 'more problem')}"] if len(problems) > _SHOWN else []
    return "; ".join(lines + more)


def _error(path: str | Path, problem: str) -> CompareError:
    return CompareError(
        f"{path} does not hold the results of a comparison: {problem}. It is written by `Comparison.save` and "
        "`compare(file=...)`"
    )
