"""`rnnkit page`: writes the documentation page of a kind."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING

import click

from rnnkit import current_catalog
from rnnkit.cli.command import CommandError, RnnkitCommand
from rnnkit.cli.completion import complete_kind
from rnnkit.cli.console import Console

if TYPE_CHECKING:
    from rnnkit.kind_page import Measurements

DEFAULT = Path("docs/kinds")


@click.command(cls=RnnkitCommand)
@click.argument("kinds", metavar="KIND...", nargs=-1, required=True, shell_complete=complete_kind)
@click.option(
    "--folder",
    type=click.Path(path_type=Path, file_okay=False),
    default=DEFAULT,
    help="Where the pages are; else docs/kinds.",
)
@click.option("--measure", "measures", is_flag=True, help="Take new measurements first; a minute for each kind.")
@click.option("--check", "checks", is_flag=True, help="Write nothing; say which pages are not up to date.")
@click.pass_obj
def command(screen: Console, *, kinds: tuple[str, ...], folder: Path, measures: bool, checks: bool) -> None:
    """Write the documentation page of a kind.

    Makes a page in Markdown of each KIND, with drawings in it, from its record, from running it, and from what was
    measured of it: FOLDER/KIND.md, and FOLDER/measured/KIND.json, which --measure writes. Exit status 1: there are no
    measurements yet, or --check finds a page that is not up to date.
    """
    if measures and checks:
        raise click.UsageError("--check writes nothing, so that it does not go with --measure")
    names = _names(kinds)
    stale = [each for each in names if not _make(screen, each, folder, measures=measures, checks=checks)]
    if stale:
        raise click.exceptions.Exit(1)


def _names(kinds: tuple[str, ...]) -> list[str]:
    """The canonical names, of which no two have one page."""
    names = list(dict.fromkeys(current_catalog().canonical(kind) for kind in kinds))
    pages: dict[str, str] = {}
    for name in names:
        other = pages.setdefault(name.rpartition("/")[2], name)
        if other != name:
            raise click.UsageError(f"{other} and {name} would have one page: give each a --folder of its own")
    return names


def _make(screen: Console, kind: str, folder: Path, *, measures: bool, checks: bool) -> bool:
    """Write the page of a kind, or check it; whether it is up to date now."""
    from rnnkit.kind_page import links_beside, measure, measurements_path, page_path, page_text, save_measurements
    from rnnkit.kind_page.files import write_text

    if measures:
        save_measurements(measure(kind, progress=screen.progress), measurements_path(folder, kind))
    page, text = page_path(folder, kind), page_text(kind, _measurements(kind, folder), links=links_beside(folder))
    is_current = page.is_file() and page.read_text(encoding="utf-8") == text
    if checks:
        _say(screen, page, kind, folder, is_current=is_current)
        return is_current
    if not is_current:
        write_text(page, text)
    screen.records(f"{page}: {'up to date' if is_current else 'written'}")
    return True


def _say(screen: Console, page: Path, kind: str, folder: Path, *, is_current: bool) -> None:
    if is_current:
        screen.records(f"{page}: up to date")
    else:
        what = "not up to date" if page.exists() else "not there"
        screen.note(f"Error: {page} is {what}: run `{_call(kind, folder)}`")


def _measurements(kind: str, folder: Path) -> Measurements:
    from rnnkit.kind_page import load_measurements, measurements_path

    path = measurements_path(folder, kind)
    try:
        return load_measurements(path)
    except FileNotFoundError as error:
        why = f"{path} is not there, which has what was measured of {kind}: run `{_call(kind, folder)} --measure`"
        raise CommandError(why) from error


def _call(kind: str, folder: Path) -> str:
    return f"rnnkit page {kind}" + ("" if folder == DEFAULT else f" --folder {shlex.quote(str(folder))}")
