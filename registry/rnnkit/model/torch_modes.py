"""What torch does to tensors on their way: transforms, under which fused kernels have no rules, and autocast."""

from __future__ import annotations

import torch
from torch.autograd import forward_ad


def transforms_are_active() -> bool:
    """Within `torch.func` (vmap, grad, jvp, ...), or a level of forward-mode automatic differentiation."""
    # Neither has a public question for it; these are the ones that torch asks itself.
    return torch._C._are_functorch_transforms_active() or forward_ad._current_level >= 0  # noqa: SLF001


def autocast_is_on(device_type: str) -> bool:
    """Also for device types that have no autocast, such as `meta`, for which torch raises an error."""
    return torch.amp.is_autocast_available(device_type) and torch.is_autocast_enabled(device_type)
