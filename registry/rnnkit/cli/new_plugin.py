"""`rnnkit new-plugin`: writes the distribution of a new plugin."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any

import click

from rnnkit.cli.console import Console
from rnnkit.cli.result import CommandResult, json_option
from rnnkit.cli.scaffold.folder import write_folder
from rnnkit.cli.scaffold.names import Names, names_of
from rnnkit.cli.scaffold.problems import Objection, objections
from rnnkit.cli.scaffold.project import ProjectFile, project_files
from rnnkit.cli.table import Column

COLUMNS = [Column("file"), Column("about", wraps=True)]


@click.command(cls=CommandResult)
@click.argument("name")
@click.option("--kind", help="The kind that it provides; else as NAME, without a leading rnnkit-.")
@click.option(
    "--directory", type=click.Path(path_type=Path), default=".", help="Where to make its folder; else right here."
)
@json_option
@click.pass_obj
def command(screen: Console, *, name: str, kind: str | None, directory: Path, as_json: bool) -> None:
    """Write a plugin to start from: a kind, with its tests.

    Makes the folder NAME: a distribution of that name, with a small cell to replace, its options, a test file, a README
    and a CI workflow. Its tests pass as it stands. Nothing is overwritten. Exit status 1: it, or its kind, is there
    already.
    """
    _refuse(screen, objections(name, kind, directory))
    names, folder = names_of(name, kind), directory / name
    files = project_files(names)
    write_folder(folder, {file.path: file.text for file in files})
    facts = _facts(names, folder, files)
    screen.json(facts) if as_json else _show(screen, facts)


def _refuse(screen: Console, found: list[Objection]) -> None:
    """Tell all that speaks against the plugin, and end the command if there is anything."""
    for each in found:
        screen.note(f"Error: {each.message}")
    if found:
        raise click.exceptions.Exit(2 if any(each.misuse for each in found) else 1)


def _facts(names: Names, folder: Path, files: list[ProjectFile]) -> dict[str, Any]:
    return {
        "distribution": names.distribution,
        "kind": names.full_kind,
        "module": names.module,
        "folder": str(folder),
        "files": [{"file": file.path, "about": file.about} for file in files],
    }


def _show(screen: Console, facts: dict[str, Any]) -> None:
    screen.text(f"{facts['folder']}: a distribution that provides the kind {facts['kind']}")
    screen.text("")
    screen.table(COLUMNS, facts["files"])
    screen.text("\nTo try it, as it is and with a cell of your own:")
    screen.raw("\n".join(f"  {line}" for line in _next(facts)))


def _next(facts: dict[str, Any]) -> list[str]:
    return [
        f"cd {shlex.quote(facts['folder'])}",
        "python -m venv .venv",
        "source .venv/bin/activate",
        'pip install -e ".[test]"',
        "pytest",
        f"rnnkit show {facts['kind']}",
    ]
