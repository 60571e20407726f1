"""One thing that is wrong with a file, or with an override of what it says."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice
from typing import NamedTuple

from pydantic import ValidationError

from rnnkit._messages import short_repr


class FileProblem(NamedTuple):
    """One thing that is wrong, whose text is a line such as `model.yaml:7: dropout: Input should be ..., but is 2`.

    Attributes:
        file: as the caller named it; of a spec that comes from no file, `spec`.
        line: counted from 1; None: the fault is on no line, or on one that nobody knows.
        field: the path of the value, such as `options.proj_size`; empty: the whole.
        message: which rule is broken, and what to do about it.
        value: what is there instead, as Python writes it; None: nothing, or the message says it.
        override: the `KEY=VALUE` that is to blame; None: the file itself.
    """

    file: str
    line: int | None
    field: str
    message: str
    value: str | None = None
    override: str | None = None

    def __str__(self) -> str:
        names_field = self.override is not None and self.override.partition("=")[0].strip() == self.field
        return ": ".join(filter(None, [self._place, "" if names_field else self.field, self._sentence]))

    @property
    def _place(self) -> str:
        if self.override is not None:
            return f"override {short_repr(self.override)}"
        return self.file if self.line is None else f"{self.file}:{self.line}"

    @property
    def _sentence(self) -> str:
        if self.value is None:
            return self.message
        says_what_should_be = " should " in self.message
        return (
            f"{self.message}, but is {self.value}" if says_what_should_be else f"{self.message} (given: {self.value})"
        )


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
        f"{dotted(line['loc'])}: {line['msg']}, but is {short_repr(line['input'])}"
        for line in error.errors(include_url=False)
    ]


def dotted(path: Iterable[int | str]) -> str:
    """The path of a field, of which a file may have made something that cannot be printed."""
    return ".".join(text if (text := str(part)).isprintable() else ascii(text) for part in path)
