"""The command `rnnkit card`: writes the model cards of kinds, or checks that they are up to date."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from rnnkit import current_catalog
from rnnkit.cli.command import CommandError, RnnkitCommand, quote_argument
from rnnkit.cli.completion import complete_kind
from rnnkit.cli.console import Console
from rnnkit.cli.output_file import check_output, force_option, write_output

if TYPE_CHECKING:
    from rnnkit_cards.measurements import Measurements

DEFAULT_FOLDER = Path("docs/kinds")


@click.command("card", cls=RnnkitCommand)
@click.argument("kinds", metavar="KIND...", nargs=-1, required=True, shell_complete=complete_kind)
@click.option(
    "--folder",
    type=click.Path(path_type=Path, file_okay=False),
    default=DEFAULT_FOLDER,
    help="Folder of the cards [default: docs/kinds].",
)
@click.option("--measure", "measures", is_flag=True, help="Measure first; about a minute for each kind.")
@click.option("--check", "checks", is_flag=True, help="Write nothing; report cards that are out of date.")
@force_option
@click.pass_obj
def command(
    console: Console, *, kinds: tuple[str, ...], folder: Path, measures: bool, checks: bool, force: bool
) -> None:
    """Write the model card of a kind.

    Writes FOLDER/KIND.md for each KIND: a page in Markdown with drawings, generated from the record of the kind, from
    running it, and from the measurements in FOLDER/measured/KIND.json, which --measure writes. Replaces cards and
    measurements, and other files with --force only. Exit status 1: there are no measurements yet, or --check found a
    card that is out of date.
    """
    if measures and checks:
        raise click.UsageError("--check cannot be combined with --measure, because it writes nothing")
    names = _canonical_names(kinds)
    if not checks:
        for name in names:
            _check_files(name, folder, measures=measures, force=force)
    current = [_update(console, name, folder, measures=measures, checks=checks, force=force) for name in names]
    if not all(current):
        raise click.exceptions.Exit(1)


def _canonical_names(kinds: tuple[str, ...]) -> list[str]:
    """The canonical names of kinds.

    Raises:
        click.UsageError: two kinds would be written to the same file.
    """
    names = list(dict.fromkeys(current_catalog().canonical(kind) for kind in kinds))
    cards: dict[str, str] = {}
    for name in names:
        other = cards.setdefault(name.rpartition("/")[2], name)
        if other != name:
            raise click.UsageError(f"{other} and {name} have the same card: write each to a --folder of its own")
    return names


def _check_files(kind: str, folder: Path, *, measures: bool, force: bool) -> None:
    """Raise CommandError if a file that is neither a card nor measurements would be replaced, before any is."""
    from rnnkit_cards.files import card_path, is_card, is_measurements, measurements_path

    card, measurements = card_path(folder, kind), measurements_path(folder, kind)
    check_output(card, force=force or is_card(card), folder=folder)
    check_output(measurements, force=force or not measures or is_measurements(measurements), folder=folder)


def _update(console: Console, kind: str, folder: Path, *, measures: bool, checks: bool, force: bool) -> bool:
    """Write or check the card of a kind; return whether it is up to date now."""
    from rnnkit_cards import card_path, card_text, links_for, measure, measurements_path, save_measurements
    from rnnkit_cards.files import is_card

    if measures:
        measurements = measure(kind, progress=console.progress)
        _check_files(kind, folder, measures=True, force=force)  # again, since measuring takes a minute
        save_measurements(measurements, measurements_path(folder, kind))
    path, text = card_path(folder, kind), card_text(kind, _measurements(kind, folder), links=links_for(folder))
    is_current = path.is_file() and path.read_text(encoding="utf-8") == text
    if checks and not is_current:
        problem = "out of date" if path.exists() else "missing"
        console.note(f"Error: {path} is {problem}: run `{_command_line(kind, folder)}`")
        return False
    if not is_current:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_output(path, text, force=force or is_card(path), folder=folder)
    console.records(f"{path}: {'up to date' if is_current else 'written'}")
    return True


def _measurements(kind: str, folder: Path) -> Measurements:
    from rnnkit_cards import load_measurements, measurements_path

    path = measurements_path(folder, kind)
    try:
        return load_measurements(path)
    except FileNotFoundError as error:
        message = f"There are no measurements of {kind!r} in {path}: run `{_command_line(kind, folder)} --measure`"
        raise CommandError(message) from error


def _command_line(kind: str, folder: Path) -> str:
    return f"rnnkit card {kind}" + ("" if folder == DEFAULT_FOLDER else f" --folder {quote_argument(str(folder))}")
