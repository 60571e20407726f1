"""`rnnkit schema`: the JSON Schema of spec files."""

from __future__ import annotations

import json
from pathlib import Path

import click

from rnnkit.cli.completion import complete_kind
from rnnkit.cli.console import Console
from rnnkit.cli.result import CommandResult


@click.command(cls=CommandResult)
@click.argument("kinds", metavar="[KIND]...", nargs=-1, shell_complete=complete_kind)
@click.option("--output", "-o", type=click.Path(path_type=Path), help="The file to write; else it is printed.")
@click.pass_obj
def command(screen: Console, *, kinds: tuple[str, ...], output: Path | None) -> None:
    """Write the JSON Schema of spec files.

    For editors, which complete and check YAML, TOML and JSON with it. It takes the kinds that are named, or all that
    are installed here; loads their plugins.
    """
    from rnnkit.introspection import kinds_left_out, spec_schema

    schema = spec_schema(kinds or None)
    for name, why in () if kinds else kinds_left_out().items():
        screen.note(f"Left out: {name}. {why}")
    if output is None:
        screen.json(schema)
    else:
        output.write_text(json.dumps(schema, indent=2) + "\n", encoding="utf-8")
