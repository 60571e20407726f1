"""What all commands have in common: what becomes of errors, of warnings, and of what plugins print."""

from __future__ import annotations

import sys
import warnings
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

import click

from rnnkit import RnnkitError
from rnnkit.cli.console import Console


class CommandError(click.ClickException):
    """An error that is an answer: the command prints its text, and ends with status 1."""

    def __init__(self, error: Exception) -> None:
        super().__init__(text_of(error))

    def show(self, file: Any = None) -> None:  # noqa: ARG002  # as click has it
        Console().note(f"Error: {self.message}")


class CommandResult(click.Command):
    """A command. Stdout has its answer alone: what plugins print while they are imported goes to stderr."""

    def invoke(self, ctx: click.Context) -> Any:
        ctx.obj = Console()
        with redirect_stdout(sys.stderr), warnings.catch_warnings():
            warnings.showwarning = _show_warning
            try:
                return super().invoke(ctx)
            except BrokenPipeError:  # nobody reads on, which click takes well
                raise
            except (RnnkitError, OSError) as error:
                raise CommandError(error) from error


def _show_warning(message: Warning | str, *_where: object, **_more: object) -> None:
    Console().note(f"Warning: {message}")


def text_of(error: Exception) -> str:
    """The text of an error that is an answer: of a file that cannot be opened, or one of rnnkit's own."""
    if isinstance(error, OSError) and error.strerror:
        text = error.strerror if error.filename is None else f"{error.filename}: {error.strerror}"
    else:
        text = str(error)
    return "\n".join([text, *getattr(error, "__notes__", [])])


json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON.")
file_argument = click.argument("file", type=click.Path(path_type=Path))  # one that is missing is an answer, not misuse
