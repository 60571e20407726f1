"""The rule for files that commands write: they replace no file unless asked to, and write through no symbolic link."""

from __future__ import annotations

import os
from pathlib import Path

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


def write_output(path: Path, text: str, *, force: bool) -> None:
    """Write a text file of a command; raises as `check_output`."""
    check_output(path, force=force)
    try:
        with path.open("w" if force else "x", encoding="utf-8", newline="\n") as file:
            file.write(text)
    except FileExistsError:  # since the check
        raise CommandError(f"{path} already exists; use --force to overwrite it") from None
