"""Record one step of a cell as a list of the operators that it calls.

The step runs once, on random values. A dispatch mode sees each operator after autograd and below Python, so that the
author's code may be anything that ends in operators of torch. It does not see Python: `trust` deals with that.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any, TypeAlias

import torch
from torch import Tensor
from torch.autograd.function import BackwardCFunction
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode

from rnnkit.plan.code import is_library
from rnnkit.plan.unsupported import Unsupported

BATCH = "batch"
"""Stands for the batch size in shapes."""

_MOST_CALLS = 1000  # the time to make and verify a plan grows faster than their number
Shape: TypeAlias = "tuple[int | str, ...]"
Step: TypeAlias = Callable[..., tuple[Tensor, Any]]

# Functions that do what no operator shows: give values to Python, hide a tensor from autograd, or change gradients.
_REASONS = {
    Tensor.tolist: "tolist reads the values of a tensor in Python",
    Tensor.numpy: "numpy reads the values of a tensor in Python",
    Tensor.__array__: "numpy reads the values of a tensor in Python",
    Tensor.detach: "detach blocks gradients",
    Tensor.detach_: "detach_ blocks gradients",
    torch.detach: "detach blocks gradients",
    Tensor.data.__get__: "data blocks gradients",  # type: ignore[attr-defined]  # not in torch's stubs
    Tensor.register_hook: "register_hook changes gradients",
    Tensor.grad_fn.__get__: "grad_fn may change gradients",  # type: ignore[union-attr]  # not in torch's stubs
}
# Properties of a tensor that may change without its shape and its dtype. Libraries may read them, for speed.
_UNSEEN = {
    *(getattr(Tensor, name).__get__ for name in ("grad", "is_leaf", "retains_grad", "_version", "_base")),
    *(Tensor.is_contiguous, Tensor.stride, Tensor.storage_offset, Tensor.data_ptr, Tensor.untyped_storage),
    *(Tensor.storage, Tensor.is_inference, Tensor.is_pinned, Tensor.is_shared, Tensor._is_view),
}


@dataclass(frozen=True)
class Ref:
    """A tensor among the arguments of a call, by its index among the values of the recording."""

    index: int


@dataclass(frozen=True)
class Call:
    """One call of an operator.

    Attributes:
        operator: the operator, an `OpOverload`.
        arguments: the arguments: `Ref` for tensors, `BATCH` for the batch size in shapes, tuples for lists.
        keywords: pairs of the keyword arguments.
        results: the indices of the results among the values of the recording.
        line: the line of the step that makes the call.
    """

    operator: Any
    arguments: tuple[Any, ...]
    keywords: tuple[tuple[str, Any], ...]
    results: tuple[int, ...]
    line: str = field(compare=False)

    @property
    def name(self) -> str:
        """The name of the operator, as `add`."""
        return str(self.operator.overloadpacket.__name__)

    def inputs(self) -> Iterator[int]:
        """Return the indices of the tensors among the arguments."""
        return _refs((self.arguments, tuple(value for _, value in self.keywords)))


@dataclass(frozen=True)
class Recording:
    """The calls of one step.

    Attributes:
        calls: the calls in order.
        shapes: the shape of each value.
        dtypes: the dtype of each value.
        tensors: pairs of a value and the path of a parameter, buffer or attribute of the cell, such as `norm.weight`.
        projected: the values of the projected input and of the masks.
        masks: those of the masks.
        state: the values of the parts of the state before the step.
        output: the value of the output.
        next_state: the values of the parts of the state after the step.
    """

    calls: tuple[Call, ...]
    shapes: tuple[Shape, ...]
    dtypes: tuple[torch.dtype, ...]
    tensors: tuple[tuple[int, str], ...]
    projected: tuple[int, ...]
    masks: tuple[int, ...]
    state: tuple[int, ...]
    output: int
    next_state: tuple[int, ...]


def record(
    step: Step,
    projected: Any,
    masks: tuple[Tensor, ...],
    state: Any,
    tensors: Sequence[tuple[str, Tensor]],
    *,
    batch: int,
) -> Recording:
    """Record `step(projected, masks, state)`.

    Args:
        step: the step of a cell.
        projected: a tensor `(batch, ...)`, or nested tuples of such tensors.
        masks: inputs without gradients, `(batch, ...)` each.
        state: the state before the step.
        tensors: the tensors of the cell that the step may read, with their paths.
        batch: the batch size, which no other size may be equal to.

    Returns:
        The recording.

    Raises:
        Unsupported: the step reads the values of tensors in Python, draws random numbers, changes tensors in place that
            it has not made, or reads tensors of unknown origin.
    """
    recorder = _Recorder(batch)
    paths = tuple((recorder.add(tensor), path) for path, tensor in tensors)
    inputs, of_masks = (tuple(map(recorder.add, flatten(each))) for each in (projected, masks))
    before = tuple(map(recorder.add, flatten(state)))
    recorder.inputs_end()
    with _RefusingMode(), recorder:
        output, after = step(projected, masks, state)
    parts = flatten(after)
    _refuse_custom_functions((output, *parts))
    if not isinstance(output, Tensor) or output.dim() != 2:
        raise Unsupported("step must return an output of shape (batch, features)")
    if [part.shape for part in parts] != [part.shape for part in flatten(state)]:
        raise Unsupported("step returns a state of other shapes than it is given")
    return Recording(
        calls=tuple(recorder.calls),
        projected=inputs + of_masks,
        masks=of_masks,
        state=before,
        output=recorder.find(output),
        next_state=tuple(map(recorder.find, parts)),
        shapes=tuple(recorder.shapes),
        dtypes=tuple(recorder.dtypes),
        tensors=paths,
    )


def flatten(nested: Any) -> tuple[Any, ...]:
    """Return the tensors in nested tuples, in order."""
    return tuple(leaf for each in nested for leaf in flatten(each)) if isinstance(nested, tuple) else (nested,)


class _RefusingMode(TorchFunctionMode):
    def __torch_function__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if function in _REASONS:
            raise Unsupported(_REASONS[function], _author_line())
        if function in _UNSEEN and not is_library(sys._getframe(1).f_globals.get("__name__")):
            name = function.__name__ if function.__name__ != "__get__" else function.__self__.__name__
            raise Unsupported(f"{name} is a property of a tensor whose changes a plan would not see", _author_line())
        return function(*args, **(kwargs or {}))


class _Recorder(TorchDispatchMode):
    """Keeps the calls, and every tensor, so that storages are not used twice."""

    def __init__(self, batch: int) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # missing in torch's stubs
        self.calls: list[Call] = []
        self.shapes: list[Shape] = []
        self.dtypes: list[torch.dtype] = []
        self._batch = batch
        self._held: list[Tensor] = []
        self._index: dict[tuple[Any, ...], int] = {}
        self._stale: set[tuple[Any, ...]] = set()
        self._outside: set[int] = set()

    def add(self, tensor: Tensor) -> int:
        """Return the index of a tensor among the values; a new one unless the tensor is there already."""
        place = tensor_place(tensor)
        if place not in self._index:
            self._held.append(tensor)
            self.shapes.append(tuple(BATCH if size == self._batch else size for size in tensor.shape))
            self.dtypes.append(tensor.dtype)
            self._index[place] = len(self.shapes) - 1
        return self._index[place]

    def find(self, tensor: Tensor) -> int:
        """Return the index of a tensor that must be among the values."""
        index = self._index.get(tensor_place(tensor))
        if index is None and tensor_place(tensor) in self._stale:
            raise Unsupported(
                "step reads a tensor that shares memory with one that it changed in place", _author_line()
            )
        if index is None:
            reason = "step reads a tensor that is not an argument of step, a parameter, a buffer or an attribute"
            raise Unsupported(reason, _author_line())
        return index

    def inputs_end(self) -> None:
        """Protect all tensors so far from changes."""
        self._outside = {_storage(tensor) for tensor in self._held}

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        return False  # torch would import its compiler, which takes seconds

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        _refuse(function)
        if function is torch.ops.aten.detach.default:  # torch's own: autograd wraps new tensors by it
            return function(*args)
        if function is torch.ops.aten.lift_fresh.default and args[0].numel() == 1:
            return self._constant(args[0])
        arguments = tuple(map(self._encode, args))
        keywords = tuple((name, self._encode(value)) for name, value in kwargs.items() if value is not None)
        if function._schema.is_mutable:
            return self._in_place(function, args, kwargs, arguments, keywords)
        results = function(*args, **kwargs)
        self._append(function, arguments, keywords, results)
        return results

    def _append(self, function: Any, arguments: Any, keywords: Any, results: Any) -> None:
        tensors = list(results) if isinstance(results, (list, tuple)) else [results]
        if not all(isinstance(each, Tensor) for each in tensors):
            raise _reads_values(str(function))
        if not torch.is_grad_enabled():
            raise Unsupported(f"{function.overloadpacket.__name__} runs without gradients", _author_line())
        if len(self.calls) == _MOST_CALLS:
            raise Unsupported(f"step calls more than {_MOST_CALLS} operators", _author_line())
        indices = tuple(map(self.add, tensors))
        self.calls.append(Call(function, arguments, keywords, indices, _author_line()))

    def _in_place(self, function: Any, args: Any, kwargs: Any, arguments: Any, keywords: Any) -> Any:
        """Record an operator that writes into a tensor of the step's own as the one that returns a new tensor."""
        name = function.overloadpacket.__name__
        packet = getattr(torch.ops.aten, name.removesuffix("_"), None)
        pure = getattr(packet, function._overloadname, None)
        if not name.endswith("_") or pure is None or _storage(args[0]) in self._outside:
            raise Unsupported(f"{name} changes a tensor in place that step has not made", _author_line())
        results = function(*args, **kwargs)
        self._forget(args[0])
        self._append(pure, arguments, keywords, args[0])
        return results

    def _forget(self, changed: Tensor) -> None:
        """Forget the values of a tensor that was changed, and of all that share memory with it."""
        place = tensor_place(changed)
        for other in [other for other in self._index if _share_memory(place, other)]:
            del self._index[other]
            self._stale.add(other)

    def _constant(self, tensor: Tensor) -> Tensor:
        """Record a tensor that the step makes from a Python number."""
        constant = torch.ops.aten.full.default
        self._append(constant, (tuple(tensor.shape), tensor.item()), (("dtype", tensor.dtype),), tensor)
        return tensor

    def _encode(self, value: Any) -> Any:
        if isinstance(value, Tensor):
            return Ref(self.find(value))
        if isinstance(value, (list, tuple)):
            return tuple(BATCH if type(each) is int and each == self._batch else self._encode(each) for each in value)
        return value


