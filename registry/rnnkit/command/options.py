"""The arguments and options that several commands have."""

from pathlib import Path

import click

json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON.")
file_argument = click.argument("file", type=click.Path(path_type=Path))  # one that is missing is an answer, not misuse
