"""Writes a new folder, wholly or not at all, and never over an existing one."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path


def write_folder(target: Path, files: Mapping[str, str]) -> None:
    """Write files into a new folder.

    Args:
        target: the new folder, whose parent must exist.
        files: texts by path, relative to the folder and with slashes.

    Raises:
        FileExistsError: the target exists.
        OSError: the folder cannot be written. After an error or an interrupt, nothing is left behind.
    """
    target.mkdir()  # fails if it exists: of several processes, one writes
    try:
        for path, text in files.items():
            file = target / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text, encoding="utf-8", newline="\n")
    except BaseException:
        shutil.rmtree(target, ignore_errors=True)
        raise
