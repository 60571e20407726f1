"""Validate the input, lengths and states of a model; each error states what was expected and what was given.

Shapes and dtypes are always checked, since they are known while tracing too. The values of `lengths` are checked in
eager mode only, because reading values breaks `torch.compile`, `torch.export` and `torch.func.vmap`.
"""

from __future__ import annotations

from collections.abc import Sequence
from numbers import Integral
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from rnnkit._messages import join_names, short_repr
from rnnkit.errors import InputError
from rnnkit.model.state import flatten_with_paths, state_tensors
from rnnkit.model.torch_modes import autocast_is_on, transforms_are_active

Lengths = Tensor | Sequence[int] | NDArray[np.integer[Any]]
"""The number of valid steps of each sequence, `(batch,)`."""

Index = Tensor | Sequence[int] | NDArray[np.integer[Any] | np.bool_]
"""Positions of sequences in the batch, `(new_batch,)`, or a mask over them, `(batch,)`."""

Mask = Tensor | NDArray[np.bool_]
"""True for the sequences, `(batch,)`, or for the steps, `(batch, time)`, that are meant."""


def check_input(x: Tensor, input_size: int, dtype: torch.dtype, *, batch_first: bool) -> None:
    """Raise `InputError` unless x is dense, `(batch, time, input_size)` or time first, with a step, and of `dtype`."""
    if not isinstance(x, Tensor):
        raise InputError(not_a_tensor(x))
    if x.layout is not torch.strided or x.is_nested:
        raise InputError(_not_dense(x))
    shape = x.shape
    if len(shape) != 3 or shape[2] != input_size or shape[1 if batch_first else 0] == 0:
        raise InputError(_wrong_shape(x, input_size, batch_first=batch_first))
    if x.dtype != dtype and not autocast_is_on(x.device.type):
        raise InputError(f"The model is {dtype}, but the input is {x.dtype}: convert one, as in x.to({dtype})")


def not_a_tensor(x: object) -> str:
    """Return the message for an input that is neither a tensor nor a `PackedSequence`."""
    return f"The input must be a tensor or a PackedSequence, but is {_describe(x)}{_tensor_hint('x', x)}"


def check_targets(y: Tensor) -> None:
    """Raise `InputError` unless y is a real tensor."""
    if not isinstance(y, Tensor):
        raise InputError(f"y must be a tensor, but is {_describe(y)}{_tensor_hint('y', y)}")
    if y.is_complex():
        raise InputError(f"y must be real, but is {_describe(y)}: fit y.real and y.imag as two outputs")


def check_step(x_t: Tensor, input_size: int | None) -> None:
    """Raise `InputError` unless x_t has the axes of one step, of features or, with None, of token ids."""
    step = "(batch,) token ids" if input_size is None else f"(batch, input_size) = (*, {input_size})"
    if not isinstance(x_t, Tensor) or x_t.dim() != (1 if input_size is None else 2):
        found = f"the shape {tuple(x_t.shape)}" if isinstance(x_t, Tensor) else _describe(x_t)
        raise InputError(f"step() takes one step, {step}, but got {found}")


def check_batch_size(batch_size: int) -> None:
    """Raise `InputError` unless a number of sequences is an integer, at least 0."""
    if isinstance(batch_size, torch.SymInt):  # of a traced program
        return
    if not isinstance(batch_size, Integral) or isinstance(batch_size, bool) or int(batch_size) < 0:
        raise InputError(f"batch_size must be an integer of at least 0, but is {short_repr(batch_size)}")


def valid_lengths(lengths: Any, batch: int, time: int) -> Tensor:
    """Return lengths as an int64 tensor.

    Raises:
        InputError: lengths are not integers in [0, time] of shape `(batch,)`.
    """
    tensor = _as_tensor(lengths)
    if not isinstance(tensor, Tensor) or tensor.shape != (batch,) or not is_integer(tensor):
        raise InputError(
            f"lengths must be an integer tensor of shape (batch,) = ({batch},), but is {_describe_sequence(lengths)}"
        )
    tensor = tensor.to(torch.int64)
    if found := _range_outside(tensor, time):
        raise InputError(f"Each of lengths must be between 0 and the number of steps, {time}, but they range {found}")
    return tensor


