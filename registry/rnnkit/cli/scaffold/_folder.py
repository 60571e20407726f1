"""Writes a new folder atomically, and never over an existing one."""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path


def write_folder(target: Path, files: Mapping[str, str]) -> None:
    """Writes files into a new folder. Other processes see either none or all of them.

    Args:
        target: the new folder, whose parent must exist.
        files: texts by path, relative to the folder and with slashes.

    Raises:
        FileExistsError: the target exists.
        OSError: the folder cannot be written. After an error or an interrupt, nothing is left behind.
    """
    # random, so that no other process uses it, and truncated, since file names have at most 255 bytes
    temporary = target.with_name(f".{target.name[:50]}.{secrets.token_hex(8)}.tmp")
    try:
        temporary.mkdir()
        for path, text in files.items():
            _write(temporary / path, text)
        _move(temporary, target)
    except OSError as error:
        raise OSError(error.errno, error.strerror, os.fspath(target)) from error  # with the path that the user knows
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _write(file: Path, text: str) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text, encoding="utf-8", newline="\n")


def _move(folder: Path, target: Path) -> None:
    """Renames a folder; raises if the target exists."""
    if os.name == "nt":  # a rename replaces nothing
        folder.rename(target)
        return
    target.mkdir()  # elsewhere a rename replaces an empty folder: create our own first
    try:
        folder.rename(target)
    except BaseException:
        with suppress(OSError):  # another process has put a file into it
            target.rmdir()
        raise
