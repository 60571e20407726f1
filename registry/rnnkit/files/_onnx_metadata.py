"""The metadata of exported ONNX files. It is read without the onnx package, and without reading the weights."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from io import BufferedReader
from pathlib import Path
from typing import Annotated, Any

from pydantic import ConfigDict, Field, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass

from rnnkit._messages import dotted
from rnnkit.errors import ExportError, SpecFileError
from rnnkit.files._problems import FileProblem, listing, problem_lines
from rnnkit.specs import DuplicateKeyError, find_problems, unique_keys

ONNX_KEY = "rnnkit"
"""The entry of the metadata."""

_FORMAT_VERSION = 1

_CONFIG = ConfigDict(strict=True, extra="forbid")
_MAX_BYTES = 1_000_000  # of the text
_MAX_OVERHEAD = 100  # of its entry: the key and the lengths
_METADATA, _NAME, _VALUE = 14, 1, 2  # field numbers in onnx.proto: ModelProto, and its StringStringEntryProto
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5  # wire types of protobuf
_FIXED_SIZES = {_FIXED64: 8, _FIXED32: 4}


@dataclass(frozen=True, config=_CONFIG)
class OnnxTensor:
    """An input or an output of an exported model.

    Attributes:
        name: its name.
        dtype: its dtype, such as `float32`.
        shape: its sizes; free sizes have names, such as `batch`.
    """

    name: str
    dtype: str
    shape: tuple[int | str, ...]


@dataclass(frozen=True, kw_only=True, config=_CONFIG)
class OnnxMetadata:
    """The metadata that rnnkit writes into an exported ONNX file.

    Attributes:
        spec: the spec in the form of a spec file.
        versions: the versions of the packages that wrote the file.
        inputs: the inputs.
        outputs: the outputs.
        format_version: version of the format, from 1.
    """

    spec: dict[str, Any]
    versions: dict[str, str]
    inputs: tuple[OnnxTensor, ...]
    outputs: tuple[OnnxTensor, ...]
    format_version: Annotated[int, Field(ge=1, le=_FORMAT_VERSION)] = _FORMAT_VERSION

    def dump(self) -> str:
        """Return the metadata as JSON.

        Raises:
            ExportError: `read_onnx_metadata` would not read it.
        """
        if problems := _spec_problems(self.spec):
            raise ExportError(f"The spec cannot be written to an ONNX file:{listing(problems)}")
        text = _METADATA_TYPE.dump_json(self)
        if len(text) > _MAX_BYTES:
            raise ExportError(
                f"The spec, with the names of inputs and outputs, has {len(text):,} bytes, but an ONNX file holds at "
                f"most {_MAX_BYTES:,} of them: use fewer layers"
            )
        return text.decode()


_METADATA_TYPE = TypeAdapter(OnnxMetadata)


def read_onnx_metadata(path: str | os.PathLike[str]) -> OnnxMetadata:
    """Return the metadata of a file that `export_onnx` wrote.

    Raises:
        SpecFileError: the file is not valid, or has no metadata of rnnkit.
        OSError: the file cannot be opened.
    """
    name = os.fspath(path)
    with Path(path).open("rb") as file:
        try:
            texts = [value for key, value in _entries(file) if key == ONNX_KEY]
        except ValueError as error:
            raise SpecFileError(f"{name} is not a valid ONNX file: {error}") from error
    if len(texts) != 1:
        has = f"{len(texts)} entries of" if texts else "no"
        raise SpecFileError(f"{name} has {has} rnnkit metadata: it was not written by export_onnx")
    try:
        metadata = _METADATA_TYPE.validate_json(texts[0])
        json.loads(texts[0], object_pairs_hook=unique_keys)
    except ValidationError as error:
        raise _invalid(name, problem_lines(error)) from error
    except DuplicateKeyError as error:
        raise _invalid(name, [str(error)]) from error
    if problems := _spec_problems(metadata.spec):  # such as NaN, which pydantic reads
        raise _invalid(name, problems)
    return metadata


def _spec_problems(spec: dict[str, Any]) -> list[str]:
    return [
        str(FileProblem("", None, dotted(("spec", *path)), message, value))
        for path, message, value in find_problems(spec)
    ]


def _invalid(name: str, problems: list[str]) -> SpecFileError:
    return SpecFileError(f"{name}: its rnnkit metadata is not valid here:{listing(problems)}")


def _entries(file: BufferedReader) -> Iterator[tuple[str, str]]:
    """Yield the entries of the metadata of a model."""
    end = os.fstat(file.fileno()).st_size
    while file.tell() < end:
        number, size = _read_field(file, end)
        if number == _METADATA and size <= _MAX_BYTES + _MAX_OVERHEAD:
            yield _read_entry(file, file.tell() + size)
        else:
            file.seek(size, os.SEEK_CUR)


def _read_entry(file: BufferedReader, end: int) -> tuple[str, str]:
    texts = {_NAME: "", _VALUE: ""}
    while file.tell() < end:
        number, size = _read_field(file, end)
        texts[number] = file.read(size).decode()
    return texts[_NAME], texts[_VALUE]


def _read_field(file: BufferedReader, end: int) -> tuple[int, int]:
    """Read the start of a field; return its number and the number of bytes that follow.

    Raises:
        ValueError: it is not a field of protobuf, or ends after `end`.
    """
    number, wire_type = divmod(_read_varint(file), 8)
    if wire_type == _VARINT:
        _read_varint(file)
        return number, 0
    size = _read_varint(file) if wire_type == _BYTES else _FIXED_SIZES.get(wire_type)
    if size is None or number == 0 or size > end - file.tell():
        raise ValueError(f"its bytes at {file.tell()} are not protobuf")
    return number, size


def _read_varint(file: BufferedReader) -> int:
    value = shift = 0
    while shift < 70:
        byte = file.read(1)
        if not byte:
            raise ValueError("it is truncated")
        value |= (byte[0] & 0x7F) << shift
        if byte[0] < 0x80:
            return value
        shift += 7
    raise ValueError(f"its bytes at {file.tell()} are not protobuf")
