"""One step of a model as a module with a flat state, for export and serving."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import Tensor, nn

from rnnkit._messages import join_names
from rnnkit.errors import InputError
from rnnkit.model.state import flatten_with_paths, replace_tensors, state_tensors

if TYPE_CHECKING:
    from rnnkit.model.recurrent_model import RecurrentModel


class StepModule(nn.Module):
    """One step of a model: `(x_t, *state) -> (y_t, *state)`, with one argument for each tensor of the state.

    `RecurrentModel.step_module` creates it. Exporters and inference servers take tensors with names, not nested states:

    ```python
    step = model.eval().step_module()
    state = step.initial_state(batch_size=1)
    y_t, *state = step(x_t, *state)
    program = torch.export.export(step, (x_t, *state))
    ```

    Attributes:
        model: the model, whose parameters and mode the module shares.
        state_names: the names of the tensors of the state, such as `("0.h", "0.c")`; those of `flatten_state`.
        batch_axes: the batch axis of each tensor of the state, for dynamic shapes; None for a tensor without one.
    """

    def __init__(self, model: RecurrentModel) -> None:
        super().__init__()
        self.model = model
        axes = flatten_with_paths(model.backbone.batch_axes())
        self.state_names = tuple(name for name, _ in axes)
        self.batch_axes = tuple(axis for _, axis in axes)

    def initial_state(self, batch_size: int) -> tuple[Tensor, ...]:
        """Return the tensors of the state before the first step, in the order of `state_names`."""
        return tuple(state_tensors(self.model.initial_state(batch_size)))

    def forward(self, x_t: Tensor, *state: Tensor) -> tuple[Tensor, ...]:
        """Compute one step as `RecurrentModel.step`.

        Args:
            x_t: the input of `RecurrentModel.step`.
            *state: the tensors that the previous step returned, or `initial_state`.

        Returns:
            The output, and the tensors of the next state.

        Raises:
            InputError: the input or the state is not valid.
        """
        if len(state) != len(self.state_names):
            names = join_names(self.state_names)
            raise InputError(f"The state has {len(self.state_names)} tensors, {names}, but got {len(state)}")
        y_t, nested = self.model.step(x_t, replace_tensors(self.model.backbone.state_shapes(0), state))
        return y_t, *state_tensors(nested)
