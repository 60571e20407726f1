"""`rnnkit validate`: validates spec files."""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING, Any

import click

from rnnkit import RnnkitError, SpecFileError
from rnnkit._messages import counted
from rnnkit.cli.command import RnnkitCommand, error_text, json_option
from rnnkit.cli.console import Console

if TYPE_CHECKING:
    from rnnkit.files import FileProblem


@click.command(cls=RnnkitCommand)
@click.argument("files", metavar="FILE...", nargs=-1, required=True, type=click.Path())
@click.option("--allow-unresolved", is_flag=True, help="Accept kinds whose plugin is not installed.")
@json_option
@click.pass_obj
def command(console: Console, *, files: tuple[str, ...], allow_unresolved: bool, as_json: bool) -> None:
    """Validate spec files.

    Each FILE is a spec in YAML, TOML or JSON, or a saved model, whose spec is validated. Prints one line for each
    problem: file, line, field, message. Exit status 1: there are problems.
    """
    problems = {file: _problems(file, allow_unresolved=allow_unresolved) for file in files}
    console.json(_facts(problems)) if as_json else _show(console, problems)
    if any(problems.values()):
        raise click.exceptions.Exit(1)


def _problems(file: str, *, allow_unresolved: bool) -> list[FileProblem]:
    from rnnkit.files import FileProblem
    from rnnkit.files.spec import load_spec

    try:
        load_spec(file, allow_unresolved=allow_unresolved)
    except SpecFileError as error:
        return list(error.problems)
    except OSError as error:
        return [FileProblem(file, None, "", error.strerror or str(error))]
    except RnnkitError as error:
        return [FileProblem(file, None, "", error_text(error).removeprefix(f"{file} "))]  # the line starts with it
    return []


def _facts(problems: dict[str, list[FileProblem]]) -> list[dict[str, Any]]:
    return [
        {"file": file, "ok": not found, "problems": [problem._asdict() for problem in found]}
        for file, found in problems.items()
    ]


def _show(console: Console, problems: dict[str, list[FileProblem]]) -> None:
    for problem in chain.from_iterable(problems.values()):
        console.records(str(problem))
    console.text(_conclusion(problems))


def _conclusion(problems: dict[str, list[FileProblem]]) -> str:
    wrong, number = sum(map(bool, problems.values())), sum(map(len, problems.values()))
    if not number:
        return f"{counted(len(problems), 'file')}, no problems"
    return counted(number, "problem") + (f" in {wrong} of {len(problems)} files" if len(problems) > 1 else "")
