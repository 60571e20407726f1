"""Modes of torch: exports, function transforms, autocast, global hooks of modules, and the default device."""

from __future__ import annotations

import torch
from torch import Tensor
from torch._C._functorch import is_legacy_batchedtensor  # torch has no public function
from torch.autograd import forward_ad
from torch.nn.modules import module as torch_module

# torch 2.6 has no `is_exporting`: there a compiled model runs as an exported one, without operators of rnnkit
is_exporting = getattr(torch.compiler, "is_exporting", torch.compiler.is_compiling)


def transforms_are_active() -> bool:
    """True inside a transform of `torch.func` (vmap, grad, jvp, ...) or a level of forward-mode differentiation.

    torch's fused kernels have no rules for either.
    """
    # torch has no public function for this; these are the checks that it uses itself.
    return torch._C._are_functorch_transforms_active() or forward_ad._current_level >= 0  # noqa: SLF001


def is_batched_gradient(gradient: Tensor) -> bool:
    """True for a gradient of `torch.autograd.grad(..., is_grads_batched=True)`, which is not a transform of its own."""
    return is_legacy_batchedtensor(gradient)


def autocast_is_on(device_type: str) -> bool:
    """True if autocast is enabled; False for device types without autocast, such as `meta`, where torch raises."""
    return torch.amp.is_autocast_available(device_type) and torch.is_autocast_enabled(device_type)


def has_global_hooks() -> bool:
    """True if torch has hooks that are called for all modules."""
    # The attributes that `nn.Module.__call__` reads. torch 2.6 has no function for this.
    return bool(
        torch_module._global_forward_hooks  # noqa: SLF001
        or torch_module._global_forward_pre_hooks  # noqa: SLF001
        or torch_module._global_backward_hooks  # noqa: SLF001
        or torch_module._global_backward_pre_hooks  # noqa: SLF001
    )


def default_device() -> torch.device:
    """Return the device of new tensors, also of those inside `with torch.device(...)`."""
    return torch.empty(0).device  # torch 2.6: `torch.get_default_device` ignores the context manager
