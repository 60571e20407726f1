"""Whether torch's function transforms or autocast are active."""

from __future__ import annotations

import torch
from torch.autograd import forward_ad


def transforms_are_active() -> bool:
    """True inside a transform of `torch.func` (vmap, grad, jvp, ...) or a level of forward-mode differentiation.

    torch's fused kernels have no rules for either.
    """
    # torch has no public function for this; these are the checks that it uses itself.
    return torch._C._are_functorch_transforms_active() or forward_ad._current_level >= 0  # noqa: SLF001


def autocast_is_on(device_type: str) -> bool:
    """True if autocast is enabled; False for device types without autocast, such as `meta`, where torch raises."""
    return torch.amp.is_autocast_available(device_type) and torch.is_autocast_enabled(device_type)
