"""The stack: layers and directions of cells, unrolled over time."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from rnnkit.cells._cell_call import CellCall, CellResult, CellRunner
from rnnkit.cells._planned_operator import new_number
from rnnkit.cells._regularization import apply_dropout
from rnnkit.cells._unroll import SequenceEnds, elapsed_in_reverse
from rnnkit.cells.cell import Cell
from rnnkit.cells.construction import (
    CellFactory,
    learned_state,
    make_layers,
    output_features,
    require_shared_masks,
    time_feature,
)
from rnnkit.cells.fused import execution_paths, unroll_layers_fused
from rnnkit.cells.planned import UNROLL_LAYERS, Execution, choose_executors, has_executor, run_choices
from rnnkit.errors import BuildError
from rnnkit.model import (
    Backbone,
    Lengths,
    expand_mask,
    map_state,
    refuse_in_compiled_model,
    refuse_reentrant_checkpoint,
)
from rnnkit.options import StackOptions

if TYPE_CHECKING:
    from rnnkit.plan import Choice
    from rnnkit.specs import RecurrentSpec


class CellStack(Backbone):
    """A network of cells: layers, directions, dropout, lengths, states, streaming, and all of `StackOptions`.

    Args:
        spec: the configuration; options that are not `StackOptions` count as their defaults.
        cells: the class of the cells of each layer, from the bottom up. A constructor is called with `device`, `dtype`,
            and those of `bias`, `layer_norm`, `layer`, `num_layers`, `direction` and the kind's own options that it
            takes. Set other arguments with `functools.partial`.
        device: device of the parameters; None: torch's default.
        dtype: dtype of the parameters; None: torch's default.

    Raises:
        BuildError: `residual=True`, and the outputs of the layers have different sizes, or a state has parts
            that cannot share a mask, as `shared_zoneout_mask` requires.

    Attributes:
        cells: one cell for each layer and direction, in torch's order: layer 0 forward, layer 0 reverse, layer 1
            forward, and so on.
        norms: with `layer_norm="output"`, the normalization of each layer's output.
        initial: with `learn_initial_state`, the parts of the initial state of each cell.
        force_step_loop: True to run the step loop even if an executor is available, such as torch's fused kernels.

    Shape:
        The state is a tuple of one state for each cell, in the order of `cells`. Each is a NamedTuple of tensors with
        the batch as their first axis.
    """

    def __init__(
        self,
        spec: RecurrentSpec[Any],
        cells: Sequence[CellFactory],
        *,
        device: torch.device | str | None,
        dtype: torch.dtype | None,
    ) -> None:
        layers = make_layers(spec, cells, device=device, dtype=dtype)
        sizes = [output_features(layer) for layer in layers]
        super().__init__(spec, features=sizes[-1])
        self.options = spec.options if isinstance(spec.options, StackOptions) else StackOptions()
        self.dropout = spec.dropout
        self._time_feature = time_feature(spec)
        self._force_step_loop = False
        self._number = new_number(self)
        self._ran: list[Execution] = []  # by the cells in the last call; empty after `unroll_layers`
        self._paths = {training: execution_paths(self.options, training=training) for training in (False, True)}
        if self.options.residual and len(set(sizes)) > 1:
            raise BuildError(f"residual=True requires layers of one size, but their outputs have {sizes} features")
        self.cells = nn.ModuleList(cell for layer in layers for cell in layer)
        require_shared_masks(self._cells())
        if self.options.layer_norm == "output":
            self.norms = nn.ModuleList(nn.LayerNorm(size, device=device, dtype=dtype) for size in sizes)
        if self.options.learn_initial_state:
            self.initial = nn.ModuleList(learned_state(cell, device=device, dtype=dtype) for cell in self._cells())

    @property
    def force_step_loop(self) -> bool:
        return self._force_step_loop

    @force_step_loop.setter
    def force_step_loop(self, value: bool) -> None:
        self._force_step_loop = value

    @property
    def executor(self) -> str:
        return "; ".join(dict.fromkeys(map(str, self._ran)))

    def __setstate__(self, state: Any) -> None:
        super().__setstate__(state)  # type: ignore[no-untyped-call]  # missing in torch's stubs
        self._number = new_number(self)  # a copy is another stack

    def as_step_loop(self) -> CellStack:
        """Return a stack of the same cells with `force_step_loop=True`."""
        stack = copy.copy(self)
        stack._ran = []  # noqa: SLF001  # of the same class
        stack.force_step_loop = True
        return stack

    def state_shapes(self, batch_size: int) -> Any:
        return tuple(cell.state_shapes(batch_size) for cell in self._cells())

    def initial_state(
        self, batch_size: int, *, device: torch.device | str | None = None, dtype: torch.dtype | None = None
    ) -> Any:
        """Return the state before the first step: that of the cells, or the learned one."""
        device, dtype = self._device_and_dtype(device, dtype)
        states = tuple([cell.initial_state(batch_size, device=device, dtype=dtype) for cell in self._cells()])
        if not self.options.learn_initial_state:
            return states
        learned: list[Any] = list(self.initial)
        return tuple([_with_learned(state, parameters) for state, parameters in zip(states, learned, strict=True)])

    def split_directions(self, state: Any) -> tuple[Any, Any]:
        return state[::2], state[1::2]

    def run(self, x: Tensor, state: Any | None, lengths: Tensor | None) -> tuple[Tensor, Any]:
        return self._run_layers(x, state, lengths, recorded=None)

    def all_states(self, x: Tensor, state: Any | None = None, lengths: Lengths | None = None) -> tuple[Tensor, Any]:
        """Return the output and the state after every step, computed by the step loop.

        Args:
            x: `(batch, time, input_size)`.
            state: the state that an earlier call returned; None: `initial_state`.
            lengths: number of valid steps of each sequence, `(batch,)`; None: all are valid.

        Returns:
            The output of `forward`, and the states in the layout of a state, with the time axis where x has it: each
            part is `(batch, time, ...)`. The state of the reverse direction at step t has read the sequence from its
            end down to t. Past the length of a sequence the states are zeros.

        Raises:
            InputError: the input, the state or the lengths are not valid.
            StepError: the call runs in `torch.utils.checkpoint` with `use_reentrant=True`, which would drop the
                gradient of the states.
        """
        refuse_reentrant_checkpoint()
        x, state, lengths, padding = self._validate_inputs(x, state, lengths)
        recorded: list[Any] = []
        output, _ = self._run_layers(x, state, lengths, recorded)
        states = refuse_in_compiled_model(x, tuple(recorded))
        if self.batch_first:
            states = map_state(lambda part: part.transpose(0, 1), states)
        if padding is None:
            return output, states
        mask = padding.squeeze(-1)
        states = map_state(lambda part: part.masked_fill(expand_mask(mask, part), 0), states)
        return output.masked_fill(padding, 0), states

    def run_with_restarts(
        self, x: Tensor, state: Any | None, lengths: Tensor | None, restarts: Tensor
    ) -> tuple[Tensor, Any]:
        """Compute `run` with restarts by the steps of the cells, whose number does not depend on values."""
        return self._run_layers(x, state, lengths, None, restarts)

    @staticmethod
    def has_executor() -> bool:
        """True if an executor is installed, and `RNNKIT_EXECUTORS` does not turn it off.

        Raises:
            PluginError: the environment variable names an executor that cannot be used.
        """
        return has_executor()

    def run_planned(self, x: Tensor, state: Any | None, lengths: Tensor | None) -> Any:
        """Compute `run` by installed executors alone, whatever the cells prefer.

        Returns:
            As `run`, or the reason, a string, why no executor runs one of the cells.
        """
        if self._force_step_loop:
            return "force_step_loop is True"
        if not self._paths[self.training].cells:
            return "an option of the stack changes its steps"
        self._ran.clear()
        x = x.transpose(0, 1) if self.batch_first else x
        states: Any = self.initial_state(x.shape[1], device=x.device, dtype=x.dtype) if state is None else state
        choices: list[Any] = choose_executors(self._cells(), x, states)
        for choice in choices:
            if isinstance(choice, str):
                return choice
        return self._run_chosen(x, states, lengths, choices)

    def _choose(
        self, cells: Sequence[Cell], x: Tensor, state: Any, lengths: Tensor | None
    ) -> tuple[list[Choice | str | None], Any]:
        """Return for each cell what `CellCall.choice` is, or [] if all are None, and the state before the first step.

        A cell without methods of its own runs by an executor or else step by step, and one with methods of its own by
        an executor if it prefers one.
        """
        own = [
            type(cell).unroll is not Cell.unroll or type(cell).unroll_layers is not Cell.unroll_layers for cell in cells
        ]
        asks = [not has_own or cell.prefers_executor(x, lengths) for has_own, cell in zip(own, cells, strict=True)]
        if True not in asks or (all(own) and not has_executor()):
            return [], state
        states: Any = self.initial_state(x.shape[1], device=x.device, dtype=x.dtype) if state is None else state
        found = zip(own, asks, choose_executors(cells, x, states), strict=True)
        choices = [_decided(choice, has_own=has_own) if asked else None for has_own, asked, choice in found]
        return (choices, states) if any(choices) else ([], state)

    def _run_chosen(
        self, x: Tensor, state: Any, lengths: Tensor | None, choices: Sequence[Choice | str | None]
    ) -> tuple[Tensor, Any]:
        """Run the layers in one call of an executor if it runs all of them and nothing else acts between them."""
        planned = [choice for choice in choices if isinstance(choice, tuple)]
        if len(planned) < len(choices) or not self._can_join_layers(planned):
            return self._run_each_layer(x, state, SequenceEnds.of(lengths, x.shape[0]), choices=choices)
        (output, final), execution = run_choices(planned, self._cells(), x, state, lengths)
        self._note(execution)
        return (output.transpose(0, 1) if self.batch_first else output), final

    def _can_join_layers(self, choices: Sequence[Choice]) -> bool:
        """True if the output of each layer is the input of the next one, and one executor can run all of them."""
        first, *others = choices
        return (
            self.directions == 1
            and self.options.layer_norm != "output"
            and (not others or not (self.options.residual or (self.dropout > 0 and self.training)))
            and all(choice.executor is first.executor and choice.plan.takes_input for choice in others)
        )

    def _run_layers(
        self,
        x: Tensor,
        state: Any,
        lengths: Tensor | None,
        recorded: list[Any] | None,
        restarts: Tensor | None = None,
    ) -> tuple[Tensor, Any]:
        """Run all layers; append the states of every step to `recorded`, one entry for each cell, unless it is None."""
        if self.batch_first:  # `(time, batch, ...)` in all methods below
            x, restarts = x.transpose(0, 1), None if restarts is None else restarts.transpose(0, 1)
        is_plain = recorded is None and restarts is None
        is_fused = is_plain and not self._force_step_loop
        cells = self._cells()
        if not torch.compiler.is_compiling():
            self._ran.clear()
            if is_fused and self._paths[self.training].cells:
                choices, state = self._choose(cells, x, state, lengths)
                if choices:
                    return self._run_chosen(x, state, lengths, choices)
        if is_fused and self._paths[self.training].layers:
            result = self._run_layers_fused(cells, x, state, lengths)
            if result is not NotImplemented:
                self._note(UNROLL_LAYERS)
                return (result[0].transpose(0, 1) if self.batch_first else result[0]), result[1]
        state = self.initial_state(x.shape[1], device=x.device, dtype=x.dtype) if state is None else state
        ends = SequenceEnds.of(lengths, x.shape[0], restarts)
        return self._run_each_layer(x, state, ends, choices=(), recorded=recorded)

    def _run_each_layer(
        self,
        x: Tensor,
        state: Any,
        ends: SequenceEnds,
        *,
        choices: Sequence[Choice | str | None],
        recorded: list[Any] | None = None,
    ) -> tuple[Tensor, Any]:
        """Run one layer after another.

        Args:
            x: `(time, batch, input_size)`.
            state: the state before the first step.
            ends: the ends and restarts of the sequences.
            choices: for each cell what `CellCall.choice` is; empty for None everywhere.
            recorded: as in `_run_layers`.

        Returns:
            The output in the layout of the input of `run`, and the final state.
        """
        x, elapsed = self._split_elapsed(x, ends)
        calls = self._cell_calls(x, state, ends, choices, record=recorded is not None)
        paths = self._paths[self.training]
        runner = CellRunner(self.options, self.training, paths, self._force_step_loop, self._number)
        results: list[CellResult] = []
        for layer in range(len(calls) // self.directions):
            layer_input = self._apply_dropout(x) if layer > 0 else x
            of_layer = calls[layer * self.directions : (layer + 1) * self.directions]
            inputs = [torch.cat([layer_input, each], -1) for each in elapsed] or [layer_input] * self.directions
            results += [runner.run(call, each) for call, each in zip(of_layer, inputs, strict=True)]
            outputs = [result.output for result in results[-self.directions :]]
            x = self._layer_output(outputs[0] if len(outputs) == 1 else torch.cat(outputs, dim=-1), x, layer)
        for result in results:
            self._note(result.execution)
        if recorded is not None:
            recorded += [result.states for result in results]
        return (x.transpose(0, 1) if self.batch_first else x), tuple([result.final for result in results])

    def _cell_calls(
        self, x: Tensor, state: Any, ends: SequenceEnds, choices: Sequence[Choice | str | None], *, record: bool
    ) -> list[CellCall]:
        cells, nothing = self._cells(), [None] * len(self.cells)
        restarted = ends.restarts is not None
        initial = self.initial_state(x.shape[1], device=x.device, dtype=x.dtype) if restarted else nothing
        each = zip(cells, state, initial, choices or nothing, strict=True)
        return [
            CellCall(cell, index, index % self.directions == 1, before, restart, ends, choice, record)
            for index, (cell, before, restart, choice) in enumerate(each)
        ]

    def _split_elapsed(self, x: Tensor, ends: SequenceEnds) -> tuple[Tensor, Sequence[Tensor]]:
        """Return the input without the elapsed time, and that time for each direction; () without `time_feature`."""
        if self._time_feature is None:
            return x, ()
        before, elapsed, after = x.tensor_split((self._time_feature, self._time_feature + 1), -1)
        x = torch.cat([before, after], -1)
        return x, (elapsed, elapsed_in_reverse(elapsed, ends)) if self.directions == 2 else (elapsed,)

    def _run_layers_fused(self, cells: Sequence[Cell], x: Tensor, state: Any | None, lengths: Tensor | None) -> Any:
        if state is None and (lengths is not None or not self._accepts_none_state(cells)):
            state = self.initial_state(x.shape[1], device=x.device, dtype=x.dtype)
        dropout = self.dropout if self.training else 0.0
        return unroll_layers_fused(cells, x, state, lengths, directions=self.directions, dropout=dropout)

    def _accepts_none_state(self, cells: Sequence[Cell]) -> bool:
        if self.options.learn_initial_state:
            return False
        for cell in cells:  # a loop, not `all()`, as in `unroll_layers_fused`
            if not cell.accepts_none_state or type(cell).initial_state is not Cell.initial_state:
                return False
        return True

    def _note(self, execution: Execution | None) -> None:
        if execution is not None and not torch.compiler.is_compiling():
            self._ran.append(execution)

    def _apply_dropout(self, x: Tensor) -> Tensor:
        if self.dropout == 0 or not self.training:
            return x
        return apply_dropout(x, self.dropout, one_mask=self.options.variational_dropout)

    def _layer_output(self, output: Tensor, layer_input: Tensor, layer: int) -> Tensor:
        """Apply the options that act between layers; `layer_input` is the input before dropout."""
        if self.options.layer_norm == "output":
            output = self.norms[layer](output)
        return output + layer_input if self.options.residual and layer > 0 else output

    def _cells(self) -> list[Any]:
        return list(self.cells)


def _decided(choice: Choice | str, *, has_own: bool) -> Choice | str | None:
    """Return the choice for a cell, or None if something else may still run it."""
    if isinstance(choice, str):
        return None if has_own else choice
    # without its projection in the plan, what a cell projects must be looked at as well
    return choice if has_own or choice.plan.takes_input else None


def _with_learned(state: Any, parameters: nn.ParameterDict) -> Any:
    """Replace the parts of a state that are learned."""
    initial = state._asdict()
    learned = {name: part.expand_as(initial[name]).to(initial[name]) for name, part in parameters.items()}
    return state._replace(**learned)
