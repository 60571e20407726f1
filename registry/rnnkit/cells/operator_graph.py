"""Autograd inside a custom operator: the graph of a call, which the backward of the operator reads."""

from __future__ import annotations

import weakref
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor


class OperatorGraph(NamedTuple):
    """The outputs and the inputs of one call inside a custom operator, connected by autograd.

    The operator computes its outputs inside `recording` from detached inputs, and returns the tensor of `keep` as well.
    Its backward, which is another operator, finds the graph by this tensor with `pop`, and returns its `gradients`.

    Attributes:
        outputs: the outputs.
        inputs: the inputs, which are leaves of the graph.
    """

    outputs: list[Tensor]
    inputs: list[Tensor]

    @staticmethod
    @contextmanager
    def recording() -> Iterator[None]:
        """Turn autograd on inside an operator, which runs without it."""
        with torch.inference_mode(False), torch.enable_grad():
            # Inside a `TorchDispatchMode` torch does not record views either, so that writing into a view of a tensor
            # would not reach its gradient. torch has no public function for this.
            keys = torch._C._dispatch_tls_local_exclude_set()  # noqa: SLF001  # no public function
            excluded = keys.remove(torch._C.DispatchKey.ADInplaceOrView)  # noqa: SLF001  # no public name
            included = torch._C._dispatch_tls_local_include_set()  # noqa: SLF001  # no public function
            with torch._C._ForceDispatchKeyGuard(included, excluded):  # noqa: SLF001  # no public function
                yield

    def keep(self) -> Tensor:
        """Keep the graph as long as the memory of the returned tensor: operators pass tensors on, but no graphs."""
        memory = np.zeros(1, np.int8)
        saved = torch.from_numpy(memory)
        _graphs[saved.data_ptr()] = self
        weakref.finalize(memory, _graphs.pop, saved.data_ptr(), None).atexit = False
        return saved

    @staticmethod
    def pop(saved: Tensor) -> OperatorGraph | None:
        """Return the graph that `keep` returned a tensor for, and forget it, because a backward frees a graph.

        None: it is forgotten already, or this is a copy of the tensor, as some compilers make. Record the call again.
        """
        return _graphs.pop(saved.data_ptr(), None)

    def gradients(self, of_outputs: Sequence[Tensor], needed: Sequence[bool]) -> list[Tensor]:
        """Return the gradients of those inputs that need one, zeros for those that the outputs do not depend on.

        Args:
            of_outputs: the gradient of each output.
            needed: for each input, True if its gradient is returned.
        """
        inputs = [each for each, is_needed in zip(self.inputs, needed, strict=True) if is_needed]
        pairs = [pair for pair in zip(self.outputs, of_outputs, strict=True) if pair[0].requires_grad]
        outputs, grad_outputs = zip(*pairs, strict=True) if pairs else ((), ())
        with OperatorGraph.recording():
            found = torch.autograd.grad(outputs, inputs, grad_outputs, allow_unused=True, materialize_grads=True)
        # clone: one tensor may be the gradient of two inputs, and the results of an operator share no memory
        return [each.clone(memory_format=torch.contiguous_format) for each in found]


# The graphs of calls whose backward may still run, by the address of the tensor that `keep` returned.
_graphs: dict[int, OperatorGraph] = {}
