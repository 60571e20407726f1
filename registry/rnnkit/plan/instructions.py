"""The instructions of plans: for each, its value on tensors and its derivative in terms of instructions.

An executor implements this table, one instruction each. All work on pieces `(batch, width)`, element-wise except for
`row_mean` and `row_max`, and equal torch's operators for NaN, infinities and points where the derivative jumps.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from rnnkit.plan.nodes import Graph, Node, Operand, apply

# torch's `hardsigmoid_backward` has 1 / 6 in single precision, for all dtypes.
_SIXTH = float(torch.tensor(1 / 6, dtype=torch.float32))

# From torch 2.14 on, the gradient of `clamp` is zero at the bounds, where it was one.
_ABOVE, _BELOW = ("gt", "lt") if tuple(map(int, torch.__version__.split(".")[:2])) >= (2, 14) else ("ge", "le")

Derivative = Callable[..., Sequence[Operand | None]]


class Instruction(NamedTuple):
    """One instruction.

    Attributes:
        value: the function of tensors.
        derivative: the gradients of the arguments, from the gradient of the result, the result, and the arguments;
            None for an argument without gradient. None for instructions that occur in backward passes only.
    """

    value: Callable[..., Tensor]
    derivative: Derivative | None


def select(mask: Operand, value: Operand, other: Operand) -> Operand:
    """Return `value` where `mask` is True, and `other` elsewhere."""
    return apply("where", mask, value, other)


def row_mean(x: Operand) -> Operand:
    """Return a piece with the mean of the features of `x` in each feature."""
    return apply("row_mean", x) if isinstance(x, Node) else x


def _no_gradient(_gradient: Any, _result: Any, *arguments: Any) -> list[None]:
    return [None] * len(arguments)


def _at_ties(g: Any, first: Any, second: Any, *, larger: bool) -> tuple[Operand, Operand]:
    """The gradients of `maximum` and `minimum`, which is halved between equal arguments."""
    shared = select(apply("eq", first, second), g * 0.5, g)
    of_first = select(apply("lt" if larger else "gt", first, second), 0.0, shared)
    of_second = select(apply("gt" if larger else "lt", first, second), 0.0, shared)
    return of_first, of_second


def _between(g: Any, x: Any, low: float, high: float) -> Operand:
    """The gradient of `clamp`, which has an infinite bound for one that is not given."""
    below = g if high == math.inf else select(apply(_BELOW, x, high), g, 0.0)
    return below if low == -math.inf else select(apply(_ABOVE, x, low), below, 0.0)


def _softplus(x: Tensor, beta: Any, threshold: Any) -> Tensor:
    return F.softplus(x, float(beta), float(threshold))


def _times_power(g: Any, x: Any, exponent: float) -> Operand:
    return 0.0 if exponent == 0 else g * (exponent * apply("pow", x, exponent - 1))


_I = Instruction
INSTRUCTIONS: dict[str, Instruction] = {
    "copy": _I(lambda x: x, lambda g, _y, _x: (g,)),
    "add": _I(operator.add, lambda g, _y, _a, _b: (g, g)),
    "sub": _I(operator.sub, lambda g, _y, _a, _b: (g, -g)),
    "mul": _I(operator.mul, lambda g, _y, a, b: (g * b, g * a)),
    "div": _I(operator.truediv, lambda g, y, _a, b: (g / b, -g * (y / b))),
    "neg": _I(torch.neg, lambda g, _y, _x: (-g,)),
    "reciprocal": _I(torch.reciprocal, lambda g, y, _x: (-g * (y * y),)),
    "abs": _I(torch.abs, lambda g, _y, x: (g * apply("sign", x),)),
    "sign": _I(torch.sign, _no_gradient),
    "exp": _I(torch.exp, lambda g, y, _x: (g * y,)),
    "expm1": _I(torch.expm1, lambda g, y, _x: (g * (y + 1.0),)),
    "log": _I(torch.log, lambda g, _y, x: (g / x,)),
    "log1p": _I(torch.log1p, lambda g, _y, x: (g / (x + 1.0),)),
    "sqrt": _I(torch.sqrt, lambda g, y, _x: (g / (2.0 * y),)),
    "rsqrt": _I(torch.rsqrt, lambda g, y, _x: (-0.5 * g * (y * y * y),)),
    "pow": _I(torch.pow, lambda g, _y, x, exponent: (_times_power(g, x, exponent), None)),
    "sin": _I(torch.sin, lambda g, _y, x: (g * apply("cos", x),)),
    "cos": _I(torch.cos, lambda g, _y, x: (-g * apply("sin", x),)),
    "erf": _I(torch.erf, lambda g, _y, x: (2 / math.sqrt(math.pi) * apply("exp", -(x * x)) * g,)),
    "tanh": _I(torch.tanh, lambda g, y, _x: (apply("tanh_backward", g, y),)),
    "sigmoid": _I(torch.sigmoid, lambda g, y, _x: (apply("sigmoid_backward", g, y),)),
    "relu": _I(torch.relu, lambda g, y, _x: (select(apply("le", y, 0.0), 0.0, g),)),
    "softplus": _I(
        _softplus,
        lambda g, _y, x, beta, threshold: (
            select(apply("gt", x * beta, threshold), g, g * apply("sigmoid", x * beta)),
            None,
            None,
        ),
    ),
    "log_sigmoid": _I(F.logsigmoid, lambda g, _y, x: (g * apply("sigmoid", -x),)),
    "clamp": _I(
        torch.clamp,
        lambda g, _y, x, low, high: (_between(g, x, low, high), None, None),
    ),
    "hardtanh": _I(
        lambda x, low, high: F.hardtanh(x, float(low), float(high)),
        lambda g, _y, x, low, high: (
            select(apply("gt", x, low), select(apply("lt", x, high), g, 0.0), 0.0),
            None,
            None,
        ),
    ),
    "hardsigmoid": _I(
        F.hardsigmoid,
        lambda g, _y, x: (select(apply("gt", x, -3.0), select(apply("lt", x, 3.0), g * _SIXTH, 0.0), 0.0),),
    ),
    "lerp": _I(
        torch.lerp,
        lambda g, _y, start, end, weight: (g * (1.0 - weight), g * weight, g * (end - start)),
    ),
    "maximum": _I(torch.maximum, lambda g, _y, a, b: _at_ties(g, a, b, larger=True)),
    "minimum": _I(torch.minimum, lambda g, _y, a, b: _at_ties(g, a, b, larger=False)),
    "where": _I(torch.where, lambda g, _y, mask, _a, _b: (None, select(mask, g, 0.0), select(mask, 0.0, g))),
    "gt": _I(torch.gt, _no_gradient),
    "ge": _I(torch.ge, _no_gradient),
    "lt": _I(torch.lt, _no_gradient),
    "le": _I(torch.le, _no_gradient),
    "eq": _I(torch.eq, _no_gradient),
    "ne": _I(torch.ne, _no_gradient),
    "logical_and": _I(torch.logical_and, _no_gradient),
    "logical_or": _I(torch.logical_or, _no_gradient),
    "logical_not": _I(torch.logical_not, _no_gradient),
    # A symmetric matrix, hence its own derivative.
    "row_mean": _I(lambda x: x.mean(-1, keepdim=True).expand_as(x), lambda g, _y, _x: (row_mean(g),)),
    # For the shift of a softmax only, on which its value does not depend: it has a gradient in truth.
    "row_max": _I(lambda x: x.amax(-1, keepdim=True).expand_as(x), _no_gradient),
    # Backward passes only.
    "tanh_backward": _I(lambda g, y: g * (1 - y * y), None),
    "sigmoid_backward": _I(lambda g, y: g * (1 - y) * y, None),
}

MASKS = frozenset({"gt", "ge", "lt", "le", "eq", "ne", "logical_and", "logical_or", "logical_not"})
"""The instructions whose value is a boolean."""

CHEAP = MASKS | {
    *("copy", "add", "sub", "mul", "neg", "abs", "sign", "relu", "clamp", "maximum", "minimum", "where", "lerp")
}
"""The instructions that a backward pass computes again, because that costs less than to store their values."""


def new_graph() -> Graph:
    """Return an empty graph of these instructions."""
    return Graph(MASKS)
