"""The matrix exponential in ONNX, which has no operator for it."""

from __future__ import annotations

from typing import Any

from onnxscript import opset18

op: Any = opset18  # its annotations do not allow values of a graph as arguments

_DEGREE = 12  # of the Taylor polynomial: its error is below 1e-13 where the norm is at most 1/2
_SQUARINGS = 16


def translate_matrix_exp(a: Any) -> Any:
    """Translate `aten::linalg_matrix_exp` of one matrix, by scaling and squaring."""

    def number(value: float) -> Any:
        return op.CastLike(op.Constant(value_float=value), a)

    norm = op.ReduceMax(op.ReduceSum(op.Abs(a), op.Constant(value_ints=[-1])))
    is_large = [op.Greater(norm, number(2.0 ** (i - 1))) for i in range(_SQUARINGS)]
    for each in is_large:
        a = op.Where(each, op.Mul(a, number(0.5)), a)
    identity = op.EyeLike(a)
    result = identity
    for k in range(_DEGREE, 0, -1):
        result = op.Add(identity, op.MatMul(op.Mul(a, number(1 / k)), result))
    for each in is_large:
        result = op.Where(each, op.MatMul(result, result), result)
    return result
