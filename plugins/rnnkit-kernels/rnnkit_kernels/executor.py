"""The executor: runs plans on the processor by the native library."""

from __future__ import annotations

from typing import Any, ClassVar

import torch
from torch import Tensor

from rnnkit.plan import Executor, Plan, flatten
from rnnkit_kernels._autograd import UnrollFunction
from rnnkit_kernels._library import Library, LibraryError, load_library
from rnnkit_kernels._tables import tables_for
from rnnkit_kernels._unrolling import Unrolling

_DTYPES = {torch.float32, torch.float64, torch.bfloat16}


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
        unknown = tables_for(plan, library.opcodes).unknown
        return f"the library of rnnkit-kernels has no instruction {unknown[0]}" if unknown else None

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
        library = self._library()
        tables = tables_for(plan, library.opcodes)
        given = flatten(projected)
        inputs = tables.parameters.inputs(cell, given, state)
        dtypes = {each.dtype for each in inputs}
        if dtypes == {torch.bfloat16}:
            inputs = [each.float() for each in inputs]
        unrolling = Unrolling(library, tables, inputs, tuple(given[0].shape[:2]), lengths)
        if torch.is_grad_enabled() and any([each.requires_grad for each in inputs]):  # noqa: C419  # runs at every call
            output, *final = UnrollFunction.apply(unrolling, type(state), *inputs)  # type: ignore[no-untyped-call]  # of torch
        else:
            output, final = unrolling.infer(inputs)
        if dtypes == {torch.bfloat16}:
            output, *final = [each.bfloat16() for each in (output, *final)]
        return output, type(state)(*final)

    def _library(self) -> Library:
        library = load_library(self._instruction_set)
        if isinstance(library, LibraryError):
            raise library
        return library
