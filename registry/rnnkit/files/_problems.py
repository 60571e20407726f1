"""Problems of files: `FileProblem`, and lists of problems in error messages."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from pydantic import ValidationError

from rnnkit._messages import dotted, first_lines, short_repr, shorten


class FileProblem(NamedTuple):
    """A problem of a file; `str` returns a line such as `model.yaml:7: dropout: Input should be ..., but is 2`.

    Attributes:
        file: the path as the caller gave it; `spec` for a spec that is not from a file.
        line: counted from 1; None: unknown, or the problem is not on a line.
        field: path of the value, such as `options.proj_size`; empty: the whole file.
        message: the rule that is broken, and how to fix it.
        value: `repr` of the value; None: there is none, or the message has it.
        override: the `KEY=VALUE` that set the value; None: the file did.
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
        file = shorten(self.file)
        return file if self.line is None else f"{file}:{self.line}"

    @property
    def _sentence(self) -> str:
        if self.value is None:
            return self.message
        states_rule = " should " in self.message
        return f"{self.message}, but is {self.value}" if states_rule else f"{self.message} (given: {self.value})"


def listing(problems: Iterable[str]) -> str:
    """Format problems one on each line, to follow an introduction; an empty string if there are none."""
    return "".join(f"\n  {each}" for each in first_lines(problems))


def problem_lines(error: ValidationError) -> list[str]:
    """Format each line of pydantic's error as `field: message, but is value`."""
    return [
        f"{dotted(line['loc'])}: {line['msg']}, but is {short_repr(line['input'])}"
        for line in error.errors(include_url=False)
    ]
