"""`rnnkit init`: writes a commented spec file."""

from __future__ import annotations

from pathlib import Path

import click

from rnnkit.cli.command import RnnkitCommand
from rnnkit.cli.completion import complete_kind
from rnnkit.cli.console import Console
from rnnkit.cli.output_file import force_option, write_output


@click.command(cls=RnnkitCommand)
@click.argument("kind", shell_complete=complete_kind)
@click.option("--output", "-o", type=click.Path(path_type=Path), help="File to write; default: stdout.")
@click.option("--format", "given", type=click.Choice(["yaml", "toml"]), help="Default: from the suffix of --output.")
@force_option
@click.pass_obj
def command(console: Console, *, kind: str, output: Path | None, given: str | None, force: bool) -> None:
    """Write a commented spec file.

    It has every field of a spec and every option of KIND, with its documentation and its default. The sizes are
    examples. The file is valid as it is.
    """
    from rnnkit.cli._commented_spec import commented_toml, commented_yaml
    from rnnkit.cli._kinds import example_spec

    in_format = {"yaml": commented_yaml, "toml": commented_toml}[_format(output, given)]
    text = in_format(example_spec(kind))
    if output is None:
        console.file_content(text)
    else:
        write_output(output, text, force=force)


def _format(output: Path | None, given: str | None) -> str:
    if output is None:
        return given or "yaml"
    found = {".yaml": "yaml", ".yml": "yaml", ".toml": "toml"}.get(output.suffix.lower())
    if found is None:
        raise click.UsageError(f"A commented spec file must end in .yaml, .yml or .toml, but is {str(output)!r}")
    if given not in {None, found}:
        raise click.UsageError(f"--format {given} conflicts with --output {str(output)!r}")
    return found