def _refuse(function: Any) -> None:
    if torch.Tag.nondeterministic_seeded in function.tags:
        raise Unsupported(f"{function.overloadpacket.__name__} draws random numbers", _author_line())
    if function is torch.ops.aten._local_scalar_dense.default:
        raise _reads_values("item")


def _refuse_custom_functions(results: Sequence[Tensor]) -> None:
    """Refuse a step with an `autograd.Function`: its operators show the function, but not the gradient."""
    nodes = [result.grad_fn for result in results]
    seen = set[Any]()
    while nodes:
        node: Any = nodes.pop()
        if isinstance(node, BackwardCFunction):
            raise Unsupported(f"{type(node).__name__.removesuffix('Backward')} is an autograd.Function")
        if node is not None and node not in seen:
            seen.add(node)
            nodes.extend(following for following, _ in node.next_functions)


def _reads_values(name: str) -> Unsupported:
    return Unsupported(f"{name} reads the values of a tensor in Python", _author_line())


def tensor_place(tensor: Tensor) -> tuple[Any, ...]:
    """Return a value that is equal for tensors that are the same memory, of the same shape."""
    # Not the identity of the object: autograd wraps the results of operators that return views again.
    return (_storage(tensor), tensor.storage_offset(), tuple(tensor.shape), tensor.stride(), tensor.dtype)


def _share_memory(place: tuple[Any, ...], other: tuple[Any, ...]) -> bool:
    """True unless two tensors are of different storages, or are different columns of one matrix."""
    (storage, start, shape, stride, _), (other_storage, other_start, other_shape, other_stride, _) = place, other
    if storage != other_storage:
        return False
    if len(shape) != 2 or stride != other_stride or stride[1] != 1:
        return True
    first, second = sorted([(start % stride[0], shape[1]), (other_start % stride[0], other_shape[1])])
    return bool(first[0] + first[1] > second[0])


def _storage(tensor: Tensor) -> int:
    return int(tensor.untyped_storage()._cdata)


def _refs(nested: Any) -> Iterator[int]:
    for each in nested:
        if isinstance(each, Ref):
            yield each.index
        elif isinstance(each, tuple):
            yield from _refs(each)


def _author_line() -> str:
    """Return the innermost line that is not of torch or rnnkit; empty if there is none."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None and is_library(frame.f_globals.get("__name__")):
        if frame.f_code is record.__code__:
            return ""
        frame = frame.f_back
    if frame is None:
        return ""
    return f"{Path(frame.f_code.co_filename).name}, line {frame.f_lineno}, in {frame.f_code.co_qualname}"
