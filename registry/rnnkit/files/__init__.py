"""Spec files (`spec`), checkpoints (`checkpoint`), the metadata of ONNX files, atomic writes and problems."""

from rnnkit.files._atomic_write import atomic_write
from rnnkit.files._onnx_metadata import ONNX_KEY, OnnxMetadata, OnnxTensor, read_onnx_metadata
from rnnkit.files._problems import FileProblem, listing, problem_lines

__all__ = [
    "ONNX_KEY",
    "FileProblem",
    "OnnxMetadata",
    "OnnxTensor",
    "atomic_write",
    "listing",
    "problem_lines",
    "read_onnx_metadata",
]
