"""The rule for files that commands write: they replace no file unless asked to, and write through no symbolic link."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import click

from rnnkit.cli.command import CommandError

force_option = click.option("--force", is_flag=True, help="Overwrite an existing file.")


def check_output(path: Path, *, force: bool = False, folder: Path | None = None) -> None:
    """Check that a command may write a file; call it before long work.

    Args:
        path: path of the file.
        force: whether an existing file may be replaced, as the user asked or because the command wrote it before.
        folder: the folder that the file must be in; None: any.

    Raises:
        CommandError: the file exists and must not be replaced, is a symbolic link, or is in another folder because a
            folder of its path is a symbolic link.
    """
    if path.is_symlink():
        raise CommandError(f"{path} is a symbolic link to {path.readlink()}, which is not replaced: give another path")
    # Unlike `Path.resolve`, `realpath` accepts a link to itself
    real = Path(os.path.realpath(path))
    if folder is not None and not real.is_relative_to(os.path.realpath(folder)):
        raise CommandError(f"{path} leads out of {folder}, to {real}: remove the symbolic link")
    if path.exists() and not force:
        raise CommandError(f"{path} already exists; use --force to overwrite it")
    if path.exists() and not path.is_file():  # replacing would remove a device or a pipe
        raise CommandError(f"{path} is not a regular file: give another path")


@contextmanager
def new_output(path: Path, *, force: bool, folder: Path | None = None) -> Iterator[Path]:
    """Yield the path of a file to create, which becomes the file of a command if the block ends without an error.

    Like `atomic_write`, it replaces a file completely or not at all. But it follows no symbolic link, and without
    `force` replaces no file, also none that another process has created since the check.

    Args:
        path: as in `check_output`, which is called before and after the block.
        force: likewise.
        folder: likewise.

    Raises:
        CommandError: as from `check_output`.
        OSError: the file cannot be written; `path` is unchanged.
    """
    check_output(path, force=force, folder=folder)
    with _naming(path):
        if path.exists():
            path.open("r+b").close()  # raises if it is read-only
        with TemporaryDirectory(dir=path.parent, prefix=f".{path.name[:50]}.") as beside:
            new = Path(beside) / path.name
            yield new
            check_output(path, force=force, folder=folder)
            if path.exists():
                new.chmod(stat.S_IMODE(path.stat().st_mode))
            elif not force:
                _reserve(path)
            new.replace(path)  # a link, too, is replaced and not followed


def write_output(path: Path, text: str, *, force: bool, folder: Path | None = None) -> None:
    """Write a text file of a command; raises as `new_output`."""
    from rnnkit.files import atomic_write  # imports pydantic, for which `--help` need not wait

    with new_output(path, force=force, folder=folder) as new, atomic_write(new) as temporary:
        temporary.write_text(text, encoding="utf-8", newline="\n")


@contextmanager
def _naming(path: Path) -> Iterator[None]:
    """Name a file, in place of temporary ones, in the errors of the block."""
    try:
        yield
    except OSError as error:
        if error.filename is None or f"{os.sep}.{path.name[:50]}." in str(error.filename):
            error.filename = str(path)
        raise


def _reserve(path: Path) -> None:
    """Create an empty file, unless there is one."""
    try:
        path.open("xb").close()
    except FileExistsError:
        raise CommandError(f"{path} already exists; use --force to overwrite it") from None
