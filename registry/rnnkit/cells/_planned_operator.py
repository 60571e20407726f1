"""The operator `rnnkit::unroll_cell`: in a compiled model, a cell whose plan an executor can run, as one node.

A plan belongs to what a cell is when it runs, so that the operator finds the cell at run time and runs it as an eager
model does. Models of one structure share a graph: its inputs are the weights, and a number by which the operator finds
the cells of a model.
"""

from __future__ import annotations

import itertools
import weakref
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from rnnkit.cells._unroll import SequenceEnds, freeze_finished_sequences, step_function, step_inputs, step_loop
from rnnkit.cells.cell import Cell
from rnnkit.cells.operator_graph import OperatorGraph
from rnnkit.cells.planned import unroll_planned
from rnnkit.model import autocast_is_on, is_exporting, replace_tensors, state_tensors, transforms_are_active

_stacks: weakref.WeakValueDictionary[int, Any] = weakref.WeakValueDictionary()
_numbers = itertools.count()


def new_number(stack: Any) -> Tensor:
    """Return a new number, by which the operator finds a stack; a tensor, so that it is an input of a graph."""
    number = next(_numbers)
    _stacks[number] = stack
    return torch.tensor(number, device="cpu")


def unroll_compiled(number: Tensor, index: int, cell: Cell, x: Tensor, state: Any, lengths: Tensor | None) -> Any:
    """Run a cell by the operator, or return `NotImplemented`.

    Args:
        number: the number of the stack.
        index: the index of the cell in the stack.
        cell: the cell.
        x: `(time, batch, ...)`; finite past the length of each sequence, and otherwise arbitrary there.
        state: the state before the first step.
        lengths: the number of valid steps of each sequence, `(batch,)`, at least 0; None: all are valid.

    Returns:
        The output and the final state, or `NotImplemented`.
    """
    if is_exporting() or transforms_are_active() or autocast_is_on(x.device.type) or not _has_executor(number, index):
        return NotImplemented
    parts, weights = state_tensors(state), _tensors(cell)
    save = torch.is_grad_enabled() and any(tensor.requires_grad for tensor in (x, *parts, *weights))
    output, *rest = unroll_cell(number, x, parts, weights, lengths, index, cell.output_size, save)
    return output, replace_tensors(state, rest[: len(parts)])


@torch.no_grad()
def _has_executor(number: Tensor, index: int) -> bool:
    """True if an executor can run the plan of a cell. Asked once per compilation."""
    from rnnkit.executors import installed_executors
    from rnnkit.plan import Choice, choose

    cell = _cell(number, index)
    attributes = [value for module in cell.modules() for value in vars(module).values()]
    if any(isinstance(value, Tensor) and value.requires_grad for value in attributes):
        return False  # a tensor that is neither a parameter nor a buffer is not an input of the operator
    tensor = next(iter(_tensors(cell)), torch.empty(0))
    x, state = tensor.new_zeros(2, 1, cell.packed_size), cell.initial_state(1, device=tensor.device, dtype=tensor.dtype)
    return isinstance(choose(installed_executors(), cell, cell.project_packed(x), state), Choice)


# The mark of `torch.compiler.assume_constant_result`, which would import the compiler here. Of a cell as an argument,
# the compiler would make a graph for each model.
_has_executor._dynamo_marked_constant = True  # type: ignore[attr-defined]  # noqa: SLF001  # as said above


def _cell(number: Tensor, index: int) -> Any:
    return _stacks[int(number)].cells[index]


def _tensors(module: nn.Module) -> list[Tensor]:
    return [*module.parameters(), *module.buffers()]


_GROUPS = ("_parameters", "_buffers")
# what is saved for the backward is found by an address, which a CUDA graph cannot replay
_TAGS: Any = {"tags": (torch.Tag.cudagraph_unsafe,)} if hasattr(torch.Tag, "cudagraph_unsafe") else {}
_ARGUMENTS = "Tensor number, Tensor x, Tensor[] state, Tensor[] weights, Tensor? lengths, int index, int features"


