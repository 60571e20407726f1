"""`rnnkit validate`: all that is wrong in spec files."""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING, Any

import click

from rnnkit import RnnkitError, SpecFileError
from rnnkit.cli.console import Console
from rnnkit.cli.result import CommandResult, json_option, text_of

if TYPE_CHECKING:
    from rnnkit.files import FileProblem


@click.command(cls=CommandResult)
@click.argument("files", metavar="FILE...", nargs=-1, required=True, type=click.Path())
@click.option("--allow-unresolved", is_flag=True, help="Take kinds whose plugin is not installed here.")
@json_option
@click.pass_obj
def command(screen: Console, *, files: tuple[str, ...], allow_unresolved: bool, as_json: bool) -> None:
    """Find all that is wrong in spec files.

    Each FILE is a spec in YAML, TOML or JSON, or a saved model, of which the spec is read. A problem is one line: file,
    line, field, message. Exit status 1: there are some.
    """
    problems = {file: _problems(file, allow_unresolved=allow_unresolved) for file in files}
    screen.json(_facts(problems)) if as_json else _show(screen, problems)
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
        return [FileProblem(file, None, "", text_of(error).removeprefix(f"{file} "))]  # which the line begins with
    return []


def _facts(problems: dict[str, list[FileProblem]]) -> list[dict[str, Any]]:
    return [
        {"file": file, "ok": not found, "problems": [problem._asdict() for problem in found]}
        for file, found in problems.items()
    ]


def _show(screen: Console, problems: dict[str, list[FileProblem]]) -> None:
    for problem in chain.from_iterable(problems.values()):
        screen.records(str(problem))
    screen.text(_conclusion(problems))


def _conclusion(problems: dict[str, list[FileProblem]]) -> str:
    wrong, number = sum(map(bool, problems.values())), sum(map(len, problems.values()))
    if not number:
        return f"{_counted(len(problems), 'file')}, nothing wrong"
    return _counted(number, "problem") + (f" in {wrong} of {len(problems)} files" if len(problems) > 1 else "")


def _counted(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"
