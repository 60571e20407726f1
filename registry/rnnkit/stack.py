"""Layers and directions of cells: what turns one time step into a whole network."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from torch import Tensor, nn

from rnnkit.backbone import Backbone, padding
from rnnkit.cell import Cell, parts_of
from rnnkit.options import own_fields
from rnnkit.regularization import dropped, with_recurrent_dropout, with_zoneout, zoneout_masks
from rnnkit.stack_options import StackOptions
from rnnkit.state import map_state
from rnnkit.unrolling import (
    Step,
    as_autocast_has_it,
    keeping_finished_rows,
    loop,
    recording,
    reversal,
    reversed_in_time,
    steps_of,
    unroll_fast,
    unroll_layers_fast,
)

if TYPE_CHECKING:
    from rnnkit.spec import RecurrentSpec


class CellStack(Backbone):
    """A network of cells: layers, directions, dropout, lengths, states, streaming, and all of `StackOptions`.

    Args:
        spec: what the network is; its options say more if they are `StackOptions`.
        cells: the class of the cells of each layer, from the bottom up. A constructor is called with `device` and
            `dtype` and, of `bias`, `layer_norm` and the kind's own options, with those that it takes.
        device: where the parameters are created; None: torch's default.
        dtype: of what dtype; None: torch's default.

    Attributes:
        cells: one cell for each layer and direction, in torch's order: layer 0 forward, layer 0 reverse, layer 1
            forward, and so on.
        plain_loop: set it to True to take one `step` after another even where a cell has a faster `unroll`, such as
            torch's fused kernels.

    Shape:
        The state is a tuple with one state for each cell, in the order of `cells`, each a NamedTuple of tensors with
        the batch first.
    """

    def __init__(
        self,
        spec: RecurrentSpec[Any],
        cells: Sequence[type[Cell]],
        *,
        device: torch.device | str | None,
        dtype: torch.dtype | None,
    ) -> None:
        layers = _make_layers(spec, cells, device=device, dtype=dtype)
        super().__init__(spec, features=_features(layers[-1]))
        self.options = spec.options if isinstance(spec.options, StackOptions) else StackOptions()
        self.directions = spec.directions
        self.dropout = spec.dropout
        self.plain_loop = False
        self.cells = nn.ModuleList(cell for layer in layers for cell in layer)
        self.norms = nn.ModuleList()
        if self.options.layer_norm == "output":
            self.norms.extend(nn.LayerNorm(_features(layer), device=device, dtype=dtype) for layer in layers)
        self.initial = nn.ModuleList()
        if self.options.learn_initial_state:
            self.initial.extend(_learned_state(cell, device=device, dtype=dtype) for cell in self._cells())

    def state_shapes(self, batch_size: int) -> Any:
        return tuple(cell.state_shapes(batch_size) for cell in self._cells())

    def initial_state(
        self, batch_size: int, *, device: torch.device | str | None = None, dtype: torch.dtype | None = None
    ) -> Any:
        """The state before the first step of `batch_size` rows: what the cells say, or what was learned."""
        where, of = self._place(device, dtype)
        if not self.options.learn_initial_state:
            return tuple(cell.initial_state(batch_size, device=where, dtype=of) for cell in self._cells())
        starts: list[Any] = list(self.initial)
        states = tuple(
            cell.State(*(start[name].expand(batch_size, *start[name].shape) for name in start))
            for cell, start in zip(self._cells(), starts, strict=True)
        )
        return map_state(lambda part: part.to(where, of), states)

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
        states = map_state(lambda part: part.masked_fill(past[(...,) + (None,) * (part.dim() - 3)], 0), states)
        return output.masked_fill(past, 0), states

    def _through_layers(
        self, x: Tensor, state: Any, lengths: Tensor | None, recorded: list[Any] | None
    ) -> tuple[Tensor, Any]:
        x = x.transpose(0, 1) if self.batch_first else x  # time first from here on
        state = self.initial_state(x.shape[1], device=x.device, dtype=x.dtype) if state is None else state
        if recorded is None and self._is_bare():
            result = self._through_all_layers(x, state, lengths)
            if result is not NotImplemented:
                return (result[0].transpose(0, 1) if self.batch_first else result[0]), result[1]
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

    def _through_all_layers(self, x: Tensor, state: Any, lengths: Tensor | None) -> Any:
        dropout = self.dropout if self.training else 0.0
        return unroll_layers_fast(self._cells(), x, state, lengths, directions=self.directions, dropout=dropout)

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
        if states is None and not self.plain_loop and not self._acts_on_each_step():
            result = unroll_fast(cell, x, state, rows.lengths)
            if result is not NotImplemented:
                return result  # type: ignore[no-any-return]  # its type is that of the cell's own state
        state = as_autocast_has_it(state)
        step, steps = steps_of(cell, x)
        step = self._regularized(step, cell, state, len(x))
        if rows.past is not None:
            step = keeping_finished_rows(step, rows.past)
        return loop(step if states is None else recording(step, states), steps, state)

    def _acts_on_each_step(self) -> bool:
        return bool(self._zones() or (self.training and self.options.recurrent_dropout))

    def _is_bare(self) -> bool:
        """Whether nothing but dropout acts between the cells."""
        options = self.options
        between = options.residual or options.layer_norm == "output" or options.variational_dropout
        return not (between or self.plain_loop or self._acts_on_each_step())

    def _zones(self) -> bool:
        zoneout = self.options.zoneout
        return any(zoneout) if isinstance(zoneout, tuple) else zoneout > 0

    def _regularized(self, step: Step, cell: Cell, state: Any, time: int) -> Step:
        if self.training and self.options.recurrent_dropout:
            step = with_recurrent_dropout(step, state, cell.matrix_read, self.options.recurrent_dropout)
        if self._zones():
            zoneout = self.options.zoneout
            rates = type(state)(*(zoneout if isinstance(zoneout, tuple) else (zoneout,) * len(state)))
            masks = zoneout_masks(state, rates, time) if self.training else None
            step = with_zoneout(step, masks, rates)
        return step

    def _dropped(self, x: Tensor) -> Tensor:
        if self.dropout == 0 or not self.training:
            return x
        return dropped(x, self.dropout, one_mask=self.options.variational_dropout)

    def _finished(self, output: Tensor, read: Tensor, layer: int) -> Tensor:
        """What a layer hands on, from what its cells put out and what came in."""
        if self.options.layer_norm == "output":
            output = self.norms[layer](output)
        return output + read if self.options.residual and layer > 0 else output

    def _cells(self) -> list[Any]:
        return list(self.cells)


class Rows(NamedTuple):
    """Where the rows of a batch end; every part is None if nothing is padded."""

    lengths: Tensor | None
    past: Sequence[Tensor] | None
    """At each step, whether a row has ended: `(batch, 1)`."""
    sources: Tensor | None
    """The rows' `reversal`, `(time, batch)`."""

    @classmethod
    def of(cls, lengths: Tensor | None, time: int) -> Rows:
        if lengths is None:
            return cls(None, None, None)
        return cls(lengths, padding(lengths, time, batch_first=False).unbind(), reversal(lengths, time))