def valid_padding_mask(mask: Any, x: Tensor, *, batch_first: bool) -> Tensor:
    """Return a padding mask as a tensor of dtype bool, in the layout of x without features.

    Raises:
        InputError: the mask does not fit x, or is True for a step after one for which it is False.
    """
    valid = valid_step_mask("mask", mask, x, batch_first=batch_first)
    if not values_are_known(valid):
        return valid
    steps = valid if batch_first else valid.transpose(0, 1)
    holes = (steps[:, 1:] & ~steps[:, :-1]).nonzero()
    if len(holes) > 0:
        sequence, step = holes[0].tolist()
        raise InputError(
            f"mask must be True for the first steps of each sequence and False for the padding at its end, but is "
            f"False at step {step} and True at step {step + 1} of sequence {sequence}: move the padding to the end, "
            "such as x[i].roll(-padding, 0) for a sequence that is padded on the left; if True marks the padding, pass "
            "~mask"
        )
    return valid


def valid_step_mask(name: str, mask: Any, x: Tensor, *, batch_first: bool) -> Tensor:
    """Return a mask over the steps of x as a tensor of dtype bool, in the layout of x without features.

    Raises:
        InputError: the mask does not have a value of dtype bool for each step of x.
    """
    tensor = _as_mask(mask)
    if not isinstance(tensor, Tensor) or tensor.shape != x.shape[:2] or tensor.dtype != torch.bool:
        axes = "(batch, time)" if batch_first else "(time, batch)"
        raise InputError(_wrong_mask(name, mask, f"{axes} = {tuple(x.shape[:2])}"))
    return tensor


def is_integer(tensor: Tensor) -> bool:
    """True for the signed and unsigned integer dtypes, bool excluded."""
    return not (tensor.is_floating_point() or tensor.is_complex() or tensor.dtype == torch.bool)


def values_are_known(tensor: Tensor) -> bool:
    """True if the values of a tensor may be read: in eager mode, on a device with values."""
    return not (torch.compiler.is_compiling() or transforms_are_active() or tensor.is_meta)


def valid_sequence_mask(mask: Any) -> Tensor:
    """Return a mask over the sequences of a batch as a tensor of dtype bool, `(batch,)`.

    Raises:
        InputError: the mask has another shape or dtype.
    """
    tensor = _as_mask(mask)
    if not isinstance(tensor, Tensor) or tensor.dim() != 1 or tensor.dtype != torch.bool:
        raise InputError(_wrong_mask("mask", mask, "(batch,)"))
    return tensor


def valid_index(index: Any, batch: int) -> Tensor:
    """Return the indices of sequences as an int64 tensor, `(new_batch,)`.

    Raises:
        InputError: index is neither a one-dimensional tensor or list of integers in [0, batch), nor a bool mask of
            shape `(batch,)`.
    """
    tensor = _as_tensor(index)
    if not isinstance(tensor, Tensor) or tensor.dim() != 1 or tensor.is_floating_point() or tensor.is_complex():
        raise InputError(
            f"index must be a one-dimensional integer tensor, a list of integers, or a torch.bool tensor of shape "
            f"(batch,) = ({batch},), but is {_describe_sequence(index)}"
        )
    if tensor.dtype == torch.bool:
        if tensor.shape[0] != batch:
            raise InputError(f"A bool index must have the shape (batch,) = ({batch},), but has {tuple(tensor.shape)}")
        return tensor.nonzero().squeeze(-1)
    tensor = tensor.to(torch.int64)
    if found := _range_outside(tensor, batch - 1):
        raise InputError(
            f"Each index must be between 0 and {batch - 1}, as the state has {batch} sequences, but they range {found}"
        )
    return tensor


def _as_tensor(values: Any) -> Any:
    """Return a sequence or a NumPy array of integers, or of booleans, as a tensor, and anything else unchanged.

    Integers that int64 cannot hold are unchanged too.
    """
    values = values.tolist() if isinstance(values, np.ndarray) else values
    if not isinstance(values, Sequence):
        return values
    is_bool = [isinstance(each, bool | np.bool_) for each in values]
    if any(is_bool):
        # plain booleans: torch 2.6 refuses those of NumPy 2
        return torch.tensor([bool(each) for each in values], dtype=torch.bool) if all(is_bool) else values
    are_integers = all(isinstance(each, Integral) and -(2**63) <= int(each) < 2**63 for each in values)
    return torch.tensor(values, dtype=torch.int64) if are_integers else values


def _as_mask(mask: Any) -> Any:
    """Return a NumPy array of booleans as a tensor, and anything else unchanged."""
    return torch.from_numpy(mask.copy()) if isinstance(mask, np.ndarray) and mask.dtype == np.bool_ else mask


def _range_outside(values: Tensor, largest: int) -> str:
    """Return `from -1 to 3` for values, `(batch,)`, that are not all in [0, largest]; an empty string otherwise."""
    if not values_are_known(values) or len(values) == 0:  # while tracing, `len` would fix the size
        return ""
    lowest, highest = (int(end) for end in torch.aminmax(values))
    return f"from {lowest} to {highest}" if lowest < 0 or highest > largest else ""


