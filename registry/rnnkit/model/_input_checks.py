"""Validate the input, lengths and states of a model; each error states what was expected and what was given.

Shapes and dtypes are always checked, since they are known while tracing too. The values of `lengths` are checked in
eager mode only, because reading values breaks `torch.compile`, `torch.export` and `torch.func.vmap`.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from rnnkit.errors import InputError
from rnnkit.model.torch_modes import autocast_is_on, transforms_are_active

_INTEGERS = (torch.int64, torch.int32, torch.int16, torch.int8, torch.uint8)


def check_input(x: Tensor, input_size: int, dtype: torch.dtype, *, batch_first: bool) -> None:
    """Raise `InputError` unless x is `(batch, time, input_size)` or time first, with a step or more, and of `dtype`."""
    if not isinstance(x, Tensor):
        raise InputError(f"The input must be a tensor or a PackedSequence, but is a {type(x).__name__}")
    shape = x.shape
    if len(shape) != 3 or shape[2] != input_size or shape[1 if batch_first else 0] == 0:
        raise InputError(_wrong_shape(x, input_size, batch_first=batch_first))
    if x.dtype != dtype and not autocast_is_on(x.device.type):
        raise InputError(f"The model is {dtype}, but the input is {x.dtype}: convert one, as in x.to({dtype})")


def check_step(x_t: Tensor, input_size: int) -> None:
    """Raise `InputError` unless x_t has the two axes of one step; `check_input` checks everything else."""
    if not isinstance(x_t, Tensor) or x_t.dim() != 2:
        found = f"the shape {tuple(x_t.shape)}" if isinstance(x_t, Tensor) else _describe(x_t)
        raise InputError(f"step() takes one step, (batch, input_size) = (*, {input_size}), but got {found}")


def check_lengths(lengths: Tensor, batch: int, time: int) -> None:
    """Raise `InputError` unless lengths is `(batch,)`, of an integer dtype, with values in [0, time]."""
    if not isinstance(lengths, Tensor) or lengths.shape != (batch,) or lengths.dtype not in _INTEGERS:
        raise InputError(
            f"lengths must be an integer tensor of shape (batch,) = ({batch},), but is {_describe(lengths)}"
        )
    if torch.compiler.is_compiling() or transforms_are_active() or lengths.is_meta or batch == 0:
        return
    shortest, longest = (int(end) for end in torch.aminmax(lengths))
    if shortest < 0 or longest > time:
        raise InputError(
            f"Each of lengths must be between 0 and the number of steps, {time}, but they range from {shortest} "
            f"to {longest}"
        )


def check_mask(mask: Tensor) -> None:
    """Raise `InputError` unless mask is `(batch,)`, of dtype bool."""
    if not isinstance(mask, Tensor) or mask.dim() != 1 or mask.dtype != torch.bool:
        raise InputError(f"mask must be a torch.bool tensor of shape (batch,), but is {_describe(mask)}")


def check_state(state: Any, shapes: Any, dtype: torch.dtype | None, where: str = "state") -> Any:
    """Return the state in the layout of `shapes`; a plain tuple is accepted in place of a NamedTuple.

    Raises:
        InputError: the state has another layout, field names or shapes, or a floating-point part that is not of
            `dtype`; None: any dtype.
    """
    if isinstance(shapes, torch.Size):
        _check_part(state, shapes, dtype, where)
        return state
    fields = getattr(shapes, "_fields", None)
    if not isinstance(state, tuple) or len(state) != len(shapes) or getattr(state, "_fields", fields) != fields:
        raise InputError(f"{where} must be {_layout(shapes)}, but is {_describe(state)}")
    names = [f".{name}" for name in fields or ()] or [f"[{i}]" for i in range(len(shapes))]
    parts = [
        check_state(part, shape, dtype, where + name) for name, part, shape in zip(names, state, shapes, strict=True)
    ]
    return type(shapes)(*parts) if fields else tuple(parts)


def _check_part(part: object, shape: torch.Size, dtype: torch.dtype | None, where: str) -> None:
    if not isinstance(part, Tensor) or part.shape != shape:
        raise InputError(f"{where} must be a tensor of shape {tuple(shape)}, but is {_describe(part)}")
    if dtype is not None and part.is_floating_point() and part.dtype != dtype and not autocast_is_on(part.device.type):
        raise InputError(f"{where} must be {dtype} as the input is, but is {_describe(part)}")


def _wrong_shape(x: Tensor, input_size: int, *, batch_first: bool) -> str:
    axes = "(batch, time, input_size)" if batch_first else "(time, batch, input_size)"
    sizes = f"(*, *, {input_size})"
    if x.dim() == 2:
        batch_axis = 0 if batch_first else 1
        hint = f"; for one sequence without a batch axis write x.unsqueeze({batch_axis})"
    else:
        hint = " with at least one step" if x.dim() == 3 and x.shape[2] == input_size else ""
    return f"The input must have the shape {axes} = {sizes}{hint}, but has the shape {tuple(x.shape)}"


def _layout(shapes: Any) -> str:
    if isinstance(shapes, torch.Size):
        return str(tuple(shapes))
    names = [f"{name}=" for name in getattr(shapes, "_fields", ())] or [""] * len(shapes)
    parts = ", ".join(name + _layout(part) for name, part in zip(names, shapes, strict=True))
    return f"{type(shapes).__name__}({parts})"


def _describe(value: Any) -> str:
    if isinstance(value, Tensor):
        return f"a {value.dtype} tensor of shape {tuple(value.shape)}"
    if hasattr(value, "_fields"):
        return f"{type(value).__name__}({', '.join(value._fields)})"
    if isinstance(value, tuple | list):
        return f"a {type(value).__name__} of {len(value)}"
    return f"{value!r}"
