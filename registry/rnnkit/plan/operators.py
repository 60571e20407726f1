"""The element-wise operators of torch in terms of instructions, one line each."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from rnnkit.plan.instructions import select
from rnnkit.plan.nodes import Node, apply
from rnnkit.plan.unsupported import Unsupported

_SQRT_HALF = math.sqrt(0.5)
_GELU_TANH = math.sqrt(2 / math.pi)


def as_number(operand: Any) -> Any:
    """Return a boolean as 0 or 1, and any other value unchanged."""
    return select(operand, 1.0, 0.0) if isinstance(operand, Node) and operand.is_mask else operand


def _named(name: str) -> Callable[..., Any]:
    return lambda *arguments: apply(name, *map(as_number, arguments))


def _mask(name: str) -> Callable[..., Any]:
    def logical(*arguments: Any) -> Any:
        if not all(isinstance(each, Node) and each.is_mask for each in arguments):
            raise Unsupported(f"{name} of numbers is not supported, only of comparisons")
        return apply(name, *arguments)

    return logical


def _add(a: Any, b: Any, *, alpha: float = 1) -> Any:
    return as_number(a) + _times(b, alpha)


def _sub(a: Any, b: Any, *, alpha: float = 1) -> Any:
    return as_number(a) - _times(b, alpha)


def _rsub(a: Any, b: Any, alpha: float = 1) -> Any:
    return as_number(b) - _times(a, alpha)


def _times(x: Any, factor: float) -> Any:
    return as_number(x) if factor == 1 else as_number(x) * float(factor)


def _addcmul(x: Any, a: Any, b: Any, *, value: float = 1) -> Any:
    return as_number(x) + _times(as_number(a) * as_number(b), value)


def _addcdiv(x: Any, a: Any, b: Any, *, value: float = 1) -> Any:
    return as_number(x) + _times(as_number(a) / as_number(b), value)


def _pow(x: Any, exponent: float) -> Any:
    return x * x if exponent == 2 else apply("pow", x, float(exponent))


def _clamp(x: Any, low: float | None = None, high: float | None = None) -> Any:
    return apply("clamp", x, -math.inf if low is None else float(low), math.inf if high is None else float(high))


def _hardtanh(x: Any, low: float = -1.0, high: float = 1.0) -> Any:
    return apply("hardtanh", x, float(low), float(high))


def _leaky_relu(x: Any, slope: float = 0.01) -> Any:
    return select(apply("gt", x, 0.0), x, x * slope)


def _threshold(x: Any, threshold: float, value: float) -> Any:
    return select(apply("le", x, float(threshold)), float(value), x)


def _elu(x: Any, alpha: float = 1, scale: float = 1, input_scale: float = 1) -> Any:
    positive = apply("gt", x, 0.0)
    # inside `select`, because the gradient of the other branch may not be infinite
    negative = apply("expm1", select(positive, 0.0, x) * float(input_scale))
    return select(positive, x * float(scale), negative * float(alpha * scale))


def _softplus(x: Any, beta: float = 1, threshold: float = 20) -> Any:
    return apply("softplus", x, float(beta), float(threshold))


def _silu(x: Any) -> Any:
    return x * apply("sigmoid", x)


def _mish(x: Any) -> Any:
    return x * apply("tanh", apply("softplus", x, 1.0, 20.0))


def _gelu(x: Any, *, approximate: str = "none") -> Any:
    if approximate == "tanh":
        inner = _GELU_TANH * (x + 0.044715 * (x * x * x))
        return 0.5 * x * (1.0 + apply("tanh", inner))
    return 0.5 * x * (1.0 + apply("erf", x * _SQRT_HALF))


def _where(mask: Any, value: Any, other: Any) -> Any:
    if not (isinstance(mask, Node) and mask.is_mask):
        raise Unsupported("the condition of torch.where must be a comparison")
    return select(mask, as_number(value), as_number(other))


def _masked_fill(x: Any, mask: Any, value: Any) -> Any:
    return _where(mask, value, x)


def _div(a: Any, b: Any, *, rounding_mode: str | None = None) -> Any:
    if rounding_mode is not None:
        raise Unsupported(f"div with rounding_mode={rounding_mode!r} is not supported")
    return apply("div", as_number(a), as_number(b))


_SAME_NAME = (
    *("mul", "neg", "reciprocal", "abs", "sign", "exp", "expm1", "log", "log1p", "sqrt", "rsqrt", "sin", "cos", "erf"),
    *("tanh", "sigmoid", "relu", "hardsigmoid", "lerp", "maximum", "minimum", "gt", "ge", "lt", "le", "eq", "ne"),
)
ELEMENTWISE: dict[str, Callable[..., Any]] = {
    **{name: _named(name) for name in _SAME_NAME},
    **{name: _mask(name) for name in ("logical_and", "logical_or", "logical_not")},
    "bitwise_and": _mask("logical_and"),
    "bitwise_or": _mask("logical_or"),
    "bitwise_not": _mask("logical_not"),
    "add": _add,
    "sub": _sub,
    "rsub": _rsub,
    "div": _div,
    "true_divide": _div,
    "addcmul": _addcmul,
    "addcdiv": _addcdiv,
    "square": lambda x: x * x,
    "pow": _pow,
    "clamp": _clamp,
    "clamp_min": _clamp,
    "clamp_max": lambda x, high: _clamp(x, None, high),
    "hardtanh": _hardtanh,
    "leaky_relu": _leaky_relu,
    "threshold": _threshold,
    "elu": _elu,
    "_prelu_kernel": lambda x, slope: select(apply("gt", x, 0.0), x, x * slope),
    "softplus": _softplus,
    "log_sigmoid_forward": lambda x: apply("log_sigmoid", x),
    "silu": _silu,
    "mish": _mish,
    "gelu": _gelu,
    "where": _where,
    "masked_fill": _masked_fill,
}
"""For each operator of torch, a function of values and numbers; it raises `Unsupported` for arguments it lacks."""
