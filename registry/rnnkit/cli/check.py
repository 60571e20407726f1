"""`rnnkit check`: holds a kind to what rnnkit promises of every kind."""

from __future__ import annotations

import click

from rnnkit.cli.completion import complete_kind
from rnnkit.cli.console import Console
from rnnkit.cli.escape import escape_control_chars
from rnnkit.cli.result import CommandResult, json_option

_COLORS = {"passed": "green", "FAILED": "red", "n/a": "yellow"}


@click.command(cls=CommandResult)
@click.argument("kind", shell_complete=complete_kind)
@click.option("--only", multiple=True, metavar="PATTERN", help="Only promises like this; may be repeated.")
@json_option
@click.pass_obj
def command(screen: Console, *, kind: str, only: tuple[str, ...], as_json: bool) -> None:
    """Hold a kind to what rnnkit promises of all kinds.

    Puts every promise of the conformance kit to KIND, which takes some seconds. What is not applicable (n/a) is what
    the kind cannot do. PATTERN is a part of a promise's name, or a pattern as in a shell. Exit status 1: one is broken.
    """
    from rnnkit.testing import check_kind  # with torch

    try:
        report = check_kind(kind, only=only or None)
    except ValueError as error:  # no such promise, or no spec that the kind takes
        raise click.UsageError(str(error)) from error
    screen.json(report.to_dict()) if as_json else screen.raw(_colored(escape_control_chars(report.text(screen.width))))
    if report.failed:
        raise click.exceptions.Exit(1)


def _colored(text: str) -> str:
    """The text of a report with its outcomes in colour, and its tiers in bold."""
    return "\n".join(_colored_line(line) for line in text.split("\n"))


def _colored_line(line: str) -> str:
    for outcome, color in _COLORS.items():
        if line.startswith(f"  {outcome} "):
            return line.replace(outcome, click.style(outcome, fg=color), 1)
    return click.style(line, bold=True) if line and not line.startswith(" ") else line
