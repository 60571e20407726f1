"""Quantize the weights of an ONNX model."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

import onnx
from onnxruntime.quantization import QuantType, quantize_dynamic


def quantize(model: onnx.ModelProto) -> onnx.ModelProto:
    """Return a model with weights of 8 bits, by the dynamic quantization of ONNX Runtime.

    The weights use 7 of the 8 bits. On x86 CPUs without VNNI, ONNX Runtime adds pairs of products in 16 bits, which
    overflow with all 8: results would depend on the CPU, with errors 20 times as large.
    """
    with TemporaryDirectory() as folder:
        path = Path(folder) / "quantized.onnx"
        quantize_dynamic(model, path, weight_type=QuantType.QInt8, reduce_range=True)
        return onnx.load(path)
