"""Quantize the weights of an ONNX model."""

from __future__ import annotations

import logging
from pathlib import Path
from tempfile import TemporaryDirectory

import onnx
from onnxruntime.quantization import QuantType, quantize_dynamic

from rnnkit.errors import ExportError


def quantize(model: onnx.ModelProto) -> onnx.ModelProto:
    """Return a model with weights of 8 bits, by the dynamic quantization of ONNX Runtime.

    Raises:
        ExportError: the model has no weights that can be quantized.
    """
    with TemporaryDirectory() as folder:
        path = Path(folder) / "quantized.onnx"
        quantize_dynamic(model, path, weight_type=QuantType.QInt8)
        quantized = onnx.load(path)
    quantized.metadata_props.extend(each for each in model.metadata_props)
    return quantized
