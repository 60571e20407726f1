"""Checkpoint files: safetensors reads and writes them; their metadata holds the record of the model.

Importing this module does not import torch.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from io import BufferedReader
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, NoReturn

from safetensors import SafetensorError, deserialize

from rnnkit._messages import describe_exception
from rnnkit.errors import CheckpointError
from rnnkit.files._atomic_write import atomic_write
from rnnkit.files._problems import dotted
from rnnkit.files.checkpoint._record import Record, parse_record

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
_PICKLES = (b"PK\x03\x04", b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05")


@dataclass(frozen=True)
class Header:
    """The metadata of a checkpoint.

    Attributes:
        path: path of the file.
        record: the spec of the model, and the versions that it was saved with.
        record_text: the record as it is in the file.
        num_tensors: number of tensors in the file.
    """

    path: str
    record: Record
    record_text: str
    num_tensors: int


class StoredTensor(NamedTuple):
    """A tensor in a file: its safetensors dtype, its shape and its bytes."""

    dtype: str
    shape: tuple[int, ...]
    data: bytearray | memoryview


def read_header(path: str | os.PathLike[str]) -> Header:
    """Return the metadata of a checkpoint without reading its tensors.

    Raises:
        CheckpointError: the file is not a complete checkpoint.
        OSError: the file cannot be opened.
    """
    with Path(path).open("rb") as file:
        return header_of(file, path)


def read_spec_data(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Return the spec of a checkpoint as plain data, in the form of a spec file.

    Raises:
        CheckpointError: the file is not a complete checkpoint.
        OSError: the file cannot be opened.
    """
    return read_header(path).record.spec_data()


def header_of(file: BufferedReader, path: str | os.PathLike[str]) -> Header:
    """Return the metadata of a checkpoint that is open at its start, after comparing the header with the file's size.

    safetensors would import numpy or torch for this; it validates the rest of the header when it reads the tensors.

    Args:
        file: the open file.
        path: its path, for error messages.

    Raises:
        CheckpointError: the file is not a checkpoint.
    """
    tensors = _parse_header(_header_text(file, path), path)
    metadata = tensors.pop("__metadata__", None)
    text = metadata.get(_KEY) if isinstance(metadata, dict) else None
    if not isinstance(text, str):
        raise CheckpointError(
            f"{os.fspath(path)} has no rnnkit metadata: it was not written by save_model, or a tool has dropped its "
            "metadata. Build the model from its spec and load the tensors with safetensors.torch.load_file"
        )
    _check_size(tensors, os.fstat(file.fileno()).st_size - file.tell(), path)
    return Header(os.fspath(path), parse_record(text, os.fspath(path)), text, len(tensors))


def read_tensors(file: BufferedReader, header: Header) -> dict[str, StoredTensor]:
    """Return the tensors of a checkpoint after verifying its digest.

    The file is read once, so the verified bytes are the returned bytes even if another process writes the file.

    Raises:
        CheckpointError: the file is not as `save_model` wrote it.
    """
    file.seek(0)
    content = file.read(os.fstat(file.fileno()).st_size)
    tensors = _deserialize(content, header.path)
    record = header.record
    if record.format_version == 1:
        digest = _digest_of_version_1(content, record.sha256)
    else:
        digest = _digest(_text_before_digest(header.record_text), tensors)
    if digest != record.sha256:
        raise CheckpointError(f"{header.path} was damaged or edited after it was saved: its SHA-256 digest differs")
    return tensors


def write_checkpoint(tensors: Mapping[str, Tensor], record: Record, path: str | os.PathLike[str]) -> None:
    """Write a checkpoint atomically.

    Args:
        tensors: on the CPU and contiguous, each with its own memory.
        record: the record of the model, without a digest.
        path: path of the file.

    Raises:
        CheckpointError: safetensors cannot write the tensors.
        OSError: the file cannot be written.
    """
    from safetensors.torch import save_file

    metadata = {_KEY: _with_digest(record.dump(), tensors)}
    with atomic_write(path) as temporary:
        try:
            save_file(dict(tensors), temporary, metadata=metadata)
        except (SafetensorError, KeyError, ValueError) as error:
            raise CheckpointError(f"safetensors cannot write {os.fspath(path)}: {describe_exception(error)}") from error


