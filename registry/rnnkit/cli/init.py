"""`rnnkit init`: writes a commented spec file."""

from __future__ import annotations

from pathlib import Path

import click

from rnnkit.cli.completion import complete_kind
from rnnkit.cli.console import Console
from rnnkit.cli.result import CommandResult


@click.command(cls=CommandResult)
@click.argument("kind", shell_complete=complete_kind)
@click.option("--output", "-o", type=click.Path(path_type=Path), help="The file to write; else it is printed.")
@click.option("--format", "given", type=click.Choice(["yaml", "toml"]), help="Else as --output ends, or yaml.")
@click.option("--force", is_flag=True, help="Overwrite a file that is there.")
@click.pass_obj
def command(screen: Console, *, kind: str, output: Path | None, given: str | None, force: bool) -> None:
    """Write a commented spec file.

    It has every field of a spec and every option of KIND, with what they mean and their defaults. The sizes are
    examples. It is valid as it stands.
    """
    from rnnkit.cli.commented_spec import commented_toml, commented_yaml
    from rnnkit.cli.example_spec import example_spec

    in_format = {"yaml": commented_yaml, "toml": commented_toml}[_format(output, given)]
    text = in_format(example_spec(kind))
    if output is None:
        screen.raw(text)
    else:
        _write(output, text, force=force)


def _format(output: Path | None, given: str | None) -> str:
    if output is None:
        return given or "yaml"
    found = {".yaml": "yaml", ".yml": "yaml", ".toml": "toml"}.get(output.suffix.lower())
    if found is None:
        raise click.UsageError(f"A spec file with comments ends in .yaml, .yml or .toml, but {str(output)!r} does not")
    if given not in {None, found}:
        raise click.UsageError(f"--format {given} does not go with a file that is called {str(output)!r}")
    return found


def _write(output: Path, text: str, *, force: bool) -> None:
    try:
        with output.open("w" if force else "x", encoding="utf-8", newline="\n") as file:
            file.write(text)
    except FileExistsError:
        raise click.ClickException(f"{output} is there already: add --force to overwrite it") from None
