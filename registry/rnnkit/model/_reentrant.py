"""Refuses gradient checkpointing that would silently drop a gradient."""

from __future__ import annotations

import sys
from types import CodeType, FrameType
from typing import Any

import torch
from torch import Tensor
from torch.utils.checkpoint import CheckpointFunction

from rnnkit.errors import StepError
from rnnkit.model.state import map_state
from rnnkit.model.torch_modes import is_exporting, transforms_are_active

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
    # the model itself asks if necessary
    _refuse(sys._getframe(1), stop="RecurrentModel._run")  # noqa: SLF001  # torch does not record it


def _refuse(frame: FrameType | None, *, stop: str = "") -> None:
    while frame is not None and frame.f_code.co_qualname != stop:
        if frame.f_code is _CHECKPOINT:
            raise StepError(
                "torch.utils.checkpoint with use_reentrant=True drops the gradient of the returned state: pass "
                "use_reentrant=False"
            )
        frame = frame.f_back


def refuse_in_compiled_model(x: Tensor, state: Any) -> Any:
    """Return a state that a compiled model returns only where `refuse_reentrant_checkpoint` raises no error.

    The question is an operator on the input x, since the answer differs from call to call, and the state is multiplied
    by its result, which is one. A compiler removes both if the state is not used. A part of a model, compiled alone
    after a graph break, refuses even then.
    """
    if torch.is_grad_enabled() or not torch.compiler.is_compiling() or is_exporting() or transforms_are_active():
        return state
    one = torch.ops.rnnkit.refuse_reentrant_checkpoint(x)
    return map_state(lambda part: part * one.to(part.dtype), state)


def _one(x: Tensor) -> Tensor:
    _refuse(sys._getframe(1))  # noqa: SLF001  # torch does not record it
    return x.new_ones(())


_OPERATOR = "rnnkit::refuse_reentrant_checkpoint"
# it runs Python, which a CUDA graph does not replay
_TAGS = (torch.Tag.cudagraph_unsafe,) if hasattr(torch.Tag, "cudagraph_unsafe") else ()
# not `custom_op`, whose calls take longer: this is a part of each step of a compiled stream
if not hasattr(torch.ops.rnnkit, "refuse_reentrant_checkpoint"):  # the module may be imported twice
    torch.library.define(_OPERATOR, "(Tensor x) -> Tensor", tags=_TAGS)
    torch.library.impl(_OPERATOR, "CompositeExplicitAutograd", _one)
    torch.library.register_fake(_OPERATOR, lambda x: x.new_empty(()))
