"""Whether tensors are looked at through a transform of torch, under which fused kernels have no rules."""

from __future__ import annotations

import torch
from torch.autograd import forward_ad


def transforms_are_active() -> bool:
    """Within `torch.func` (vmap, grad, jvp, ...), or a level of forward-mode automatic differentiation."""
    # Neither has a public question for it; these are the ones that torch asks itself.
    return torch._C._are_functorch_transforms_active() or forward_ad._current_level >= 0  # noqa: SLF001
