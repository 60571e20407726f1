"""Checkpoint files: safetensors reads and writes them; their metadata holds the record of the model.

Importing this module does not import torch.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from io import BufferedReader
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, NoReturn

from rnnkit._messages import describe_exception, dotted, short_repr
from rnnkit.errors import CheckpointError
from rnnkit.files._atomic_write import atomic_write
from rnnkit.files.checkpoint._record import Record, parse_record
from rnnkit.specs import unique_keys

if TYPE_CHECKING:
    from torch import Tensor

# The dtypes that safetensors has, with torch's names for them.
DTYPES = {
    "F64": "float64",
    "F32": "float32",
    "F16": "float16",
    "BF16": "bfloat16",
    "F8_E4M3": "float8_e4m3fn",
    "F8_E5M2": "float8_e5m2",
    "C64": "complex64",
    "I64": "int64",
    "I32": "int32",
    "I16": "int16",
    "I8": "int8",
    "U64": "uint64",
    "U32": "uint32",
    "U16": "uint16",
    "U8": "uint8",
    "BOOL": "bool",
}
_NAMES_IN_FILE = {f"torch.{name}": dtype for dtype, name in DTYPES.items()}
_KEY = "rnnkit"  # the only entry of the metadata; safetensors writes several in random order
_MAX_HEADER = 10_000_000  # bytes; safetensors allows ten times as many, which fill gigabytes as Python objects
_MAX_AXES = 64
_MAX_VALUES = 2**48  # of a tensor, with 1 in place of each size that is 0: torch counts in 64 bits
_PICKLES = (b"PK\x03\x04", b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05")


class StoredTensor(NamedTuple):
    """A tensor in a file: its safetensors dtype, its shape, and the place of its bytes after the header."""

    dtype: str
    shape: tuple[int, ...]
    begin: int
    end: int


@dataclass(frozen=True)
class Header:
    """The header of a checkpoint.

    Attributes:
        path: path of the file.
        record: the spec of the model, and the versions that it was saved with.
        record_text: the record as it is in the file.
        tensors: the tensors in the order of the file.
        content: the bytes of the file before the tensors.
    """

    path: str
    record: Record
    record_text: str
    tensors: dict[str, StoredTensor]
    content: bytes


def read_header(path: str | os.PathLike[str]) -> Header:
    """Return the header of a checkpoint without reading its tensors.

    Raises:
        CheckpointError: the file is not a complete checkpoint.
        OSError: the file cannot be opened.
    """
    with Path(path).open("rb") as file:
        return header_of(file, path)


def read_spec_data(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Return the spec of a checkpoint as plain data, in the form of a spec file; raises as `read_header`."""
    return read_header(path).record.spec_data()


def header_of(file: BufferedReader, path: str | os.PathLike[str]) -> Header:
    """Return the header of a checkpoint that is open at its start, and leave the file at the start of its tensors.

    safetensors would import numpy or torch for this.

    Args:
        file: the open file.
        path: its path, for error messages.

    Raises:
        CheckpointError: the file is not a complete checkpoint.
    """
    path = os.fspath(path)
    content = _read_header(file, path)
    tensors = _parse_header(content[8:], path)
    metadata = tensors.pop("__metadata__", None)
    text = metadata.get(_KEY) if isinstance(metadata, dict) else None
    if not isinstance(text, str):
        raise CheckpointError(
            f"{path} has no rnnkit metadata: it was not written by save_model, or a tool has dropped its "
            "metadata. Build the model from its spec and load the tensors with safetensors.torch.load_file"
        )
    stored = _check_layout(tensors, os.fstat(file.fileno()).st_size - len(content), path)
    return Header(path, parse_record(text, path), text, stored, content)


