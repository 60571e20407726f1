"""Layers and directions of cells: what turns one time step into a whole network."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from rnnkit.cells.cell import Cell
from rnnkit.cells.construction import CellMaker, learned_state, make_layers, output_features
from rnnkit.cells.fused import fused_paths, unroll_fused, unroll_layers_fused
from rnnkit.cells.regularization import apply_dropout, apply_regularization
from rnnkit.cells.unroll import (
    Rows,
    cast_for_autocast,
    freeze_finished_rows,
    record_states,
    reversed_in_time,
    step_inputs,
    step_loop,
)
from rnnkit.errors import BuildError
from rnnkit.model import Backbone, as_wide, map_state
from rnnkit.options import StackOptions

if TYPE_CHECKING:
    from rnnkit.specs import RecurrentSpec


class CellStack(Backbone):
    """A network of cells: layers, directions, dropout, lengths, states, streaming, and all of `StackOptions`.

    Args:
        spec: what the network is; its options say more if they are `StackOptions`.
        cells: the class of the cells of each layer, from the bottom up. A constructor is called with `device` and
            `dtype` and, of `bias`, `layer_norm` and the kind's own options, with those that it takes. Fill in others
            with `functools.partial`.
        device: where the parameters are created; None: torch's default.
        dtype: of what dtype; None: torch's default.

    Raises:
        BuildError: the options ask for residual connections, and the cells' outputs are not of one size.

    Attributes:
        cells: one cell for each layer and direction, in torch's order: layer 0 forward, layer 0 reverse, layer 1
            forward, and so on.
        norms: with `layer_norm="output"`, the normalization of each layer's output.
        initial: with `learn_initial_state`, the initial state of each cell, part by part.
        force_step_loop: set it to True to run one `step` after another even where a cell has a faster `unroll`, such
            as torch's fused kernels.

    Shape:
        The state is a tuple with one state for each cell, in the order of `cells`, each a NamedTuple of tensors with
        the batch first.
    """

    def __init__(
        self,
        spec: RecurrentSpec[Any],
        cells: Sequence[CellMaker],
        *,
        device: torch.device | str | None,
        dtype: torch.dtype | None,
    ) -> None:
        layers = make_layers(spec, cells, device=device, dtype=dtype)
        sizes = [output_features(layer) for layer in layers]
        super().__init__(spec, features=sizes[-1])
        self.options = spec.options if isinstance(spec.options, StackOptions) else StackOptions()
        self.directions = spec.directions
        self.dropout = spec.dropout
        self._force_step_loop = False
        self._fused_paths = {training: fused_paths(self.options, training=training) for training in (False, True)}
        if self.options.residual and len(set(sizes)) > 1:
            raise BuildError(f"A residual connection needs layers of one size, but their outputs have {sizes} features")
        self.cells = nn.ModuleList(cell for layer in layers for cell in layer)
        if self.options.layer_norm == "output":
            self.norms = nn.ModuleList(nn.LayerNorm(size, device=device, dtype=dtype) for size in sizes)
        if self.options.learn_initial_state:
            self.initial = nn.ModuleList(learned_state(cell, device=device, dtype=dtype) for cell in self._cells())

    @property
    def force_step_loop(self) -> bool:
        return self._force_step_loop

    @force_step_loop.setter
    def force_step_loop(self, plain: bool) -> None:
        self._force_step_loop = plain

    def state_shapes(self, batch_size: int) -> Any:
        return tuple(cell.state_shapes(batch_size) for cell in self._cells())

    def initial_state(
        self, batch_size: int, *, device: torch.device | str | None = None, dtype: torch.dtype | None = None
    ) -> Any:
        """The state before the first step of `batch_size` rows: what the cells say, or what was learned."""
        where, of = self._place(device, dtype)
        states = tuple([cell.initial_state(batch_size, device=where, dtype=of) for cell in self._cells()])
        if not self.options.learn_initial_state:
            return states
        starts: list[Any] = list(self.initial)
        return tuple([_as_learned(state, start) for state, start in zip(states, starts, strict=True)])

    def run(self, x: Tensor, state: Any | None, lengths: Tensor | None) -> tuple[Tensor, Any]:
        return self._through_layers(x, state, lengths, recorded=None)

    def all_states(self, x: Tensor, state: Any | None = None, *, lengths: Tensor | None = None) -> tuple[Tensor, Any]:
        """The output and the state after every step, in a plain loop.

        Args:
            x: `(batch, time, input_size)`.
            state: the state that an earlier call returned; None: `initial_state`.
            lengths: valid steps of each row, `(batch,)`; None: all are valid.

        Returns:
            The output of `forward`, and the state in its layout, with the axis of time where x has it: each part is
            `(batch, time, ...)`. That of the reverse direction at step t has read the row from its end down to t. Past
            a row's length the states are zeros.

        Raises:
            InputError: the input, the state or the lengths do not fit.
        """
        x, state, lengths, past = self._admitted(x, state, lengths)
        recorded: list[Any] = []
        output, _ = self._through_layers(x, state, lengths, recorded)
        states = tuple(recorded)
        if self.batch_first:
            states = map_state(lambda part: part.transpose(0, 1), states)
        if past is None:
            return output, states
        rows = past.squeeze(-1)
        return output.masked_fill(past, 0), map_state(lambda part: part.masked_fill(as_wide(rows, part), 0), states)

    def _through_layers(
        self, x: Tensor, state: Any, lengths: Tensor | None, recorded: list[Any] | None
    ) -> tuple[Tensor, Any]:
        x = x.transpose(0, 1) if self.batch_first else x  # time first from here on
        if recorded is None and not self._force_step_loop and self._fused_paths[self.training].layers:
            result = self._through_all_layers(x, state, lengths)
            if result is not NotImplemented:
                return (result[0].transpose(0, 1) if self.batch_first else result[0]), result[1]
        state = self.initial_state(x.shape[1], device=x.device, dtype=x.dtype) if state is None else state
        rows = Rows.of(lengths, len(x))
        final: list[Any] = []
        for first in range(0, len(state), self.directions):
            read = self._dropped(x) if first > 0 else x
            ways = []
            for index in range(first, first + self.directions):
                cell: Any = self.cells[index]
                output, after = self._through_cell(cell, read, state[index], rows, recorded, reverse=index > first)
                ways.append(output)
                final.append(after)
            output = ways[0] if len(ways) == 1 else torch.cat(ways, dim=-1)
            x = self._finished(output, x, first // self.directions)
        return (x.transpose(0, 1) if self.batch_first else x), tuple(final)

    def _through_all_layers(self, x: Tensor, state: Any | None, lengths: Tensor | None) -> Any:
        cells = self._cells()
        if state is None and (lengths is not None or not self._may_start_with_none(cells)):
            state = self.initial_state(x.shape[1], device=x.device, dtype=x.dtype)
        dropout = self.dropout if self.training else 0.0
        return unroll_layers_fused(cells, x, state, lengths, directions=self.directions, dropout=dropout)

    def _may_start_with_none(self, cells: Sequence[Cell]) -> bool:
        if self.options.learn_initial_state:
            return False
        return all(cell.accepts_none_state and type(cell).initial_state is Cell.initial_state for cell in cells)

    def _through_cell(
        self, cell: Cell, x: Tensor, state: Any, rows: Rows, recorded: list[Any] | None, *, reverse: bool
    ) -> tuple[Tensor, Any]:
        if reverse:
            x = reversed_in_time(x, rows.sources)
        states: list[Any] | None = None if recorded is None else []
        output, final = self._unrolled(cell, x, state, rows, states)
        if recorded is not None and states is not None:
            every = map_state(lambda *parts: torch.stack(parts), *states)
            recorded.append(map_state(lambda part: reversed_in_time(part, rows.sources), every) if reverse else every)
        return (reversed_in_time(output, rows.sources) if reverse else output), final

    def _unrolled(self, cell: Cell, x: Tensor, state: Any, rows: Rows, states: list[Any] | None) -> tuple[Tensor, Any]:
        if states is None and not self._force_step_loop and self._fused_paths[self.training].cells:
            result = unroll_fused(cell, x, state, rows.lengths)
            if result is not NotImplemented:
                return result  # type: ignore[no-any-return]  # its type is that of the cell's own state
        state = cast_for_autocast(state)
        step, steps = step_inputs(cell, x)
        step = apply_regularization(step, self.options, cell, state, len(x), training=self.training)
        if rows.past is not None:
            step = freeze_finished_rows(step, rows.past)
        return step_loop(step if states is None else record_states(step, states), steps, state)

    def _dropped(self, x: Tensor) -> Tensor:
        if self.dropout == 0 or not self.training:
            return x
        return apply_dropout(x, self.dropout, one_mask=self.options.variational_dropout)

    def _finished(self, output: Tensor, read: Tensor, layer: int) -> Tensor:
        """What a layer hands on, from what its cells put out and what came in."""
        if self.options.layer_norm == "output":
            output = self.norms[layer](output)
        return output + read if self.options.residual and layer > 0 else output

    def _cells(self) -> list[Any]:
        return list(self.cells)


def _as_learned(state: Any, start: nn.ParameterDict) -> Any:
    """A state with the parts that are learned in the place of those that the cell starts with."""
    before = state._asdict()
    learned = {name: row.expand_as(before[name]).to(before[name]) for name, row in start.items()}
    return state._replace(**learned)
