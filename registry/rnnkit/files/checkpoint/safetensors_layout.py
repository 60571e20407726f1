"""Where what stands in a safetensors file: its header, held against the size of the file."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, BinaryIO, NamedTuple, NoReturn

from rnnkit._messages import describe_exception, did_you_mean, short_repr
from rnnkit.errors import CheckpointError
from rnnkit.files.problem import dotted, listing

LONGEST_HEADER = 10_000_000  # bytes. safetensors allows ten times as many, which as Python objects fill gigabytes
METADATA = "__metadata__"

# The dtypes of the format, with their size in bytes and torch's name for them.
DTYPES = {
    "F64": (8, "float64"),
    "F32": (4, "float32"),
    "F16": (2, "float16"),
    "BF16": (2, "bfloat16"),
    "F8_E4M3": (1, "float8_e4m3fn"),
    "F8_E5M2": (1, "float8_e5m2"),
    "C64": (8, "complex64"),
    "I64": (8, "int64"),
    "I32": (4, "int32"),
    "I16": (2, "int16"),
    "I8": (1, "int8"),
    "U64": (8, "uint64"),
    "U32": (4, "uint32"),
    "U16": (2, "uint16"),
    "U8": (1, "uint8"),
    "BOOL": (1, "bool"),
}
_MOST_AXES = 64  # that torch takes


class Entry(NamedTuple):
    """A tensor in the file: the bytes from `start` to `stop` of what follows the header."""

    dtype: str
    shape: tuple[int, ...]
    start: int
    stop: int

    @property
    def dtype_name(self) -> str:
        """Torch's name of the dtype."""
        return DTYPES[self.dtype][1]


@dataclass(frozen=True)
class Layout:
    """What the header of a safetensors file says.

    Attributes:
        head: the bytes before the data: the length of the header, and the header.
        entries: the tensors under their names, in the order of their data, which has no gaps.
        metadata: what the file says beside them.
        size: of the data, in bytes.
    """

    head: bytes
    entries: dict[str, Entry]
    metadata: dict[str, str]
    size: int


def read_layout(file: BinaryIO, path: str | os.PathLike[str]) -> Layout:
    """The layout of a file that is open at its start; leaves it at the start of the data.

    Args:
        file: what to read.
        path: how errors name it.

    Raises:
        CheckpointError: it is no safetensors file, or not a whole one.
    """
    size = os.fstat(file.fileno()).st_size
    start = file.read(9)
    _check_start(start, path)
    length = int.from_bytes(start[:8], "little")
    if length > LONGEST_HEADER:
        _refuse(path, f"its header of {length} bytes is longer than any that rnnkit writes, {LONGEST_HEADER} at most")
    if not 2 <= length <= size - 8:
        _refuse(path, f"it is truncated: its header alone has {length} bytes, the whole file {size}")
    text = start[8:] + file.read(length - 1)
    header = _parsed(text, path)
    metadata = _metadata(header.pop(METADATA, {}), path)
    entries = _entries(header, path)
    _check_places(entries, size - 8 - length, path)
    return Layout(start[:8] + text, entries, metadata, size - 8 - length)


def _check_start(start: bytes, path: str | os.PathLike[str]) -> None:
    """Name the files that are taken for safetensors files most often. The bytes of a length may look like any magic."""
    if start[8:] == b"{":
        return
    if not start:
        _refuse(path, "it is empty")
    if start.startswith((b"PK\x03\x04", b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05")):
        _refuse(
            path,
            "it is a pickle, as torch.save writes it, no safetensors file. rnnkit reads no pickles, which may run any "
            "code: where you trust it, build the model from its spec and give torch.load(path, weights_only=True) to "
            "its load_state_dict, then write it with save_model",
        )
    if start.startswith(b"version h"):
        _refuse(path, "it is a pointer of Git LFS, not the file itself: get that with `git lfs pull`")
    _refuse(path, "it is no safetensors file: no header follows its first 8 bytes")


def _parsed(text: bytes, path: str | os.PathLike[str]) -> dict[str, Any]:
    try:
        header: dict[str, Any] = json.loads(text.decode())
    except (ValueError, RecursionError) as error:
        _refuse(path, f"its header is no JSON ({describe_exception(error)}): the file is damaged", error)
    return header


def _metadata(metadata: Any, path: str | os.PathLike[str]) -> dict[str, str]:
    if not isinstance(metadata, dict) or not all(isinstance(value, str) for value in metadata.values()):
        _refuse(path, f"its {METADATA} is no mapping of text to text, but {short_repr(metadata)}")
    return metadata


def _entries(header: dict[str, Any], path: str | os.PathLike[str]) -> dict[str, Entry]:
    """The tensors in the order of their data."""
    wrong = (f"{dotted([name])} {problem}" for name, value in header.items() if (problem := _problem(value)))
    if problems := listing(wrong):
        _refuse(path, f"its header is not that of a safetensors file:{problems}")
    entries = {name: Entry(each["dtype"], tuple(each["shape"]), *each["data_offsets"]) for name, each in header.items()}
    return dict(sorted(entries.items(), key=lambda item: item[1][2:]))


def _problem(value: Any) -> str:
    """What is wrong with the entry of a tensor by itself; empty: nothing."""
    match value:
        case {"dtype": str(dtype), "shape": list(shape), "data_offsets": [start, stop]} if len(value) == 3:
            pass
        case _:
            return f"should have a dtype, a shape and data_offsets, but is {short_repr(value)}"
    if dtype not in DTYPES:
        return f"has the unknown dtype {short_repr(dtype)}.{did_you_mean(dtype, DTYPES)}"
    if len(shape) > _MOST_AXES or not all(map(_is_count, [*shape, start, stop])):
        return f"has the shape {short_repr(shape)} and the data_offsets {short_repr([start, stop])}, which are no sizes"
    needed = math.prod(shape) * DTYPES[dtype][0]
    return "" if stop - start == needed else f"needs {needed} bytes, but has those from {start} to {stop}"


def _is_count(number: object) -> bool:
    return type(number) is int and 0 <= number < 2**63


def _check_places(entries: dict[str, Entry], size: int, path: str | os.PathLike[str]) -> None:
    end = max((entry.stop for entry in entries.values()), default=0)
    if end > size:
        _refuse(path, f"it is truncated: its tensors have {end} bytes, of which {size} are there")
    if end < size:
        _refuse(path, f"it is too long: its tensors have {end} bytes, but {size} follow its header")
    if problems := listing(_misplaced(entries)):
        _refuse(path, f"its tensors do not lie side by side:{problems}")


def _misplaced(entries: dict[str, Entry]) -> Iterator[str]:
    end = 0
    for name, entry in entries.items():
        if entry.start != end:
            what = "overlaps the one before it" if entry.start < end else "comes after a gap"
            yield f"{dotted([name])} {what}: it starts at byte {entry.start}, where {end} are taken"
        end = max(end, entry.stop)


def _refuse(path: str | os.PathLike[str], problem: str, cause: Exception | None = None) -> NoReturn:
    raise CheckpointError(f"{os.fspath(path)} cannot be read: {problem}") from cause
