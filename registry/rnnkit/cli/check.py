"""`rnnkit check`: runs the conformance checks on a kind."""

from __future__ import annotations

import re
import shlex

import click

from rnnkit._messages import escape_control_chars, first_lines
from rnnkit.catalog import current_catalog
from rnnkit.catalog.discovery import LOCAL, OWN
from rnnkit.cli._doctor_runner import harmful_changes
from rnnkit.cli.command import CommandError, RnnkitCommand, json_option
from rnnkit.cli.completion import complete_kind
from rnnkit.cli.console import Console

_COLORS = {"passed": "green", "FAILED": "red", "n/a": "yellow"}


@click.command(cls=RnnkitCommand)
@click.argument("kind", shell_complete=complete_kind)
@click.option("--only", multiple=True, metavar="PATTERN", help="Run only the checks whose names match; repeatable.")
@click.option("--spec", multiple=True, metavar="KEY=VALUE", help="Set a field of every spec; repeatable.")
@click.option(
    "--options",
    multiple=True,
    metavar="KEY=VALUE...",
    help="Also run the checks with these options; repeatable.",
)
@click.option(
    "--seed", type=int, default=0, show_default=True, help="Seed of the sizes that some checks draw at random."
)
@json_option
@click.pass_obj
def command(
    console: Console,
    *,
    kind: str,
    only: tuple[str, ...],
    spec: tuple[str, ...],
    options: tuple[str, ...],
    seed: int,
    as_json: bool,
) -> None:
    """Run the conformance checks on a kind.

    Takes some seconds. Ends at once if the import of the plugin changes other packages or settings of the process. A
    check is not applicable (n/a) if KIND lacks the feature that it tests. PATTERN is a part of the name of a check, or
    a shell pattern. If KIND needs other sizes than those that the checks try, or options that fit the sizes, set them:
    --spec hidden_size=12 --spec options.height=3 --options "height=2 width=6". The checks test the recurrent network,
    without an embedding of tokens. A report shows the seed of the sizes that were drawn. Exit status 1: a check failed.
    """
    _check_import(kind)
    from rnnkit.files.spec import fields_of
    from rnnkit.testing import check_kind  # imports torch

    try:
        given = [fields_of(shlex.split(each)) for each in options]
        report = check_kind(kind, spec=fields_of(spec), options=given, only=only or None, seed=seed)
    except ValueError as error:  # no such check, no valid spec of the kind, or no KEY=VALUE
        raise click.UsageError(str(error)) from error
    console.json(report.to_dict()) if as_json else console.raw(
        _colored(escape_control_chars(report.text(console.width)))
    )
    if report.failed:
        raise click.exceptions.Exit(1)


def _check_import(kind: str) -> None:
    """Import the plugin of a third party in a process of its own first: the checks need what it may have broken."""
    resolution = current_catalog().resolve(kind)
    chosen = None if resolution.chosen is None else resolution.chosen.distribution
    if chosen not in (None, OWN, LOCAL) and (problems := harmful_changes([chosen])):
        raise CommandError("\n".join(first_lines(problems, "problem")))


def _colored(text: str) -> str:
    """Colour the outcomes of a report, and make its headings bold."""
    headings = re.sub(r"^\S.*$", lambda line: click.style(line[0], bold=True), text, flags=re.MULTILINE)
    outcomes = rf"^  ({'|'.join(_COLORS)}) "
    return re.sub(
        outcomes, lambda found: f"  {click.style(found[1], fg=_COLORS[found[1]])} ", headings, flags=re.MULTILINE
    )
