"""The tensors of a model's file, written by safetensors and read after a look at every byte."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from io import BufferedReader

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import save_file
from torch import Tensor

from rnnkit._messages import describe_exception
from rnnkit.errors import CheckpointError
from rnnkit.files.atomic_write import atomic_write
from rnnkit.files.checkpoint.digest import check_digest, write_digest
from rnnkit.files.checkpoint.header import Header
from rnnkit.files.checkpoint.record import KEY, Record
from rnnkit.files.checkpoint.safetensors_layout import Entry


def write_tensors(tensors: Mapping[str, Tensor], record: Record, path: str | os.PathLike[str]) -> None:
    """Put a file in the place of `path`, wholly or not at all.

    Args:
        tensors: on the CPU and contiguous, each with memory of its own.
        record: what goes into the metadata; 64 random digits stand in it for the digest.
        path: of the file.

    Raises:
        CheckpointError: safetensors cannot write it.
        OSError: the file cannot be replaced.
    """
    with atomic_write(path) as temporary:
        try:
            save_file(dict(tensors), temporary, metadata={KEY: record.dump()})
        except (SafetensorError, KeyError, ValueError) as error:
            raise CheckpointError(
                f"{os.fspath(path)} cannot be written by safetensors: {describe_exception(error)}"
            ) from error
        write_digest(temporary, path)


def read_tensors(file: BufferedReader, header: Header) -> dict[str, Tensor]:
    """The tensors under their names, in memory of their own.

    The file is read once: what was held against its digest is what is returned, whatever others do to it meanwhile.

    Args:
        file: open where the tensors start.
        header: what it says before.

    Raises:
        CheckpointError: a byte of the file is not what was written.
    """
    data = np.empty(header.layout.size, np.uint8).data  # a bytearray would be filled with zeros first
    data = data[: file.readinto(data)]  # less if it was cut since its header was read
    check_digest(header, data)
    return {name: _tensor(data, entry) for name, entry in header.layout.entries.items()}


def _tensor(data: memoryview, entry: Entry) -> Tensor:
    dtype, count = getattr(torch, entry.dtype_name), math.prod(entry.shape)
    if count == 0:
        return torch.empty(entry.shape, dtype=dtype, device="cpu")
    return torch.frombuffer(data, dtype=dtype, count=count, offset=entry.start).reshape(entry.shape)
