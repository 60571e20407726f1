"""The operator `rnnkit::unroll_cell`: in a compiled model, a cell whose plan an executor can run, as one node.

A plan belongs to what a cell is when it runs, so that the operator finds the cell at run time, and runs it as an eager
model does. A compiled model shares one graph with others of its structure: the cell is an input of the graph, as the
number of its stack, and so are the weights.
"""

from __future__ import annotations

import itertools
import weakref
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from rnnkit.cells._unroll import SequenceEnds, freeze_finished_sequences, step_inputs, step_loop
from rnnkit.cells.planned import unroll_planned
from rnnkit.model import autocast_is_on, replace_tensors, state_tensors, transforms_are_active

if TYPE_CHECKING:
    from rnnkit.cells.cell import Cell
    from rnnkit.cells.stack import CellStack

# torch 2.6 has no `is_exporting`: there a compiled model runs torch's `scan`, as an exported one
_is_exporting = getattr(torch.compiler, "is_exporting", torch.compiler.is_compiling)
_stacks: weakref.WeakValueDictionary[int, CellStack] = weakref.WeakValueDictionary()
_numbers = itertools.count()


def number_of(stack: CellStack) -> Tensor:
    """Return a new number for a stack, by which the operator finds it; a tensor, so that it is an input of a graph."""
    number = next(_numbers)
    _stacks[number] = stack
    return torch.tensor(number, device="cpu")


def unroll_compiled(stack: CellStack, cell: Cell, x: Tensor, state: Any, lengths: Tensor | None) -> Any:
    """Run a cell by the operator, or return `NotImplemented`.

    Args:
        stack: the stack of the cell.
        cell: the cell.
        x: `(time, batch, ...)`; finite past the length of each sequence, and otherwise arbitrary there.
        state: the state before the first step.
        lengths: the number of valid steps of each sequence, `(batch,)`, at least 0; None: all are valid.

    Returns:
        The output and the final state, or `NotImplemented`.
    """
    if _is_exporting() or transforms_are_active() or autocast_is_on(x.device.type):
        return NotImplemented
    index = _index(stack, cell)
    if not _has_executor(stack, index):
        return NotImplemented
    parts, weights = state_tensors(state), _tensors(cell)
    save = torch.is_grad_enabled() and any(tensor.requires_grad for tensor in (x, *parts, *weights))
    output, *rest = unroll_cell(stack.number, x, parts, weights, lengths, index, cell.output_size, save)
    return output, replace_tensors(state, rest[: len(parts)])


def _index(stack: CellStack, cell: Cell) -> int:
    for index, each in enumerate(stack.cells):
        if each is cell:
            return index
    raise LookupError("the cell is not in the stack")


def _has_executor(stack: CellStack, index: int) -> bool:
    """True if an executor can run the plan of a cell; asked once per compilation."""
    from rnnkit.executors import Choice, choose

    cell: Any = stack.cells[index]
    if any(
        isinstance(value, Tensor) and value.requires_grad for each in cell.modules() for value in vars(each).values()
    ):
        return False  # a tensor that is neither a parameter nor a buffer is not an input of the operator
    with torch.no_grad():
        like = stack._reference_tensor()  # noqa: SLF001  # of the base class
        x = like.new_zeros(2, 1, cell.input_size)
        return isinstance(choose(cell, cell.project(x), cell.initial_state(1, device=x.device, dtype=x.dtype)), Choice)


# the mark of `torch.compiler.assume_constant_result`, which would import the compiler here
_has_executor._dynamo_marked_constant = True  # type: ignore[attr-defined]  # noqa: SLF001  # as said above


def _tensors(module: nn.Module) -> list[Tensor]:
    """Return the parameters and buffers of a module and its children, twice where two names have one tensor."""
    own = (*module._parameters.values(), *module._buffers.values())  # noqa: SLF001  # `parameters` omits duplicates
    found = [tensor for tensor in own if tensor is not None]
    for child in module._modules.values():  # noqa: SLF001  # as above
        found += [] if child is None else _tensors(child)
    return found


# ---- the operator

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
    call = _Call(number, index, lengths)
    if not save:
        return [part.clone(memory_format=torch.contiguous_format) for part in call.run(x, state, weights)]
    graph = call.record(x, state, weights)
    # clone: a compiler may write into these tensors once their last reader has run, and the graph still reads them
    return [*[part.detach().clone(memory_format=torch.contiguous_format) for part in graph.outputs], _keep(graph)]


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


class _Graph(NamedTuple):
    """The outputs and the inputs of one call, connected by autograd."""

    outputs: list[Tensor]
    inputs: list[Tensor]