def read_tensors(file: BufferedReader, header: Header) -> dict[str, Tensor]:
    """Return the tensors of a checkpoint after verifying its digest; they share one buffer.

    Each byte of the file is read once, so the verified bytes are the returned bytes even if another process writes the
    file.

    Args:
        file: the file, as `header_of` leaves it.
        header: its header.

    Raises:
        CheckpointError: the file is not as `save_model` wrote it.
    """
    import torch

    size = sum(stored.end - stored.begin for stored in header.tensors.values())
    buffer = torch.empty(size, dtype=torch.uint8, device="cpu")
    complete = file.readinto(buffer.numpy().data) == size  # another process may cut the file now
    tensors = {name: _view(buffer, stored) for name, stored in header.tensors.items()}
    if header.record.format_version == 1:
        digest = _digest_of_version_1(header, buffer)
    else:
        digest = _digest(header.record_text.rpartition('"sha256"')[0], tensors)
    if not complete or digest != header.record.sha256:
        raise CheckpointError(f"{header.path} was damaged or edited after it was saved: its SHA-256 digest differs")
    return tensors


def _view(buffer: Tensor, stored: StoredTensor) -> Tensor:
    import torch

    dtype, part = getattr(torch, DTYPES[stored.dtype]), buffer[stored.begin : stored.end]
    if stored.begin % dtype.itemsize:  # torch refuses a view that is not aligned
        part = part.clone()
    return part.view(dtype).reshape(stored.shape)


def write_checkpoint(tensors: Mapping[str, Tensor], record: Record, path: str | os.PathLike[str]) -> None:
    """Write a checkpoint atomically.

    Args:
        tensors: on the CPU and contiguous, each with its own memory.
        record: the record of the model, without a digest.
        path: path of the file.

    Raises:
        CheckpointError: safetensors cannot write the tensors, or `header_of` would not read the file.
        OSError: the file cannot be written.
    """
    from safetensors import SafetensorError
    from safetensors.torch import save_file

    metadata = {_KEY: _with_digest(record.dump(), tensors)}
    with atomic_write(path) as temporary:
        try:
            save_file(dict(tensors), temporary, metadata=metadata)
        except (SafetensorError, KeyError, ValueError) as error:
            raise CheckpointError(f"safetensors cannot write {os.fspath(path)}: {describe_exception(error)}") from error
        _check_readable(temporary, path)


def _check_readable(written: Path, path: str | os.PathLike[str]) -> None:
    """Read the header of a new file before it replaces the old one, so that it is within all limits of the reader."""
    try:
        with written.open("rb") as file:
            header_of(file, "")
    except CheckpointError as error:
        _, _, problem = str(error).partition(": ")  # after "is damaged" or "cannot be read"
        raise CheckpointError(
            f"{os.fspath(path)} was not written, because load_model could not read it: {problem}\n"
            "Use fewer layers, or write model.state_dict() with safetensors.torch.save_file and rebuild the model "
            "yourself"
        ) from error


def _with_digest(text: str, tensors: Mapping[str, Tensor]) -> str:
    """Append the digest to the text of a record as its last field."""
    head = text.removesuffix("}") + ","
    return f'{head}"sha256":"{_digest(head, tensors)}"}}'


def _digest(record_text: str, tensors: Mapping[str, Tensor]) -> str:
    """SHA-256 of the record, and of the name, dtype, shape and bytes of each tensor in the order of the names."""
    digest = hashlib.sha256(record_text.encode())
    for name, tensor in sorted(tensors.items()):
        digest.update(json.dumps([name, _NAMES_IN_FILE[str(tensor.dtype)], tensor.shape]).encode())
        digest.update(_bytes(tensor))
    return digest.hexdigest()


def _bytes(tensor: Tensor) -> memoryview:
    import torch

    data: memoryview = tensor.detach().reshape(-1).view(torch.uint8).numpy().data
    return data


def _digest_of_version_1(header: Header, buffer: Tensor) -> str:
    """SHA-256 of the whole file with zeros in place of the digest."""
    digest = header.record.sha256.encode()
    state = hashlib.sha256(header.content.replace(digest, b"0" * len(digest), 1))
    state.update(_bytes(buffer))
    return state.hexdigest()