@torch.library.custom_op(
    "rnnkit::unroll_cell", mutates_args=(), schema=f"({_ARGUMENTS}, bool save) -> Tensor[]", **_TAGS
)
def unroll_cell(
    number: Tensor,
    x: Tensor,
    state: list[Tensor],
    weights: list[Tensor],
    lengths: Tensor | None,
    index: int,
    features: int,
    save: bool,
) -> list[Tensor]:
    """Run a cell of a stack over whole sequences, by an executor or by the step loop.

    Args:
        number: the number of the stack.
        x: `(time, batch, ...)`; finite past the length of each sequence, and otherwise arbitrary there.
        state: the parts of the state before the first step.
        weights: the parameters and buffers of the cell, which may be other tensors than those of the cell.
        lengths: number of valid steps of each sequence, `(batch,)`, int64 in [0, time]; None: all are valid.
        index: the index of the cell in the stack.
        features: number of features of the output.
        save: True to return what the backward needs as well.

    Returns:
        The output, `(time, batch, features)`, arbitrary past the length of each sequence; the parts of the final state;
        and with `save` one tensor for the backward, without meaning elsewhere.
    """
    if not save:
        output, *final = _run(_with_tensors(_cell(number, index), weights), x, state, lengths)
        return [output.contiguous(), *map(_copied, final)]  # a part of the final state may be one of the initial state
    graph = _record(_cell(number, index), x, state, weights, lengths)
    # clone: a compiler may write into these tensors once their last reader has run, and the graph still reads them
    return [*[_copied(part.detach()) for part in graph.outputs], graph.keep()]


@unroll_cell.register_fake
def _(
    number: Tensor,
    x: Tensor,
    state: list[Tensor],
    weights: list[Tensor],
    lengths: Tensor | None,
    index: int,
    features: int,
    save: bool,
) -> list[Tensor]:
    output = x.new_empty(x.shape[0], x.shape[1], features)
    final = [part.new_empty(part.shape) for part in state]
    return [output, *final, *([torch.empty(1, dtype=torch.int8, device="cpu")] if save else [])]


def _record(
    cell: Any, x: Tensor, state: Sequence[Tensor], weights: Sequence[Tensor], lengths: Tensor | None
) -> OperatorGraph:
    with OperatorGraph.recording():
        own = {id(tensor) for tensor in _tensors(cell)}  # a compiler writes into none of them
        x, *state = map(_leaf, (x, *state))
        weights = [tensor if id(tensor) in own else _leaf(tensor) for tensor in weights]
        graph = OperatorGraph(_run(_with_tensors(cell, weights), x, state, lengths), [x, *state, *weights])
    _refuse_other_leaves(graph)
    return graph


def _refuse_other_leaves(graph: OperatorGraph) -> None:
    """Raise an error if a gradient would be lost: of a tensor that is not an input of the operator."""
    inputs, seen = {id(tensor) for tensor in graph.inputs}, set[Any]()
    nodes: list[Any] = [output.grad_fn for output in graph.outputs]
    while nodes:
        node = nodes.pop()
        if node is None or node in seen:
            continue
        seen.add(node)
        nodes += [following for following, _ in node.next_functions]
        if id(getattr(node, "variable", graph.inputs[0])) not in inputs:
            raise RuntimeError(
                "A compiled model has a cell that reads a tensor which requires a gradient, and is neither a parameter "
                "nor a buffer: make it a parameter by register_parameter"
            )


def _run(cell: Any, x: Tensor, state: Sequence[Tensor], lengths: Tensor | None) -> list[Tensor]:
    """Run a cell as an eager model does; return the output and the parts of the final state."""
    layout = cell.state_shapes(x.shape[1])
    output, final = _run_as_eager(cell, x, replace_tensors(layout, state), lengths)
    return [output, *state_tensors(final)]


def _run_as_eager(cell: Any, x: Tensor, state: Any, lengths: Tensor | None) -> tuple[Tensor, Any]:
    inputs = step_inputs(cell, x)
    result, _ = unroll_planned(cell, inputs, state, lengths, is_one_step=False)
    if result is not NotImplemented:
        return result  # type: ignore[no-any-return]  # a pair
    step, ends = step_function(cell), SequenceEnds.of(lengths, x.shape[0])
    if ends.finished is not None:
        step, inputs = freeze_finished_sequences(step, inputs, ends.finished)
    return step_loop(step, inputs, state, record=False)[:2]


def _leaf(tensor: Tensor) -> Tensor:
    return _copied(tensor.detach()).requires_grad_(tensor.is_floating_point())


