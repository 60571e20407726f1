"""The result of an export."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class ExportReport:
    """The result of `export_onnx`.

    Attributes:
        path: path of the file.
        inputs: the names of the inputs.
        outputs: the names of the outputs.
        operators: how often the file has each operator, those inside a `Scan` included; most frequent first.
        size: size of the file in bytes.
        difference: the largest difference from the model, relative to the largest value of the same output; None: the
            file is not verified.
        float_size: with `int8=True`, the size of the file before quantization; None otherwise.
    """

    path: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    operators: Mapping[str, int]
    size: int
    difference: float | None
    float_size: int | None = None
