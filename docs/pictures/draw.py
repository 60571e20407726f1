"""Draws the current terminal output of commands as SVG: `python docs/pictures/draw.py`."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from io import StringIO
from pathlib import Path
from tempfile import TemporaryDirectory

from rich.console import Console
from rich.text import Text

HERE = Path(__file__).parent
WIDTH = 80
SPEC = """\
kind: lstm
input_size: 8
hidden_size: 64
num_layers: 2
bidirectional: true
output_size: 10
"""
SCREENS = {"summary.svg": "summary reader.yaml"}


def screen(arguments: str) -> Text:
    """Return the colored output of `rnnkit` in a folder with `reader.yaml`."""
    environment = os.environ | {"COLUMNS": str(WIDTH), "FORCE_COLOR": "1", "TERM": "xterm-256color"}
    environment.pop("NO_COLOR", None)
    with TemporaryDirectory() as folder:
        Path(folder, "reader.yaml").write_text(SPEC, encoding="utf-8")
        command = [sys.executable, "-m", "rnnkit", *arguments.split()]
        done = subprocess.run(  # noqa: S603  # our own command
            command, cwd=folder, env=environment, check=True, capture_output=True, text=True, encoding="utf-8"
        )
    return Text.from_ansi(done.stdout)


def picture(arguments: str) -> str:
    """Return the command and its output as SVG."""
    console = Console(record=True, width=WIDTH, file=StringIO(), force_terminal=True, color_system="truecolor")
    console.print(Text.assemble(("$ ", "dim"), f"rnnkit {arguments}"))
    console.print(screen(arguments))
    svg = console.export_svg(title="rnnkit", unique_id=arguments.split(maxsplit=1)[0])
    return re.sub(r"\s*@font-face \{.*?\}", "", svg, flags=re.DOTALL)  # fonts from elsewhere: the reader has some


def main() -> None:
    for name, arguments in SCREENS.items():
        (HERE / name).write_text(picture(arguments), encoding="utf-8")


if __name__ == "__main__":
    main()