def _read_header(file: BufferedReader, path: str) -> bytes:
    """The length of the header, in 8 bytes, and the header."""
    size = os.fstat(file.fileno()).st_size
    start = file.read(9)
    _check_start(start, path)
    length = int.from_bytes(start[:8], "little")
    if length > _MAX_HEADER:
        _fail(path, f"its header has {length:,} bytes, of which load_model reads at most {_MAX_HEADER:,}")
    if not 2 <= length <= size - 8:
        _fail(path, f"the file is truncated: its header has {length} bytes, the whole file {size}")
    return start + file.read(length - 1)


def _check_start(start: bytes, path: str) -> None:
    """Recognize the files that users mistake for checkpoints."""
    if start[8:] == b"{":  # first: the length before it may have the bytes of any other format
        return
    if not start:
        _fail(path, "the file is empty")
    if start.startswith(_PICKLES):
        _fail(
            path,
            "it is a pickle, as torch.save writes it, not a safetensors file. rnnkit does not read pickles because "
            "they can run any code. If you trust the file, build the model from its spec, pass "
            "torch.load(path, weights_only=True) to its load_state_dict, and save it with save_model",
        )
    if start.startswith(b"version h"):
        _fail(path, "it is a Git LFS pointer, not the file itself: run `git lfs pull`")
    if path.endswith((".json", ".toml", ".yaml", ".yml")):
        _fail(path, "it is a spec file, not a saved model: build the model with build_model(load_spec(path))")
    _fail(path, "it is not a safetensors file: no header follows its first 8 bytes")


def _parse_header(text: bytes, path: str) -> dict[str, Any]:
    try:
        header: dict[str, Any] = json.loads(text.decode(), object_pairs_hook=unique_keys)
        json.dumps(header, ensure_ascii=False).encode()  # json accepts half of a surrogate pair, safetensors does not
    except (ValueError, RecursionError) as error:
        _fail(path, f"the file is damaged: its header is not valid JSON ({describe_exception(error)})", error)
    return header


def _check_layout(entries: dict[str, Any], size: int, path: str) -> dict[str, StoredTensor]:
    """Return the tensors, which must fill the `size` bytes after the header one after another, as in safetensors."""
    stored: dict[str, StoredTensor] = {}
    end = 0
    try:
        for name, entry in sorted(entries.items(), key=lambda item: item[1]["data_offsets"]):
            tensor = StoredTensor(entry["dtype"], tuple(entry["shape"]), *entry["data_offsets"])
            if tensor.begin != end or tensor.end - end != _num_bytes(tensor):
                _fail(path, f"the file is damaged: its header has {short_repr(entry)} for the tensor {dotted([name])}")
            stored[name], end = tensor, tensor.end
    except (TypeError, LookupError, ValueError):
        _fail(path, "the file is damaged: its header is not that of a safetensors file")
    if end > size:
        _fail(path, f"the file is truncated: {end - size} bytes of its tensors are missing")
    if end < size:
        _fail(path, f"the file is too long: {size - end} bytes follow its tensors")
    return stored


def _num_bytes(tensor: StoredTensor) -> int:
    sizes = tensor.shape
    if any(type(size) is not int or size < 0 for size in (*sizes, tensor.begin, tensor.end)):
        raise ValueError(sizes)
    if len(sizes) > _MAX_AXES or math.prod(size or 1 for size in sizes) > _MAX_VALUES:
        raise ValueError(sizes)
    bits = re.search(r"\d+", DTYPES[tensor.dtype])
    return math.prod(sizes) * (1 if bits is None else int(bits[0]) // 8)  # a bool has a byte


def _fail(path: str, problem: str, cause: Exception | None = None) -> NoReturn:
    raise CheckpointError(f"{path} cannot be read: {problem}") from cause