def check_state(state: Any, shapes: Any, dtype: torch.dtype | None, where: str = "state") -> Any:
    """Return the state in the layout of `shapes`; a plain tuple is accepted in place of a NamedTuple.

    Raises:
        InputError: the state has another layout, field names or shapes, or a floating-point part that is not of
            `dtype`; None: any dtype.
    """
    if isinstance(shapes, torch.Size):
        _check_part(state, shapes, dtype, where)
        return state
    if state is None:
        raise InputError(f"{where} must be a state that the model returned or initial_state(batch_size), but is None")
    fields = getattr(shapes, "_fields", None)
    if not isinstance(state, tuple) or len(state) != len(shapes) or getattr(state, "_fields", fields) != fields:
        raise InputError(f"{where} must be {_layout(shapes)}, but is {_describe(state)}")
    names = [f".{name}" for name in fields or ()] or [f"[{i}]" for i in range(len(shapes))]
    parts = [
        check_state(part, shape, dtype, where + name) for name, part, shape in zip(names, state, shapes, strict=True)
    ]
    return type(shapes)(*parts) if fields else tuple(parts)


def check_integer_parts(state: Any, initial: Any) -> None:
    """Raise `InputError` if a part of a state is not of a floating-point dtype, but that of the initial state is."""
    for (path, first), part in zip(flatten_with_paths(initial), state_tensors(state), strict=True):
        if first.is_floating_point() and not part.is_floating_point():
            raise InputError(f"{path} of the state must be {first.dtype} as the input is, but is {_describe(part)}")


def _check_part(part: object, shape: torch.Size, dtype: torch.dtype | None, where: str) -> None:
    if not isinstance(part, Tensor) or part.shape != shape:
        raise InputError(f"{where} must be a tensor of shape {tuple(shape)}, but is {_describe(part)}")
    if dtype is not None and part.is_floating_point() and part.dtype != dtype and not autocast_is_on(part.device.type):
        raise InputError(f"{where} must be {dtype} as the input is, but is {_describe(part)}")


def _not_dense(x: Tensor) -> str:
    if x.is_nested:
        return "The input must be a padded tensor, but is nested: pass x.to_padded_tensor(0.0) and `lengths`"
    return f"The input must be a dense tensor, but has the layout {x.layout}: convert it, as in x.to_dense()"


def _wrong_shape(x: Tensor, input_size: int, *, batch_first: bool) -> str:
    axes = "(batch, time, input_size)" if batch_first else "(time, batch, input_size)"
    sizes = f"(*, *, {input_size})"
    if x.dim() == 2:
        batch_axis = 0 if batch_first else 1
        hint = f"; for one sequence without a batch axis write x.unsqueeze({batch_axis})"
    else:
        hint = " with at least one step" if x.dim() == 3 and x.shape[2] == input_size else ""
    return f"The input must have the shape {axes} = {sizes}{hint}, but has the shape {tuple(x.shape)}"


def _wrong_mask(name: str, mask: object, shape: str) -> str:
    hint = _tensor_hint(name, mask) if isinstance(mask, list) else ""
    if isinstance(mask, Tensor) and mask.dtype != torch.bool:
        hint = f": convert it, as in {name}.bool()"
    if isinstance(mask, np.ndarray) and mask.dtype != np.bool_:
        hint = f": convert it, as in {name}.astype(bool)"
    return f"{name} must be a torch.bool tensor of shape {shape}, but is {_describe(mask)}{hint}"


def _tensor_hint(name: str, value: object) -> str:
    if isinstance(value, np.ndarray):
        return f": convert it, as in torch.from_numpy({name})"
    return f": convert it, as in torch.tensor({name})" if isinstance(value, list) else ""


def _describe_sequence(value: Any) -> str:
    return short_repr(value) if isinstance(value, list | tuple) else _describe(value)


def _layout(shapes: Any) -> str:
    if isinstance(shapes, torch.Size):
        return str(tuple(shapes))
    names = [f"{name}=" for name in getattr(shapes, "_fields", ())] or [""] * len(shapes)
    parts = join_names(name + _layout(part) for name, part in zip(names, shapes, strict=True))
    return f"{type(shapes).__name__}({parts})"


def _describe(value: Any) -> str:
    if isinstance(value, Tensor):
        return f"a {value.dtype} tensor of shape {tuple(value.shape)}"
    if hasattr(value, "_fields"):
        return f"{type(value).__name__}({join_names(value._fields)})"
    if isinstance(value, tuple | list):
        return f"a {type(value).__name__} of {len(value)}"
    if isinstance(value, np.ndarray):
        return f"a NumPy array of {value.dtype} and shape {value.shape}"
    return short_repr(value)
