"""Writes a file wholly or not at all."""

from __future__ import annotations

import errno
import os
import secrets
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path


@contextmanager
def atomic_write(path: str | os.PathLike[str]) -> Iterator[Path]:
    """The path of a new, empty file, which takes the place of `path` when the block ends without an error.

    Whoever reads `path` meanwhile, or after the process was killed, finds the old file or the new one, never a part.
    A symbolic link stays one: what it leads to is replaced. The new file has the mode of the old one.

    Raises:
        OSError: as from opening `path` to write: its folder is missing, it is a folder or read-only. After an error,
            also one in the block, `path` is as it was, and the new file is gone.
    """
    target = Path(os.path.realpath(path))
    mode = _mode_of_old(target)
    temporary = _created_beside(target, path)
    try:
        if mode is None:
            mode = stat.S_IMODE(temporary.stat().st_mode)
        temporary.chmod(mode)  # before anything is in it that not everybody may read
        yield temporary
        temporary.chmod(mode)  # again: who writes it may have put another file in its place, as safetensors does
        _to_disk(temporary)
        temporary.replace(target)
    finally:
        temporary.unlink(missing_ok=True)
    _folder_to_disk(target.parent)


def _mode_of_old(target: Path) -> int | None:
    """The permissions of a file, which must be one that may be written; None: there is none."""
    try:
        mode = target.stat().st_mode
    except FileNotFoundError:
        return None
    if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):  # a device or a pipe would be gone afterwards
        raise FileExistsError(errno.EEXIST, "It is no file that could be replaced", os.fspath(target))
    with target.open("r+b"):
        return stat.S_IMODE(mode)


def _created_beside(target: Path, wanted: str | os.PathLike[str]) -> Path:
    # a random name: no other process or thread has it; cut, since names of files are at most 255 bytes
    temporary = target.with_name(f".{target.name[:50]}.{secrets.token_hex(8)}.tmp")
    try:
        os.close(os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o666))  # less what the umask takes
    except OSError as error:
        error.filename = os.fspath(wanted)
        raise
    return temporary


def _to_disk(file: Path) -> None:
    with file.open("r+b") as opened:
        os.fsync(opened.fileno())


def _folder_to_disk(folder: Path) -> None:
    """The name in the folder, too; some file systems cannot, Windows among them, and the file is whole all the same."""
    with suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
