"""The digest of a model's file, which stands in the file itself: it is taken with zeros in its own place."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import Any

from rnnkit.errors import CheckpointError
from rnnkit.files.checkpoint.header import Header, header_of


def check_digest(header: Header, data: memoryview) -> None:
    """Hold a file against its digest.

    Args:
        header: of the file.
        data: what follows it.

    Raises:
        CheckpointError: a byte of the file is not what `save_model` wrote.
    """
    digest = _started(header)
    digest.update(data)
    if digest.hexdigest() != header.record.sha256:
        raise _changed(header)


def write_digest(written: Path, path: str | os.PathLike[str]) -> None:
    """Put the digest of a file into it, in the place of the 64 digits that stand there.

    Args:
        written: the file.
        path: how errors name it.

    Raises:
        CheckpointError: it is not one that could be read again.
    """
    with written.open("r+b") as file:
        header = header_of(file, path)
        digest = hashlib.file_digest(file, lambda: _started(header)).hexdigest()
        file.seek(len(_around(header)[0]))
        file.write(digest.encode())


def _started(header: Header) -> Any:
    """The digest of what stands before the tensors, to be fed with them."""
    before, after = _around(header)
    return hashlib.sha256(before + b"0" * 64 + after)


def _around(header: Header) -> tuple[bytes, bytes]:
    """What stands before and after the digits, which stand in the header once, since nobody can foresee them."""
    before, *others = header.layout.head.split(header.record.sha256.encode())
    if len(others) != 1:
        raise _changed(header)
    return before, others[0]


def _changed(header: Header) -> CheckpointError:
    return CheckpointError(f"{header.path} has been damaged or edited since it was saved: its digest is another one")
