"""What the file of a model says before its tensors; read without torch."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from rnnkit.errors import CheckpointError
from rnnkit.files.checkpoint.record import KEY, Record, parse_record
from rnnkit.files.checkpoint.safetensors_layout import Layout, read_layout


@dataclass(frozen=True)
class Header:
    """The header of a model's file.

    Attributes:
        path: of the file.
        layout: its tensors: names, dtypes, shapes, places.
        record: the spec of the model, and with what it was saved.
    """

    path: str
    layout: Layout
    record: Record


def read_header(path: str | os.PathLike[str]) -> Header:
    """The header of a model's file, which is held against the size of the file.

    Raises:
        CheckpointError: it is not the whole of a file that `save_model` wrote.
        OSError: it cannot be opened.
    """
    with Path(path).open("rb") as file:
        return header_of(file, path)


def header_of(file: BinaryIO, path: str | os.PathLike[str]) -> Header:
    """The header of a file that is open at its start; leaves it where the tensors start.

    Raises:
        CheckpointError: it is not the whole of a file that `save_model` wrote.
    """
    layout = read_layout(file, path)
    if KEY not in layout.metadata:
        raise CheckpointError(
            f"{os.fspath(path)} has no rnnkit metadata: it was not written by save_model, or has lost it (some tools "
            "drop metadata). Build the model from its spec, and load the tensors with safetensors.torch.load_file"
        )
    return Header(os.fspath(path), layout, parse_record(layout.metadata[KEY], os.fspath(path)))


def read_spec_data(path: str | os.PathLike[str]) -> dict[str, Any]:
    """The spec of a model's file as plain data, in the form of a spec file.

    Raises:
        CheckpointError: it is not the whole of a file that `save_model` wrote.
        OSError: it cannot be opened.
    """
    return read_header(path).record.spec_data()
