"""Executors: what runs plans."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor

from rnnkit.plan.programs import Plan


class Executor(ABC):
    """Runs the plan of a cell's step over a sequence, equal to the step loop and faster.

    A plugin registers the class by its hook `register_executors`. It is created once, without arguments, and called
    from any thread.
    """

    name: ClassVar[str]
    """The name, which is that of the entry point."""

    @abstractmethod
    def refuses(self, plan: Plan, dtype: torch.dtype, device: torch.device) -> str | None:
        """Return why it cannot run a plan, a clause without a period; None if it can.

        Args:
            plan: the plan.
            dtype: the dtype of all tensors: float32, float64 or bfloat16.
            device: the device of all tensors.
        """

    def problem(self) -> str | None:
        """Return why it can run no plan in this environment, a clause without a period; None if it can.

        `rnnkit doctor` shows it.
        """
        return None

    @abstractmethod
    def unroll(
        self, plan: Plan, cell: Any, projected: Any, state: Any, lengths: Tensor | None = None
    ) -> tuple[Tensor, Any]:
        """Run a plan over a sequence; `rnnkit.plan.unroll` defines the result.

        Args:
            plan: a plan that it does not refuse.
            cell: the cell, for its parameters.
            projected: the projected input: `(time, batch, ...)`, or nested tuples of such tensors; finite past the
                length of each sequence, and otherwise arbitrary there.
            state: the state before the first step, a NamedTuple of tensors `(batch, ...)`.
            lengths: the number of valid steps of each sequence, `(batch,)`, at least 0; None: all are valid.

        Returns:
            The output, `(time, batch, features)`, zero past the length of each sequence, and the state after the last
            valid step of each sequence. Both are connected to the parameters and the arguments for autograd.
        """

    def unroll_layers(
        self,
        plans: Sequence[Plan],
        cells: Sequence[Any],
        projected: Any,
        states: Sequence[Any],
        lengths: Tensor | None = None,
    ) -> tuple[Tensor, tuple[Any, ...]]:
        """Run plans of layers over a sequence, each on the output of the one before.

        Override it if an executor can do so faster than by `unroll`.

        Args:
            plans: plans that it does not refuse; except for the first, of steps and their projections.
            cells: the cells, from the bottom up.
            projected: the projected input of the first cell, as in `unroll`.
            states: the state of each cell before the first step.
            lengths: as in `unroll`.

        Returns:
            The output of the last cell, and the state of each cell, as from `unroll`.
        """
        finals = []
        for plan, cell, state in zip(plans, cells, states, strict=True):
            projected, final = self.unroll(plan, cell, projected, state, lengths)
            finals.append(final)
        return projected, tuple(finals)
