"""Functions in ONNX that are exact near zero, where torch's own translations lose digits by cancellation."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from onnxscript import opset18

op: Any = opset18  # its annotations do not allow values of a graph as arguments


def _one(x: Any) -> Any:
    return op.CastLike(op.Constant(value_float=1.0), x)


def translate_expm1(x: Any) -> Any:
    """Translate exp(x) - 1 = 2 t / (1 - t), where t = tanh(x / 2); the denominator is exact enough for x below 1."""
    one = _one(x)
    t = op.Tanh(op.Div(x, op.Add(one, one)))
    return op.Where(op.Less(x, one), op.Div(op.Add(t, t), op.Sub(one, t)), op.Sub(op.Exp(x), one))


def translate_log1p(x: Any) -> Any:
    """Translate log(1 + x): with w = 1 + x as it is rounded, log(w) x / (w - 1) (Kahan)."""
    one = _one(x)
    w = op.Add(one, x)
    difference = op.Sub(w, one)
    exact = op.Equal(difference, op.Sub(one, one))
    return op.Where(exact, x, op.Div(op.Mul(op.Log(w), x), op.Where(exact, one, difference)))


def translate_log_sigmoid(x: Any) -> Any:
    """Translate log(sigmoid(x)) = min(x, 0) - log(1 + exp(-|x|))."""
    zero = op.Sub(_one(x), _one(x))
    return op.Sub(op.Min(x, zero), translate_log1p(op.Exp(op.Neg(op.Abs(x)))))


TRANSLATIONS: Mapping[Any, Callable[[Any], Any]] = {
    torch.ops.aten.expm1.default: translate_expm1,
    torch.ops.aten.log1p.default: translate_log1p,
    torch.ops.aten.log_sigmoid.default: translate_log_sigmoid,
}
