"""Files that a command writes from other data: it writes those that are out of date, or names them with `--check`."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path


def update(files: Mapping[Path, str], module: str, arguments: Sequence[str] | None = None) -> int:
    """Run the command of a module that generates files, and return its exit status.

    Args:
        files: the text of each file.
        module: the name of the module, as in `python -m docs.site.zoo`.
        arguments: of the command; None: those of the process.
    """
    command = f"python -m {module}"
    parser = argparse.ArgumentParser(prog=command, description=f"Write {', '.join(path.name for path in files)}.")
    parser.add_argument("--check", action="store_true", help="write nothing, and fail if a file is out of date")
    checks = parser.parse_args(arguments).check
    stale = [path for path, text in files.items() if not _holds(path, text)]
    for path in stale:
        if checks:
            print(f"{path} is out of date: run {command}")
        else:
            path.write_text(files[path], encoding="utf-8", newline="\n")
    return int(checks and bool(stale))


def _holds(path: Path, text: str) -> bool:
    return path.is_file() and path.read_text(encoding="utf-8") == text
