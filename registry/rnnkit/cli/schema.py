"""`rnnkit schema`: writes the JSON Schema of spec files."""

from __future__ import annotations

import json
from pathlib import Path

import click

from rnnkit.cli.command import RnnkitCommand
from rnnkit.cli.completion import complete_kind
from rnnkit.cli.console import Console
from rnnkit.cli.output_file import force_option, write_output


@click.command(cls=RnnkitCommand)
@click.argument("kinds", metavar="[KIND]...", nargs=-1, shell_complete=complete_kind)
@click.option("--output", "-o", type=click.Path(path_type=Path), help="File to write; default: stdout.")
@force_option
@click.pass_obj
def command(console: Console, *, kinds: tuple[str, ...], output: Path | None, force: bool) -> None:
    """Write the JSON Schema of spec files.

    Editors use it to complete and validate YAML, TOML and JSON. It accepts the given kinds, or all installed ones.
    Loads their plugins.
    """
    from rnnkit.introspection import kinds_left_out, spec_schema

    schema = spec_schema(kinds or None)
    for name, why in () if kinds else kinds_left_out().items():
        console.note(f"Left out: {name}. {why}")
    if output is None:
        console.json(schema)
    else:
        write_output(output, json.dumps(schema, indent=2) + "\n", force=force)
