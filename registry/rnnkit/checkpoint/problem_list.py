"""The problems of a file, one on each line of a message."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice

from pydantic import ValidationError

from rnnkit.explain import words

_MOST = 20


def listing(problems: Iterable[str]) -> str:
    """Each problem on a line of its own, below a line that introduces them; of many the first. Empty for none."""
    shown = list(islice(problems, _MOST + 1))
    if len(shown) > _MOST:  # a file that somebody made up could have millions
        shown[_MOST] = "and more"
    return "".join(f"\n  {each}" for each in shown)


def problem_lines(error: ValidationError) -> list[str]:
    """What pydantic found, as `field: message, but is value`."""
    return [
        f"{dotted(line['loc'])}: {line['msg']}, but is {words(line['input'])}"
        for line in error.errors(include_url=False)
    ]


def dotted(path: Iterable[int | str]) -> str:
    """The path of a field, of which a file may have made something that cannot be printed."""
    return ".".join(text if (text := str(part)).isprintable() else ascii(text) for part in path)