def constructor_parameters(cell: type[Cell]) -> frozenset[str]:
    """The names that a cell's constructor takes."""
    return frozenset(inspect.signature(cell).parameters)


def _make_layers(spec: RecurrentSpec[Any], cells: Sequence[type[Cell]], **where: Any) -> list[list[Cell]]:
    """The cells of each layer, one for each direction."""
    layers: list[list[Cell]] = []
    size = spec.input_size
    for make, hidden_size in zip(cells, spec.hidden_sizes, strict=True):
        arguments = _arguments(make, spec)
        layers.append([make(size, hidden_size, **arguments, **where) for _ in range(spec.directions)])
        size = _features(layers[-1])
    for cell in (cell for layer in layers for cell in layer):
        _initialize(cell, spec.options)
    return layers


def _arguments(cell: type[Cell], spec: RecurrentSpec[Any]) -> dict[str, Any]:
    wanted: dict[str, Any] = {"bias": spec.bias}
    if isinstance(spec.options, StackOptions):
        wanted["layer_norm"] = spec.options.layer_norm == "gates"
        wanted |= own_fields(spec.options, StackOptions)
    taken = constructor_parameters(cell)
    return {name: value for name, value in wanted.items() if name in taken}


def _initialize(cell: Cell, options: Any) -> None:
    if not isinstance(options, StackOptions):
        return
    if options.recurrent_init == "orthogonal":
        cell.init_orthogonal()
    if options.forget_bias is not None:
        with torch.no_grad():
            cell.set_forget_bias(options.forget_bias)


def _learned_state(cell: Cell, **where: Any) -> nn.ParameterDict:
    """A parameter for each part of the state of one row, which starts where the cell does."""
    start = map_state(lambda part: part[0], cell.initial_state(1, **where))
    names = parts_of(type(cell))
    return nn.ParameterDict({name: nn.Parameter(part.clone()) for name, part in zip(names, start, strict=True)})


def _features(layer: Sequence[Cell]) -> int:
    return sum(cell.output_size for cell in layer)