class _Call(NamedTuple):
    """A call of the operator, without its floating-point arguments."""

    number: Tensor
    index: int
    lengths: Tensor | None

    def run(self, x: Tensor, state: Sequence[Tensor], weights: Sequence[Tensor]) -> list[Tensor]:
        """Return the output and the parts of the final state."""
        cell = _with_tensors(_stacks[int(self.number)].cells[self.index], weights)
        layout = cell.state_shapes(x.shape[1])
        output, final = _run_as_eager(cell, x, replace_tensors(layout, state), self.lengths)
        return [output, *state_tensors(final)]

    def record(self, x: Tensor, state: Sequence[Tensor], weights: Sequence[Tensor]) -> _Graph:
        with _autograd():
            x, *state = [_leaf(tensor.detach().clone()) for tensor in (x, *state)]
            weights = [
                tensor if isinstance(tensor, nn.Parameter) else _leaf(tensor.detach().clone()) for tensor in weights
            ]
            return _Graph(self.run(x, state, weights), [x, *state, *weights])


def _run_as_eager(cell: Any, x: Tensor, state: Any, lengths: Tensor | None) -> tuple[Tensor, Any]:
    step, inputs = step_inputs(cell, x)
    result, _ = unroll_planned(cell, inputs, state, lengths, is_one_step=False)
    if result is not NotImplemented:
        return result  # type: ignore[no-any-return]  # a pair
    ends = SequenceEnds.of(lengths, x.shape[0])
    if ends.finished is not None:
        step, inputs = freeze_finished_sequences(step, inputs, ends.finished)
    return step_loop(step, inputs, state, record=False)[:2]


def _leaf(tensor: Tensor) -> Tensor:
    return tensor.requires_grad_(tensor.is_floating_point())


def _with_tensors(cell: Any, tensors: Sequence[Tensor]) -> Any:
    """Return the cell if these are its tensors, or else a copy of the cell with them, as of `functional_call`."""
    own = _tensors(cell)
    if len(own) == len(tensors) and all(one is other for one, other in zip(own, tensors, strict=True)):
        return cell
    return _copy(cell, iter(tensors))


def _copy(module: Any, tensors: Iterator[Tensor]) -> Any:
    new = module._replicate_for_data_parallel()  # noqa: SLF001  # a copy with containers of its own
    for group in (new._parameters, new._buffers):  # noqa: SLF001  # as above
        group.update({name: next(tensors) for name, tensor in group.items() if tensor is not None})
    new._modules.update({name: child and _copy(child, tensors) for name, child in new._modules.items()})  # noqa: SLF001
    return new


@contextmanager
def _autograd() -> Iterator[None]:
    """Turn autograd on inside an operator, which runs without it."""
    with torch.inference_mode(False), torch.enable_grad():
        # Inside a `TorchDispatchMode` torch does not record views either, so that writing into a view of a tensor would
        # not reach its gradient. torch has no public function for this.
        keys = torch._C._dispatch_tls_local_exclude_set()  # noqa: SLF001  # no public function
        excluded = keys.remove(torch._C.DispatchKey.ADInplaceOrView)  # noqa: SLF001  # no public name
        included = torch._C._dispatch_tls_local_include_set()  # noqa: SLF001  # no public function
        with torch._C._ForceDispatchKeyGuard(included, excluded):  # noqa: SLF001  # no public function
            yield


# The graphs of calls whose backward may still run, by the address of the tensor that `unroll_cell` returned for it.
_graphs: dict[int, _Graph] = {}


def _keep(graph: _Graph) -> Tensor:
    """Keep a graph as long as the memory of the returned tensor, which operators can pass on, unlike a graph."""
    memory = np.zeros(1, np.int8)
    saved = torch.from_numpy(memory)
    _graphs[saved.data_ptr()] = graph
    weakref.finalize(memory, _graphs.pop, saved.data_ptr(), None).atexit = False
    return saved


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
    # pop: the backward frees the graph, and a second one computes it again. So does the backward of a copy of `saved`,
    # which has another address.
    graph = _graphs.pop(saved[0].data_ptr(), None) if saved else None
    if graph is None:
        graph = _Call(number, index, lengths).record(x, state, weights)
    wanted = _select(graph.inputs, needed)
    with _autograd():
        pairs = [(y, grad) for y, grad in zip(graph.outputs, gradients, strict=True) if y.requires_grad]
        outputs, of_outputs = zip(*pairs, strict=True)
        result = torch.autograd.grad(outputs, wanted, of_outputs, allow_unused=True, materialize_grads=True)
    return [gradient.contiguous() for gradient in result]


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
    return [each.new_empty(each.shape) for each in _select([x, *state, *weights], needed)]


def _select(tensors: Sequence[Tensor], needed: Sequence[bool]) -> list[Tensor]:
    return [tensor for tensor, is_needed in zip(tensors, needed, strict=True) if is_needed]


def _save_for_backward(ctx: Any, inputs: tuple[Any, ...], output: list[Tensor]) -> None:
    number, x, state, weights, lengths, index, features, _ = inputs
    ctx.settings = (index, features)
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
