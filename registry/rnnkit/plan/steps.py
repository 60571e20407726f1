"""The steps of a cell, as regularization in training changes them."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from typing import Any, NamedTuple, Protocol

import torch
from torch import Tensor

from rnnkit.plan.record import Step
from rnnkit.plan.snapshot import cell_tensors


class Regularization(Hashable, Protocol):
    """Changes the steps of a cell by masks, which are inputs of the changed steps. Equal ones make equal changes."""

    def masks(self, state: Any, time: int, draw: Callable[[Sequence[int], float], Tensor]) -> tuple[Tensor, ...]:
        """Return the masks of all steps, `(time, batch, ...)` each.

        Args:
            state: the state before the first step.
            time: the number of steps.
            draw: returns a boolean tensor of a shape, which is True with a probability.
        """
        ...

    def apply(self, step: Step) -> Step:
        """Return the changed step: a function of `(projected_t, masks_t)`, or of `projected_t` without masks."""
        ...


class Steps(NamedTuple):
    """The steps of a cell, changed by regularization unless it is None.

    Attributes:
        cell: the cell.
        regularization: what changes the steps.
        projects: True if a plan of them computes `Cell.project` as well, so that it takes the input of the cell.
    """

    cell: Any
    regularization: Regularization | None
    projects: bool = False

    @property
    def variant(self) -> Any:
        """The key of a plan among those of the cell."""
        return self.regularization, self.projects

    def read(self, x: Tensor) -> Any:
        """Return what a plan takes as the projected input, for an input `(..., packed_size)`."""
        return x if self.projects else self.cell.project_packed(x)

    def planned(self, read: Any, masks: tuple[Tensor, ...], state: Any) -> tuple[Tensor, Any]:
        """Compute the step from the result of `read`."""
        return self.step(self.cell.project_packed(read) if self.projects else read, masks, state)

    def step(self, projected: Any, masks: tuple[Tensor, ...], state: Any) -> tuple[Tensor, Any]:
        step: Step = self.cell.bind_step()
        if self.regularization is None:
            return step(projected, state)
        return self.regularization.apply(step)(self.inputs(projected, masks), state)

    def inputs(self, projected: Any, masks: tuple[Tensor, ...]) -> Any:
        """Return the inputs of the steps."""
        return (projected, masks) if masks else projected

    def random_masks(self, state: Any, time: int, generator: torch.Generator) -> tuple[Tensor, ...]:
        """Return masks of which each value occurs."""

        def draw(shape: Sequence[int], _probability: float) -> Tensor:
            return torch.randint(2, tuple(shape), generator=generator, device="cpu").bool().to(state[0].device)

        return () if self.regularization is None else self.regularization.masks(state, time, draw)

    def random_inputs(self, time: int, batch: int, generator: torch.Generator) -> tuple[Tensor, Any]:
        """Return an input `(time, batch, packed_size)` and a state of the dtype and on the device of the cell."""
        like = next(tensor for _, tensor in cell_tensors(self.cell) if tensor.is_floating_point())
        shapes = self.cell.state_shapes(batch)
        x, *state = [
            torch.randn(shape, generator=generator, dtype=like.dtype, device="cpu").to(like.device)
            for shape in ((time, batch, self.cell.packed_size), *shapes)
        ]
        return x, type(shapes)(*state)
