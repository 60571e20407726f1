"""The base class of commands: handles errors, warnings, and text that plugins print."""

from __future__ import annotations

import builtins
import os
import sys
import warnings
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

import click

from rnnkit import PluginError, RnnkitError, current_catalog
from rnnkit._messages import describe_exception, first_lines, notes_of
from rnnkit.catalog import candidates_by_distribution
from rnnkit.catalog.discovery import OWN
from rnnkit.cli.console import Console

_HANDLED_BY_CLICK = (click.ClickException, click.exceptions.Exit, click.Abort, BrokenPipeError)


def quote_argument(text: str) -> str:
    """Return an argument as a shell takes it: if necessary in single quotes, on Windows in double ones."""
    import shlex
    import subprocess  # takes long

    return subprocess.list2cmdline([text]) if os.name == "nt" else shlex.quote(text)


class CommandError(click.ClickException):
    """An expected error: the command prints its message and exits with status 1."""

    def show(self, file: Any = None) -> None:  # noqa: ARG002  # click's signature
        Console().note(f"Error: {self.message}")


class RnnkitCommand(click.Command):
    """A command whose stdout has its result only; text that plugins print during import goes to stderr."""

    def invoke(self, ctx: click.Context) -> Any:
        ctx.obj = Console()
        current: list[Any] = [vars(builtins), vars(click), sys.modules]
        originals = [dict(each) for each in current]
        with redirect_stdout(sys.stderr), warnings.catch_warnings():
            warnings.showwarning = _show_warning
            try:
                return super().invoke(ctx)
            except BaseException as error:
                for each, original in zip(current, originals, strict=True):
                    each.update(original)  # a plugin may have replaced what an error message needs
                if not isinstance(error, Exception) or isinstance(error, _HANDLED_BY_CLICK):
                    raise
                if text := _explanation(error):
                    raise CommandError(text) from error
                raise


def _explanation(error: Exception) -> str | None:
    """Return the message of an error; None for a fault of rnnkit itself."""
    if isinstance(error, (RnnkitError, OSError)):
        return error_text(error)
    # torch and pydantic read the entry points of all distributions, and fail if those of one are unreadable
    if problems := _installation_problems():
        return _installation_error(error, problems)
    culprits = _culprits()
    return "\n".join([describe_exception(error), *first_lines(culprits)]) if culprits else None


def _installation_problems() -> list[PluginError]:
    try:
        return current_catalog().problems()
    except Exception:  # noqa: BLE001  # a plugin may have damaged the catalog, too
        return []


def _installation_error(error: Exception, problems: list[PluginError]) -> str:
    advice = "Run `rnnkit doctor` to check the installation."
    return "\n".join([describe_exception(error), *first_lines(map(str, problems), "problem"), advice])


def _culprits() -> list[str]:
    """Return a line for each imported plugin that changes other packages or the settings of the process."""
    from rnnkit.cli._doctor_runner import harmful_changes

    loaded = {
        distribution
        for distribution, candidates in candidates_by_distribution().items()
        if distribution != OWN and any(each.value.partition(":")[0] in sys.modules for each in candidates)
    }
    return harmful_changes(sorted(loaded))


def _show_warning(message: Warning | str, *_where: object, **_more: object) -> None:
    Console().note(f"Warning: {message}")


def error_text(error: Exception) -> str:
    """Return the message of an expected error, with its notes."""
    if isinstance(error, OSError) and error.strerror:
        text = error.strerror if error.filename is None else f"{error.filename}: {error.strerror}"
    else:
        text = str(error)
    return "\n".join([text, *notes_of(error)])


json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON.")
# a missing file is a negative result (status 1), not a usage error, so click does not check that it exists
file_argument = click.argument("file", type=click.Path(path_type=Path))