def _with_digest(text: str, tensors: Mapping[str, Tensor]) -> str:
    """Append the digest to the text of a record as its last field."""
    head = text.removesuffix("}") + ","
    digest = _digest(head, {name: _stored_tensor(tensor) for name, tensor in tensors.items()})
    return f'{head}"sha256":"{digest}"}}'


def _text_before_digest(text: str) -> str:
    return text.rpartition('"sha256"')[0]


def _digest(record_text: str, tensors: Mapping[str, StoredTensor]) -> str:
    """SHA-256 of the record, and of the name, dtype, shape and bytes of each tensor in the order of the names."""
    digest = hashlib.sha256(record_text.encode())
    for name, (dtype, shape, data) in sorted(tensors.items()):
        digest.update(json.dumps([name, dtype, shape]).encode())
        digest.update(data)
    return digest.hexdigest()


def _digest_of_version_1(content: bytes, digest: str) -> str:
    """SHA-256 of the whole file with zeros in place of the digest."""
    start = content.find(digest.encode())
    view = memoryview(content)
    state = hashlib.sha256(view[:start])
    state.update(b"0" * len(digest))
    state.update(view[start + len(digest) :])
    return state.hexdigest()


def _stored_tensor(tensor: Tensor) -> StoredTensor:
    import torch

    data = tensor.detach().reshape(-1).view(torch.uint8).numpy().data
    return StoredTensor(_NAMES_IN_FILE[str(tensor.dtype)], tuple(tensor.shape), data)


def _deserialize(content: bytes, path: str) -> dict[str, StoredTensor]:
    try:
        parts: Iterable[tuple[str, dict[str, Any]]] = deserialize(content)  # type: ignore[no-untyped-call]
    except SafetensorError as error:
        _fail(path, f"the file is damaged ({describe_exception(error)})", error)
    tensors = {name: StoredTensor(part["dtype"], tuple(part["shape"]), part["data"]) for name, part in parts}
    for name, tensor in tensors.items():
        if tensor.dtype not in DTYPES:
            _fail(path, f"{dotted([name])} has dtype {tensor.dtype!r}, which torch does not have")
    return tensors


def _header_text(file: BufferedReader, path: str | os.PathLike[str]) -> bytes:
    size = os.fstat(file.fileno()).st_size
    start = file.read(9)
    _check_start(start, path)
    length = int.from_bytes(start[:8], "little")
    if length > _MAX_HEADER:
        _fail(path, f"its header has {length} bytes; the headers that rnnkit writes have at most {_MAX_HEADER}")
    if not 2 <= length <= size - 8:
        _fail(path, f"the file is truncated: its header has {length} bytes, the whole file {size}")
    return start[8:] + file.read(length - 1)


def _check_start(start: bytes, path: str | os.PathLike[str]) -> None:
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
    _fail(path, "it is not a safetensors file: no header follows its first 8 bytes")


def _parse_header(text: bytes, path: str | os.PathLike[str]) -> dict[str, Any]:
    try:
        header: dict[str, Any] = json.loads(text.decode())
    except (ValueError, RecursionError) as error:
        _fail(path, f"the file is damaged: its header is not valid JSON ({describe_exception(error)})", error)
    return header


def _check_size(tensors: dict[str, Any], size: int, path: str | os.PathLike[str]) -> None:
    try:
        missing = max((tensor["data_offsets"][1] for tensor in tensors.values()), default=0) - size
    except (TypeError, LookupError):
        _fail(path, "the file is damaged: its header is not that of a safetensors file")
    if missing > 0:
        _fail(path, f"the file is truncated: {missing} bytes of its tensors are missing")
    if missing < 0:
        _fail(path, f"the file is too long: {-missing} bytes follow its tensors")


def _fail(path: str | os.PathLike[str], problem: str, cause: Exception | None = None) -> NoReturn:
    raise CheckpointError(f"{os.fspath(path)} cannot be read: {problem}") from cause
