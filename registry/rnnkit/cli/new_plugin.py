"""`rnnkit new-plugin`: creates the project of a new plugin."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import click

from rnnkit._table import Column
from rnnkit.cli.command import RnnkitCommand, json_option, quote_argument
from rnnkit.cli.console import Console
from rnnkit.cli.scaffold import (
    NameProblem,
    Names,
    ProjectFile,
    find_problems,
    names_of,
    project_files,
    write_folder,
)

COLUMNS = [Column("file"), Column("description", wraps=True)]


@click.command(cls=RnnkitCommand)
@click.argument("name")
@click.option("--kind", help="Name of its kind; default: NAME without a leading rnnkit-.")
@click.option(
    "--directory", type=click.Path(path_type=Path), default=".", help="Parent of its folder; default: the current one."
)
@json_option
@click.pass_obj
def command(console: Console, *, name: str, kind: str | None, directory: Path, as_json: bool) -> None:
    """Create a plugin project: a kind, with its tests.

    Creates the folder NAME: a distribution of that name, with a small cell to replace, its options, a test file, a
    README and a CI workflow. Its tests pass as it is. Nothing is overwritten. Exit status 1: the project or its kind
    already exists.
    """
    _exit_on(console, find_problems(name, kind, directory))
    names, folder = names_of(name, kind), directory / name
    files = project_files(names)
    write_folder(folder, {file.path: file.text for file in files})
    facts = _facts(names, folder, files)
    console.json(facts) if as_json else _show(console, facts)


def _exit_on(console: Console, problems: list[NameProblem]) -> None:
    for problem in problems:
        console.note(f"Error: {problem.message}")
    if problems:
        raise click.exceptions.Exit(2 if any(problem.misuse for problem in problems) else 1)


def _facts(names: Names, folder: Path, files: list[ProjectFile]) -> dict[str, Any]:
    return {
        "distribution": names.distribution,
        "kind": names.full_kind,
        "module": names.module,
        "folder": str(folder),
        "files": [{"file": file.path, "description": file.description} for file in files],
    }


def _show(console: Console, facts: dict[str, Any]) -> None:
    console.text(f"{facts['folder']}: a distribution that provides the kind {facts['kind']}")
    console.text("")
    console.table(COLUMNS, facts["files"])
    console.text("\nNext steps:")
    console.raw("\n".join(f"  {line}" for line in _next_steps(facts)))


def _next_steps(facts: dict[str, Any]) -> list[str]:
    return [
        f"cd {quote_argument(facts['folder'])}",
        "python -m venv .venv",
        r".venv\Scripts\activate" if os.name == "nt" else "source .venv/bin/activate",
        'pip install -e ".[test]"',
        "pytest",
        f"rnnkit show {facts['kind']}",
    ]
