"""Writes a new folder wholly or not at all, and never in the place of anything."""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path


def write_folder(target: Path, files: Mapping[str, str]) -> None:
    """Write files into a folder that is not there yet.

    Whoever looks meanwhile sees none of them or all of them.

    Args:
        target: the folder, in one that is there.
        files: from the path of each, in the folder and with slashes, to its text.

    Raises:
        FileExistsError: something is there by that name.
        OSError: it cannot be written. After an error, or an interrupt, nothing of it is left.
    """
    # a random name: no other process or thread has it; cut, since names of files are at most 255 bytes
    temporary = target.with_name(f".{target.name[:50]}.{secrets.token_hex(8)}.tmp")
    try:
        temporary.mkdir()
        for path, text in files.items():
            _write(temporary / path, text)
        _move(temporary, target)
    except OSError as error:
        raise OSError(error.errno, error.strerror, os.fspath(target)) from error  # of what was asked for, and is known
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _write(file: Path, text: str) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text, encoding="utf-8", newline="\n")


def _move(folder: Path, target: Path) -> None:
    """Give a folder its name, unless something has it."""
    if os.name == "nt":  # where a rename replaces nothing
        folder.rename(target)
        return
    target.mkdir()  # elsewhere it replaces an empty folder: let that be ours
    try:
        folder.rename(target)
    except BaseException:
        with suppress(OSError):  # somebody has put something into it, which is not ours to remove
            target.rmdir()
        raise
