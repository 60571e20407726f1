"""Common operators on the meta device, without torch's compiler.

For most operators there, torch runs Python code that imports its compiler when it is first called. This takes more than
a second, sets an environment variable and adds warning filters, for models that are only loaded or summarized.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

import numpy as np
import torch
from torch import Tensor


def call_operator(func: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
    """Return `func(*args, **kwargs)`.

    For element-wise operators, `cat`, `stack` and `addmm` of tensors on the meta device, only the shape and dtype of
    the result are computed. Torch runs all others: also for transposed tensors, whose strides decide those of the
    result, and for arguments that do not fit, for its error.
    """
    first = args[0] if args else None
    if isinstance(first, Tensor) and not first.is_meta and first.dim():  # quickly: a whole training may run here
        return func(*args, **kwargs)
    if torch.Tag.pointwise in func.tags:
        output = _elementwise(func, args, kwargs)
    elif func in _OUTPUTS and not kwargs:
        output = _OUTPUTS[func](*args)
    else:
        output = None
    return func(*args, **kwargs) if output is None else output


def _elementwise(func: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Tensor | None:
    tensors = [each for each in args if isinstance(each, Tensor) and (each.dim() or each.is_meta)]
    is_in_place = func.overloadpacket.__name__.endswith("_")
    if not _are_plain(tensors) or (is_in_place and not args[0].is_meta) or "out" in kwargs:
        return None
    with suppress(RuntimeError, ValueError):
        shape = np.broadcast_shapes(*(each.shape for each in tensors))  # that of torch imports sympy
        # on the CPU, for the dtype of the result
        one = func(*(_one_element(each) if isinstance(each, Tensor) else each for each in args), **kwargs)
        if not isinstance(one, Tensor) or one.shape != (1,) * len(shape):
            return None
        if not is_in_place:
            return torch.empty(shape, dtype=one.dtype, device="meta")
        changed: Tensor = args[0]
        return changed if changed.shape == shape else None
    return None


def _one_element(tensor: Tensor) -> Tensor:
    # a number that torch has turned into a tensor promotes dtypes in another way: it must remain the same tensor
    return torch.ones((1,) * tensor.dim(), dtype=tensor.dtype) if tensor.is_meta else tensor


def _cat(tensors: Sequence[Tensor], dim: int = 0) -> Tensor | None:
    if not _fit(tensors) or not -tensors[0].dim() <= dim < tensors[0].dim():
        return None
    shape = list(tensors[0].shape)
    shape[dim] = 0
    if any([*each.shape[:dim], 0, *each.shape[dim:][1:]] != shape for each in tensors):
        return None
    shape[dim] = sum(each.shape[dim] for each in tensors)
    return tensors[0].new_empty(shape)


def _stack(tensors: Sequence[Tensor], dim: int = 0) -> Tensor | None:
    shape = list(tensors[0].shape)
    count = len(shape) + 1
    if not _fit(tensors) or any(each.shape != tensors[0].shape for each in tensors) or not -count <= dim < count:
        return None
    shape.insert(dim % count, len(tensors))
    return tensors[0].new_empty(shape)


def _addmm(added: Tensor, left: Tensor, right: Tensor) -> Tensor | None:
    shape = (left.shape[0], right.shape[1])
    if not _fit([added, left, right]) or left.shape[1] != right.shape[0] or added.shape not in {shape, shape[1:]}:
        return None
    return left.new_empty(shape)


def _fit(tensors: Sequence[Tensor]) -> bool:
    """True for tensors on the meta device of one dtype."""
    return all(each.is_meta and each.dtype == tensors[0].dtype for each in tensors)


def _are_plain(tensors: Sequence[Tensor]) -> bool:
    """True for tensors on the meta device of which torch computes a contiguous one: none is transposed."""
    return bool(tensors) and all(each.is_meta and _is_in_order(each) for each in tensors)


def _is_in_order(tensor: Tensor) -> bool:
    strides = [stride for stride, size in zip(tensor.stride(), tensor.shape, strict=True) if stride and size > 1]
    return strides == sorted(strides, reverse=True)


_OUTPUTS: dict[Any, Any] = {
    torch.ops.aten.cat.default: _cat,
    torch.ops.aten.stack.default: _stack,
    torch.ops.aten.addmm.default: _addmm,
}
