"""Where the fields of a spec come from, and so who is to blame for what is wrong with one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from pydantic_core import ErrorDetails

from rnnkit._messages import short_repr
from rnnkit.files.problem import FileProblem
from rnnkit.files.spec.assignments import Assignment
from rnnkit.specs import Path, install_hint, provider_elsewhere

_LONGEST_KEY = 100
_LONGEST_MESSAGE = 2_000  # a file may have a name in it that is as long as the file


def _on_no_line(_path: Path) -> None:
    """The line of a value that stands in no text."""


@dataclass(frozen=True)
class Origin:
    """The file, and the overrides of what it says.

    Attributes:
        file: as the caller named it.
        line_of: finds the line of a value.
        assignments: the overrides.
        noted_plugin: who provides the kind, as the file says: `rnnkit-mgu==0.1.0`; None: it does not.
    """

    file: str
    line_of: Callable[[Path], int | None] = _on_no_line
    assignments: Sequence[Assignment] = ()
    noted_plugin: str | None = None

    @property
    def assigns_kind(self) -> bool:
        """Whether the kind is not the one of the file."""
        return any(each.path == ("kind",) for each in self.assignments)

    @property
    def plugin(self) -> str | None:
        """Who provides the kind; None: nobody has said."""
        return None if self.assigns_kind else self.noted_plugin

    def problem(self, path: Path, message: str, value: str | None = None) -> FileProblem:
        """What is wrong with a value, blamed on the override that set it, else on its line."""
        problem = FileProblem(self.file, None, ".".join(map(_shown, path)), _on_one_line(message), value)
        for each in reversed(self.assignments):  # the last one has the last word
            if each.covers(path):
                return problem._replace(override=each.given)
        return problem._replace(line=self.line_of(path))

    def problem_of(self, error: ErrorDetails) -> FileProblem:
        """What pydantic found wrong with a spec."""
        path = tuple(map(str, error["loc"]))
        match error["type"]:
            case "missing":  # on no line
                return self.problem(path, error["msg"])._replace(line=None)
            case "unknown_field":  # its name is what is wrong
                return self.problem(path, error["msg"])
            case "unknown_kind":
                return self.problem(path, self._unknown_kind(error))
            case _:
                return self.problem(path, error["msg"], short_repr(error["input"]))

    def _unknown_kind(self, error: ErrorDetails) -> str:
        kind = error["input"]
        provider = provider_elsewhere(kind, self.plugin)
        if provider is None:
            return error["msg"]
        message = error["msg"] if self.plugin is None else install_hint(provider, kind)
        return f"{message.removesuffix('.')}; with allow_unresolved=True it can be read, changed and saved as it is"


def _on_one_line(message: str) -> str:
    line = " ".join(message.splitlines())
    return line if len(line) <= _LONGEST_MESSAGE else f"{line[:_LONGEST_MESSAGE]}..."


def _shown(key: str) -> str:
    """A part of a path, which a file may have made unprintable."""
    return key if key.isprintable() and len(key) <= _LONGEST_KEY else short_repr(key)
