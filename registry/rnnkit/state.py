"""A state is what a backbone carries from one step to the next: tensors in (named) tuples, nested as it likes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor


def map_shapes(make: Callable[[torch.Size], Tensor], shapes: Any) -> Any:
    """The state with `make(shape)` in the place of each `torch.Size` of `shapes`."""
    if isinstance(shapes, torch.Size):
        return make(shapes)
    parts = [map_shapes(make, part) for part in shapes]
    return type(shapes)(*parts) if hasattr(shapes, "_fields") else tuple(parts)