def _copied(tensor: Tensor) -> Tensor:
    return tensor.clone(memory_format=torch.contiguous_format)


def _with_tensors(cell: Any, tensors: Sequence[Tensor]) -> Any:
    """Return the cell if these are its tensors, or else a copy of the cell with them, as of `functional_call`."""
    pairs = list(zip(_tensors(cell), tensors, strict=True))
    if all(own is given for own, given in pairs):
        return cell
    return _copy(cell, {id(own): given for own, given in pairs})


def _copy(module: Any, given: Mapping[int, Tensor]) -> Any:
    new, own = module.__new__(type(module)), module.__dict__
    tensors = {group: {name: given.get(id(each), each) for name, each in own[group].items()} for group in _GROUPS}
    modules = {name: None if child is None else _copy(child, given) for name, child in own["_modules"].items()}
    new.__dict__ = {**own, **tensors, "_modules": modules}
    return new


@torch.library.custom_op(
    "rnnkit::unroll_cell_backward",
    mutates_args=(),
    schema=f"(Tensor[] gradients, Tensor[] saved, bool[] needed, {_ARGUMENTS}) -> Tensor[]",
    **_TAGS,
)
def unroll_cell_backward(
    gradients: list[Tensor],
    saved: list[Tensor],
    needed: list[bool],
    number: Tensor,
    x: Tensor,
    state: list[Tensor],
    weights: list[Tensor],
    lengths: Tensor | None,
    index: int,
    features: int,
) -> list[Tensor]:
    """Compute the gradients of `unroll_cell`.

    Args:
        gradients: the gradients of the output and of each part of the final state.
        saved: the tensor that `unroll_cell` returned for the backward; empty without `save`, which runs the cell again.
        needed: for x, each part of the state and each weight, True if its gradient is returned.
        number: as in `unroll_cell`, and so the following.
        x: as in `unroll_cell`.
        state: as in `unroll_cell`.
        weights: as in `unroll_cell`.
        lengths: as in `unroll_cell`.
        index: as in `unroll_cell`.
        features: as in `unroll_cell`.

    Returns:
        The gradients that are needed, in the order of `needed`.
    """
    graph = OperatorGraph.pop(saved[0]) if saved else None
    if graph is None:
        graph = _record(_cell(number, index), x, state, weights, lengths)
    return graph.gradients(gradients, needed)


@unroll_cell_backward.register_fake
def _(
    gradients: list[Tensor],
    saved: list[Tensor],
    needed: list[bool],
    number: Tensor,
    x: Tensor,
    state: list[Tensor],
    weights: list[Tensor],
    lengths: Tensor | None,
    index: int,
    features: int,
) -> list[Tensor]:
    pairs = zip([x, *state, *weights], needed, strict=True)
    return [each.new_empty(each.shape) for each, is_needed in pairs if is_needed]


def _save_for_backward(ctx: Any, inputs: tuple[Any, ...], output: list[Tensor]) -> None:
    number, x, state, weights, lengths, *ctx.settings, _ = inputs
    groups = [[number], [x], state, weights, [] if lengths is None else [lengths]]
    ctx.sizes = [len(group) for group in groups]
    ctx.save_for_backward(*[tensor for group in groups for tensor in group], *output[1 + len(state) :])


def _backward(ctx: Any, gradients: list[Tensor]) -> tuple[Any, ...]:
    tensors = iter(ctx.saved_tensors)
    [number], [x], state, weights, lengths = [[next(tensors) for _ in range(size)] for size in ctx.sizes]
    needs_x, needs_state, needs_weights = ctx.needs_input_grad[1:4]
    needed = [needs_x, *needs_state, *needs_weights]
    given = gradients[: 1 + len(state)]
    arguments = number, x, state, weights, lengths[0] if lengths else None, *ctx.settings
    found = iter(unroll_cell_backward(given, list(tensors), needed, *arguments))
    of_x, *others = [next(found) if is_needed else None for is_needed in needed]
    return None, of_x, others[: len(state)], others[len(state) :], None, None, None, None


unroll_cell.register_autograd(_backward, setup_context=_save_for_backward)


def _refuse_double_backward(_ctx: Any, *_gradients: Any) -> Any:
    raise RuntimeError("The gradient of a gradient is not available in a compiled model: call it without torch.compile")


unroll_cell_backward.register_autograd(_refuse_double_backward)
