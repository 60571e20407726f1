"""A state is what a backbone carries from one step to the next: tensors in (named) tuples, nested as it likes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

from rnnkit.errors import InputError


def map_state(function: Callable[..., Any], *states: Any) -> Any:
    """The state with `function(*parts)` in the place of each tensor; several states of one layout go side by side.

    Raises:
        InputError: the states are not of one layout.
    """
    first = states[0]
    if not isinstance(first, tuple) or isinstance(first, torch.Size):
        return function(*states)
    if any(not isinstance(other, tuple) or len(other) != len(first) for other in states):
        raise InputError("The states are not of one layout")
    parts = [map_state(function, *parts) for parts in zip(*states, strict=True)]
    return type(first)(*parts) if hasattr(first, "_fields") else tuple(parts)


def detach_state(state: Any) -> Any:
    """The same values without their history: where truncated back-propagation through time cuts."""
    return map_state(Tensor.detach, state)


def move_state(state: Any, device: torch.device | str | None = None, dtype: torch.dtype | None = None) -> Any:
    """The state on another device, and its floating-point parts in another dtype; None leaves either as it is."""

    def moved(part: Tensor) -> Tensor:
        return part.to(device=device, dtype=dtype if part.is_floating_point() else None)

    return map_state(moved, state)


def flatten_state(state: Any) -> dict[str, Tensor]:
    """Each tensor of the state under its path, as `"h_n"` or `"0.h"`: what `torch.save` and safetensors take.

    The tensors are copies, without their history, each in memory of its own. `RecurrentModel.restore_state` makes the
    state again.
    """
    return {path: part.detach().clone(memory_format=torch.contiguous_format) for path, part in paths(state)}


def unflatten_state(tensors: Mapping[str, Tensor], shapes: Any) -> Any:
    """The state of the layout of `shapes` whose tensors stand in `tensors` under their paths.

    Raises:
        InputError: a path is missing, or there is one that the layout does not have.
    """
    expected = [path for path, _ in paths(shapes)]
    if sorted(tensors) != sorted(expected):
        found = ", ".join(sorted(tensors)) or "none"
        raise InputError(f"The tensors of this model's state are {', '.join(expected)}, but got {found}")
    for path, tensor in tensors.items():
        if not isinstance(tensor, Tensor):
            raise InputError(f"{path} must be a tensor, but is a {type(tensor).__name__}")
    parts = iter(expected)
    return map_state(lambda _shape: tensors[next(parts)], shapes)


def as_wide(mask: Tensor, part: Tensor) -> Tensor:
    """A mask over the first axes of a part of a state, with as many axes as the part has."""
    return mask[(...,) + (None,) * (part.dim() - mask.dim())]


def paths(state: Any, prefix: str = "") -> list[tuple[str, Any]]:
    """What stands in the place of each tensor, with its path."""
    if not isinstance(state, tuple) or isinstance(state, torch.Size):
        return [(prefix.removesuffix("."), state)]
    names = getattr(state, "_fields", range(len(state)))
    return [found for name, part in zip(names, state, strict=True) for found in paths(part, f"{prefix}{name}.")]
