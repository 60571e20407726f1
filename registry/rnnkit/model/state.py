"""Functions of states. A state is a pytree of tuples and NamedTuples of tensors, passed from one step to the next."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from rnnkit._messages import join_names
from rnnkit.errors import InputError


def map_state(function: Callable[..., Any], *states: Any) -> Any:
    """Apply a function to each tensor of a state, or to the corresponding tensors of several states.

    Raises:
        InputError: the states have different layouts.
    """
    first = states[0]
    if _is_leaf(first):
        return function(*states)
    if any(not isinstance(other, tuple) or len(other) != len(first) for other in states):
        raise InputError("The states have different layouts")
    parts = [map_state(function, *parts) for parts in zip(*states, strict=True)]
    return type(first)(*parts) if hasattr(first, "_fields") else tuple(parts)


def detach_state(state: Any) -> Any:
    """Detach each tensor from the graph, as truncated backpropagation through time needs between chunks.

    Raises:
        InputError: the state is not a pytree of tensors.
    """
    return _map_tensors(Tensor.detach, state)


def move_state(state: Any, device: torch.device | str | None = None, dtype: torch.dtype | None = None) -> Any:
    """Move the state to a device, and cast its floating-point parts to a dtype; None leaves either unchanged.

    Raises:
        InputError: the dtype is not a floating-point one, or the state is not a pytree of tensors.
    """
    if dtype is not None and not dtype.is_floating_point:
        raise InputError(f"The dtype of a state must be a floating-point one, such as torch.float32, but is {dtype}")

    def move(part: Tensor) -> Tensor:
        return part.to(device=device, dtype=dtype if part.is_floating_point() else None)

    return _map_tensors(move, state)


def flatten_state(state: Any) -> dict[str, Tensor]:
    """Return the tensors of the state by path, such as `"h_n"` or `"0.h"`, to save them by `torch.save` or safetensors.

    The tensors are detached copies. `RecurrentModel.restore_state` rebuilds the state.

    Raises:
        InputError: the state is not a pytree of tensors.
    """
    # clone: parts of a state may be views of one tensor. safetensors refuses shared memory, and `torch.save` would
    # write the whole base tensor for each view.
    copies = _map_tensors(lambda part: part.detach().clone(memory_format=torch.contiguous_format), state)
    return dict(flatten_with_paths(copies))


def unflatten_state(tensors: Mapping[str, Tensor], shapes: Any) -> Any:
    """Build a state with the layout of `shapes` from tensors by path.

    Raises:
        InputError: a path is missing or unknown, or a value is not a tensor.
    """
    if not isinstance(tensors, Mapping):
        raise InputError(f"tensors must be a mapping, as flatten_state returns, but is a {type(tensors).__name__}")
    expected = [path for path, _ in flatten_with_paths(shapes)]
    if sorted(tensors) != sorted(expected):
        found = join_names(sorted(tensors)) or "none"
        raise InputError(f"The state of this model has the tensors {join_names(expected)}, but got {found}")
    for path, tensor in tensors.items():
        if not isinstance(tensor, Tensor):
            raise InputError(f"{path} must be a tensor, but is a {type(tensor).__name__}")
    return replace_tensors(shapes, [tensors[path] for path in expected])


def state_tensors(state: Any) -> list[Tensor]:
    """Return the tensors of a state, in the order of `flatten_state`."""
    return [state] if _is_leaf(state) else [tensor for part in state for tensor in state_tensors(part)]


def replace_tensors(state: Any, tensors: Sequence[Tensor]) -> Any:
    """Return a state in the layout of another, with these tensors, in the order of `flatten_state`."""
    remaining = iter(tensors)
    return map_state(lambda _part: next(remaining), state)


def expand_mask(mask: Tensor, part: Tensor) -> Tensor:
    """Append axes to a mask over the first axes of `part`, so that it broadcasts over the others."""
    return mask[(...,) + (None,) * (part.dim() - mask.dim())]


def flatten_with_paths(state: Any, prefix: str = "") -> list[tuple[str, Any]]:
    """Return the leaves of a state with their paths."""
    if _is_leaf(state):
        return [(prefix.removesuffix("."), state)]
    names = getattr(state, "_fields", range(len(state)))
    return [
        leaf for name, part in zip(names, state, strict=True) for leaf in flatten_with_paths(part, f"{prefix}{name}.")
    ]


def _map_tensors(function: Callable[[Tensor], Tensor], state: Any) -> Any:
    """Apply a function to each tensor of a state.

    Raises:
        InputError: a part of the state is not a tensor.
    """

    def apply(part: Any) -> Tensor:
        if not isinstance(part, Tensor):
            found = "None" if part is None else f"a {type(part).__name__}"
            raise InputError(f"A state is a tensor or a tuple of tensors, as a model returns it, but has {found}")
        return function(part)

    return map_state(apply, state)


def _is_leaf(part: Any) -> bool:
    return not isinstance(part, tuple) or isinstance(part, torch.Size)  # torch.Size, in `state_shapes`, is a tuple
