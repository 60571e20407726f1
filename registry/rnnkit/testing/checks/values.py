"""Large inputs, and the precision of float64."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from rnnkit import build_model
from rnnkit.testing._check import CheckFailedError, check
from rnnkit.testing._comparison import leaves
from rnnkit.testing._context import Case, CheckContext, with_gradients

_MAGNITUDES = (1e2, 1e4, 1e6)
_TIME = 3  # steps, so that a kind that multiplies its values stays finite
_NARROW = (torch.float32, torch.float16, torch.bfloat16)


@check("numerics")
def large_inputs_give_finite_results(context: CheckContext) -> None:
    """Inputs up to 1e6 give outputs, states and gradients without NaN, and without overflow that float64 does not have.

    A quotient of exponentials becomes inf / inf, or a value that is not used overflows and makes a gradient NaN.
    """
    for case in context.cases(context.kind.variants):
        for magnitude in _MAGNITUDES:
            wide = _at_magnitude(case, magnitude, torch.float64)
            for name, exact in wide.items():
                what = f"with an input of {magnitude:g}, the {name}"
                context.assert_true(not _any(Tensor.isnan, exact), f"{what} is NaN in float64")
            if _any(_is_large, wide):
                break  # the kind grows too fast for float32
            narrow = _at_magnitude(case, magnitude, torch.float32)
            for name, each in narrow.items():
                what = f"with an input of {magnitude:g}, the {name}"
                context.assert_true(not _any(_is_not_finite, each), f"{what} is not finite in float32")


def _at_magnitude(case: Case, magnitude: float, dtype: torch.dtype) -> dict[str, Any]:
    model = case.model(dtype=torch.float32).to(dtype)
    x = (magnitude * case.input(time=_TIME, dtype=torch.float32)).to(dtype).requires_grad_()
    return with_gradients(model.backbone, *model.backbone(x), x)


def _any(predicate: Any, results: Any) -> bool:
    return any(bool(predicate(part).any()) for part in leaves(results))


def _is_not_finite(part: Tensor) -> Any:
    return ~part.isfinite()


def _is_large(part: Tensor) -> Any:
    """Whether a value may overflow in float32 on the way to its result."""
    return part.abs() > torch.finfo(torch.float32).max ** 0.5


@check("numerics")
def float64_is_not_narrowed(context: CheckContext) -> None:
    """A float64 model computes with no value that was rounded to a narrower dtype.

    A constant such as `torch.tensor(0.1)` or a part of the step is float32, so that float64 has seven digits only.
    """
    for case in context.cases(context.kind.variants):
        with _NoNarrowValues(constants_only=True):  # initial weights may be drawn in another dtype
            build_model(case.spec, dtype=torch.float64)
        model, x = case.model(), case.input()
        with _NoNarrowValues():
            model(x, return_state=True)
        context.assert_true(True, "")


class _NoNarrowValues(TorchDispatchMode):
    """Fails if an operation reads a narrower floating-point tensor and returns float64.

    Values that are exact in bfloat16 too, such as 0 and 0.5, are allowed.

    Args:
        constants_only: look at tensors of one value only.
    """

    def __init__(self, *, constants_only: bool = False) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # missing in torch's stubs
        self._constants_only = constants_only

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = function(*args, **(kwargs or {}))
        if any(each.dtype == torch.float64 for each in _tensors(result)):
            for each in _tensors((args, kwargs or {})):
                if each.dtype in _NARROW and self._is_rounded(each):
                    raise CheckFailedError(f"{function} reads a {each.dtype} tensor of shape {tuple(each.shape)}")
        return result

    def _is_rounded(self, part: Tensor) -> bool:
        if self._constants_only and part.numel() != 1:
            return False
        return part.dtype != torch.float32 or not torch.equal(part, part.bfloat16().to(part))


def _tensors(value: Any) -> list[Tensor]:
    if isinstance(value, Tensor):
        return [value]
    parts = value.values() if isinstance(value, dict) else value if isinstance(value, tuple | list) else ()
    return [each for part in parts for each in _tensors(part)]
