"""Refuses gradient checkpointing that would silently drop a gradient."""

from __future__ import annotations

import sys
from types import CodeType, FrameType

import torch
from torch.utils.checkpoint import CheckpointFunction

from rnnkit.errors import StepError

_CHECKPOINT: CodeType = CheckpointFunction.forward.__code__


def refuse_reentrant_checkpoint() -> None:
    """Raise an error inside `torch.utils.checkpoint` with `use_reentrant=True`, which detaches a returned state.

    torch connects the tensors that the function returns with its inputs, but not those inside a tuple that it returns.

    Raises:
        StepError: the caller runs inside such a checkpoint.
    """
    # The forward of such a checkpoint runs under `torch.no_grad`. The cheapest question comes first: this runs at every
    # call.
    if torch.is_grad_enabled() or torch.compiler.is_compiling() or torch.is_inference_mode_enabled():
        return
    frame: FrameType | None = sys._getframe(1)  # noqa: SLF001  # torch does not record it
    while frame is not None and frame.f_code.co_qualname != "RecurrentModel._run":  # the model itself asks if necessary
        if frame.f_code is _CHECKPOINT:
            raise StepError(
                "torch.utils.checkpoint with use_reentrant=True drops the gradient of the returned state: pass "
                "use_reentrant=False"
            )
        frame = frame.f_back
