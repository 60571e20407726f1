"""Atomic writes: a file is replaced completely or not at all."""

from __future__ import annotations

import errno
import os
import secrets
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

# Windows does not replace a file that is open: access denied, a sharing violation, a file in memory
_IN_USE = (5, 32, 1224)
# seconds, 2.5 in all: a reader, or a virus scanner, closes the file again
_WAITS = tuple(0.01 * 2**n for n in range(8))


@contextmanager
def atomic_write(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Yield the path of a new, empty file, which replaces `path` if the block ends without an error.

    Another process that reads `path` finds the old file or the new one, never a part, also if this process is killed.
    A symbolic link is followed. The new file has the mode of the old one.

    Raises:
        OSError: as from opening `path` for writing: its directory is missing, or it is a directory or read-only. On
            Windows also if another program keeps `path` open. After any error, `path` is unchanged and the new file is
            removed.
    """
    target = Path(os.path.realpath(path))
    mode = _mode_of_old(target)
    temporary = _create_beside(target, path)
    try:
        if mode is None:
            mode = stat.S_IMODE(temporary.stat().st_mode)
        temporary.chmod(mode)  # before it has content that others may not read
        yield temporary
        temporary.chmod(mode)  # again, since the block may have replaced the file, as safetensors does
        with temporary.open("r+b") as written:
            os.fsync(written.fileno())
        _replace(temporary, target)
    finally:
        temporary.unlink(missing_ok=True)
    _sync_directory(target.parent)


def _mode_of_old(target: Path) -> int | None:
    """The permissions of the file to replace, which must be writable; None if there is none."""
    try:
        mode = target.stat().st_mode
    except FileNotFoundError:
        return None
    if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):  # replacing would remove a device or a pipe
        raise FileExistsError(errno.EEXIST, "Not a regular file", os.fspath(target))
    with target.open("r+b"):
        return stat.S_IMODE(mode)


def _create_beside(target: Path, wanted: str | os.PathLike[str]) -> Path:
    # The name is random, so that no other process or thread has it, and cut, since file systems allow 255 bytes.
    temporary = target.with_name(f".{target.name[:50]}.{secrets.token_hex(8)}.tmp")
    try:
        os.close(os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o666))  # the umask applies
    except OSError as error:
        error.filename = os.fspath(wanted)
        raise
    return temporary


def _replace(temporary: Path, target: Path) -> None:
    """Replace the target; on Windows, wait until other programs have closed it."""
    for wait in (*_WAITS, None):
        try:
            temporary.replace(target)
        except OSError as error:
            if getattr(error, "winerror", None) not in _IN_USE:
                raise
            if wait is None:
                message = "Another program has this file open, and Windows does not replace open files: close it"
                raise PermissionError(errno.EACCES, message, os.fspath(target)) from error
        else:
            return
        time.sleep(wait)


def _sync_directory(directory: Path) -> None:
    """Sync the name of the new file; Windows and some file systems cannot, and the file is complete without it."""
    with suppress(OSError):
        descriptor = os.open(directory, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
