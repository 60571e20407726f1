"""The executor: runs plans on the processor by the native library."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor

from rnnkit.plan import Executor, Plan, flatten
from rnnkit_kernels._autograd import LayersFunction
from rnnkit_kernels._layers import Layer, Layers
from rnnkit_kernels._library import Library, LibraryError, load_library
from rnnkit_kernels._tables import tables_for

_DTYPES = {torch.float32, torch.float64, torch.bfloat16}
_MOST_PROJECTED = 100_000  # multiplications of an input at one step: more do not stay in the cache beside the others


class MachineExecutor(Executor):
    """Runs plans by the native library, forward and backward. Results equal the step loop's up to rounding.

    In bfloat16 it computes in float32 and rounds the results, where the step loop rounds after each operator.

    Args:
        instruction_set: the instruction set to use, such as `x86-64-v3`; None for that of the environment variable
            `RNNKIT_KERNELS_ISA`, or else the best that the processor has.
    """

    name: ClassVar[str] = "kernels"

    def __init__(self, instruction_set: str | None = None) -> None:
        self._instruction_set = instruction_set

    def problem(self) -> str | None:
        """Return why the native library cannot be used; None if it can."""
        library = load_library(self._instruction_set)
        return str(library) if isinstance(library, LibraryError) else None

    def refuses(self, plan: Plan, dtype: torch.dtype, device: torch.device) -> str | None:
        """Return the reason why the executor cannot run a plan; None if it can.

        Args:
            plan: the plan.
            dtype: the dtype of the inputs and parameters.
            device: their device.
        """
        library = load_library(self._instruction_set)
        if isinstance(library, LibraryError):
            return str(library)
        if device.type != "cpu":
            return f"rnnkit-kernels runs on cpu, not on {device.type}"
        if dtype not in _DTYPES:
            return (
                f"rnnkit-kernels computes in float32, float64 and bfloat16, not in {str(dtype).removeprefix('torch.')}"
            )
        tables = tables_for(plan, library.opcodes)
        if tables.projection > _MOST_PROJECTED:
            return "torch projects the input of all steps at once faster than the library step by step"
        return f"the library of rnnkit-kernels has no instruction {tables.unknown[0]}" if tables.unknown else None

    def unroll(
        self, plan: Plan, cell: Any, projected: Any, state: Any, lengths: Tensor | None = None
    ) -> tuple[Tensor, Any]:
        """Run a plan over a sequence.

        Args:
            plan: the plan of the cell's step.
            cell: the cell, for its parameters.
            projected: the projected input: `(time, batch, ...)`, or nested tuples of such tensors.
            state: the state before the first step, a NamedTuple of tensors `(batch, ...)`.
            lengths: the number of valid steps of each sequence, `(batch,)`; None: all are valid.

        Returns:
            The output, `(time, batch, features)`, zero past the length of each sequence, and the state after the last
            valid step of each sequence.

        Raises:
            LibraryError: the library is not available.
            ValueError: a tensor has another shape, dtype or device than the plan.
        """
        output, (final,) = self.unroll_layers([plan], [cell], projected, [state], lengths)
        return output, final

    def unroll_layers(
        self,
        plans: Sequence[Plan],
        cells: Sequence[Any],
        projected: Any,
        states: Sequence[Any],
        lengths: Tensor | None = None,
    ) -> tuple[Tensor, tuple[Any, ...]]:
        """Run plans of layers over a sequence, as one function of autograd.

        Args:
            plans: the plans of the steps of the cells; except for the first, of their projections as well.
            cells: the cells, from the bottom up, for their parameters.
            projected: the projected input of the first cell.
            states: the state of each cell before the first step.
            lengths: the number of valid steps of each sequence, `(batch,)`; None: all are valid.

        Returns:
            The output of the last cell, and the state of each cell after the last valid step of each sequence.

        Raises:
            LibraryError: the library is not available.
            ValueError: a tensor has another shape, dtype or device than the plan.
        """
        library = self._library()
        given = flatten(projected)
        sizes = tuple(given[0].shape[:2])
        layers = []
        for plan, cell, state in zip(plans, cells, states, strict=True):
            tables = tables_for(plan, library.opcodes)
            layers.append(Layer(tables, type(state), tables.parameters.inputs(cell, given, state)))
            given = ()
        is_narrow = {each.dtype for layer in layers for each in layer.own} == {torch.bfloat16}
        if is_narrow:
            layers = [layer._replace(own=[each.float() for each in layer.own]) for layer in layers]
        whole = Layers(library, layers, sizes, lengths)
        own = whole.own()
        if torch.is_grad_enabled() and any([each.requires_grad for each in own]):  # noqa: C419  # runs at every call
            results = list(LayersFunction.apply(whole, *own))  # type: ignore[no-untyped-call]  # of torch
        else:
            results, _ = whole.run(keep=False)
        if is_narrow:
            results = [each.bfloat16() for each in results]
        finals = iter(results[1:])
        return results[0], tuple([type(state)(*[next(finals) for _ in state]) for state in states])

    def _library(self) -> Library:
        library = load_library(self._instruction_set)
        if isinstance(library, LibraryError):
            raise library
        return library
