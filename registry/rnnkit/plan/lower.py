"""Lower the calls of a step to matrix products with weights and element-wise instructions on pieces of one width.

A tensor `(batch, ..., features)` becomes an array of nodes, `(..., features / width)`. Splitting, concatenating and
reshaping only move nodes in arrays, so that they cost nothing when the plan runs.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from rnnkit.plan.hoist import Hoisted, Projection
from rnnkit.plan.instructions import new_graph
from rnnkit.plan.nodes import Graph, Node, Operand
from rnnkit.plan.operators import ELEMENTWISE, as_number
from rnnkit.plan.partition import has_batch_first, partition
from rnnkit.plan.record import BATCH, Call, Recording, Ref
from rnnkit.plan.unsupported import Unsupported

MAX_PIECES = 64  # of one value: if widths have a small common divisor, the plan would be long and slow

_ZEROS, _ONES = {"zeros", "zeros_like", "new_zeros"}, {"ones", "ones_like", "new_ones"}
_FILLS = {*_ZEROS, *_ONES, "full", "full_like", "new_full", "scalar_tensor"}
_SAME_ORDER = {"view", "_unsafe_view", "reshape", "unsqueeze", "squeeze", "flatten", "unflatten"}
_SAME = {"clone", "alias", "contiguous", "lift_fresh"}
_Array = Any  # of nodes and constants


@dataclass(frozen=True)
class MatrixProduct:
    """A product of a value with a weight.

    Attributes:
        operand: the pieces of the left side.
        result: the pieces of the result, leaves of the kind `product`.
    """

    operand: tuple[Operand, ...]
    result: tuple[Node, ...]


@dataclass(frozen=True)
class LoweredStep:
    """A step as a graph.

    Attributes:
        graph: the graph.
        width: the number of features of a piece.
        hoisted: the calls that depend on parameters alone, and which of their results the step reads.
        projection: the calls that depend on the input as well, and which of their results the step reads.
        projected: the shape of each result of `projection` without the batch.
        state: the shape of each part of the state without the batch.
        products: one for each weight of `hoisted`.
        output: the pieces of the output.
        next_state: the pieces of each part of the next state.
    """

    graph: Graph
    width: int
    hoisted: Hoisted
    projection: Projection
    projected: tuple[tuple[int, ...], ...]
    state: tuple[tuple[int, ...], ...]
    products: tuple[MatrixProduct, ...]
    output: tuple[Operand, ...]
    next_state: tuple[tuple[Operand, ...], ...]


def lower(recording: Recording) -> LoweredStep:
    """Lower a recording.

    Raises:
        Unsupported: a call is neither an instruction nor a product with a weight nor a move of pieces.
    """
    lowering = _Lowering(recording)
    for call in lowering.parts.of_step:
        lowering.call(call)
    output = lowering.read_pieces(recording.output)
    next_state = tuple(map(lowering.read_pieces, recording.next_state))
    return LoweredStep(
        graph=lowering.graph,
        width=lowering.width,
        projection=lowering.projection(),
        projected=lowering.projected(),
        state=tuple(map(lowering.features, recording.state)),
        output=output,
        next_state=next_state,
        products=tuple(lowering.products),
        hoisted=lowering.hoisted(),
    )


class _Lowering:
    def __init__(self, recording: Recording) -> None:
        self.recording = recording
        self.graph = new_graph()
        self.products: list[MatrixProduct] = []
        self._line = ""
        self._weights: list[int] = []
        self._vectors: list[int] = []
        self._inputs: list[int] = []
        self._arrays: dict[int, _Array] = {}
        self.parts = partition(recording, {"mm", "addmm", "_to_copy", *ELEMENTWISE, *_SAME, *_MOVES})
        self.width = _width(recording, self.parts.of_step)
        for number, index in enumerate(recording.state):
            self._arrays[index] = self._leaves("state", number, self.features(index))

    def call(self, call: Call) -> None:
        self._line = call.line
        try:
            self._check_dtype(call.results[0], masks=True)
            results = self._lower(call)
        except Unsupported as error:
            raise error if error.line else Unsupported(str(error), call.line) from None
        for index, array in zip(call.results, results, strict=True):
            self._arrays[index] = array

    def _lower(self, call: Call) -> list[_Array]:
        shape = self.features(call.results[0])
        if call.name in {"mm", "addmm"}:
            return [self._product(call)]
        if call.name in ELEMENTWISE:
            return [self._elementwise(call, shape), *[None] * (len(call.results) - 1)]  # None: for torch's backward
        if call.name in _FILLS:
            return [np.broadcast_to(np.array(_fill_value(call), object), self._pieces_shape(shape))]
        if call.name == "_to_copy" or call.name in _SAME:
            return [self._cast(call)]
        move = _MOVES.get(call.name)
        if move is None:
            raise self._unsupported(f"{call.name} is not an instruction")
        return move(self, call)

    # Values

    def features(self, index: int) -> tuple[int, ...]:
        """Return the shape of a value without the batch."""
        shape = self.recording.shapes[index]
        if not has_batch_first(shape):
            text = ", ".join(map(str, shape))
            raise self._unsupported(f"a value of shape ({text}) does not have the form (batch, ..., features)")
        return shape[1:]  # type: ignore[return-value]  # only the first can be the batch, which is no number

    def read(self, argument: Any) -> _Array:
        """Return the array of a tensor."""
        index = argument.index
        if index in self.parts.parameters:
            return self._vector(index)
        if index in self.parts.inputs and index not in self._arrays:
            self._arrays[index] = self._leaves("projected", len(self._inputs), self.features(index))
            self._inputs.append(index)
        return self._arrays[index]

    def read_pieces(self, index: int) -> tuple[Operand, ...]:
        """Return the pieces of an output of the step, as numbers."""
        pieces = np.broadcast_to(self.read(Ref(index)), self._pieces_shape(self.features(index)))
        return tuple(as_number(piece) for piece in pieces.flat)

    def projected(self) -> tuple[tuple[int, ...], ...]:
        return tuple(map(self.features, self._inputs))

    def projection(self) -> Projection:
        return Projection(self.recording.projected, self.parts.of_input, tuple(self._inputs))

    def hoisted(self) -> Hoisted:
        sizes = [math.prod(self.recording.shapes[index]) for index in self._vectors]
        return Hoisted(
            tensors=self.recording.tensors,
            calls=self.parts.of_parameters,
            weights=tuple(self._weights),
            vectors=tuple(self._vectors),
            repeats=tuple(self.width if size == 1 else 1 for size in sizes),
        )

    def _vector(self, index: int) -> _Array:
        """Return the array of a hoisted value that is read element-wise."""
        shape = self.recording.shapes[index]
        if len(shape) > 1 and shape[0] != 1:
            raise self._unsupported("a matrix of parameters is used outside of a matrix product")
        self._check_dtype(index, masks=False)
        if index not in self._vectors:
            self._vectors.append(index)
        number = self._vectors.index(index)
        if math.prod(shape) == 1:
            return np.array([self.graph.leaf("vector", number, 0)], object)
        return self._leaves("vector", number, shape[1:] if len(shape) > 1 else shape)

    def _check_dtype(self, index: int, *, masks: bool) -> None:
        dtype, expected = self.recording.dtypes[index], self.recording.dtypes[self.recording.state[0]]
        if dtype != expected and not (masks and dtype == torch.bool):
            raise self._unsupported(f"a value is {dtype}, but the state is {expected}")

    def _leaves(self, kind: str, number: int, shape: Any) -> _Array:
        pieces = self._pieces_shape(shape)
        array = np.empty(math.prod(pieces), object)
        array[:] = [self.graph.leaf(kind, number, piece) for piece in range(array.size)]
        return array.reshape(pieces)

    def _pieces_shape(self, shape: Any) -> tuple[int, ...]:
        pieces = (*shape[:-1], shape[-1] // self.width)
        if math.prod(pieces) > MAX_PIECES:
            reason = f"the widths of its values have the common divisor {self.width}, which would give more than"
            raise self._unsupported(f"{reason} {MAX_PIECES} pieces")
        return pieces

    def _unsupported(self, reason: str) -> Unsupported:
        return Unsupported(reason, self._line)

    # Calls

    def _product(self, call: Call) -> _Array:
        *added, left, right = call.arguments
        if right.index not in self.parts.parameters or left.index in self.parts.parameters:
            raise self._unsupported("a matrix product of two values that both depend on the input or the state")
        number, shape = len(self.products), self.features(call.results[0])
        result = self._leaves("product", number, shape)
        operand = np.broadcast_to(self.read(left), self._pieces_shape(self.features(left.index)))
        self.products.append(MatrixProduct(tuple(map(as_number, operand.flat)), tuple(result.flat)))
        self._weights.append(right.index)
        keywords = dict(call.keywords)
        if not added:
            return result
        return self._add_scaled(added[0], result, keywords.get("beta", 1), keywords.get("alpha", 1))

    def _add_scaled(self, added: Ref, result: _Array, beta: float, alpha: float) -> _Array:
        term = np.broadcast_to(self.read(added), result.shape)
        return (result if alpha == 1 else result * float(alpha)) + (term if beta == 1 else term * float(beta))

    def _elementwise(self, call: Call, shape: tuple[int, ...]) -> _Array:
        target = self._pieces_shape(shape)
        function, keywords = ELEMENTWISE[call.name], dict(call.keywords)
        arrays = [np.broadcast_to(self.read(each), target) for each in call.arguments if isinstance(each, Ref)]
        result = np.empty(target, object)
        for position in np.ndindex(*target):
            tensors = iter([array[position] for array in arrays])
            arguments = [next(tensors) if isinstance(each, Ref) else each for each in call.arguments]
            result[position] = self._apply(call, function, arguments, keywords)
        return result

    def _apply(self, call: Call, function: Callable[..., Operand], arguments: Any, keywords: Any) -> Operand:
        if not any(isinstance(each, Node) for each in arguments):
            return float(_on_constants(call, arguments, keywords))
        try:
            return function(*arguments, **keywords)
        except TypeError:  # an overload with other arguments
            raise self._unsupported(f"{call.name} with these arguments is not an instruction") from None

    def _cast(self, call: Call) -> _Array:
        before, after = self.recording.dtypes[call.arguments[0].index], self.recording.dtypes[call.results[0]]
        array = self.read(call.arguments[0])
        if before == torch.bool and after.is_floating_point:
            array = _map(as_number, array)
        elif before != after:
            raise self._unsupported(f"a conversion from {before} to {after}")
        return np.broadcast_to(array, self._pieces_shape(self.features(call.results[0])))

    # Moves of pieces

    def same_order(self, call: Call) -> list[_Array]:
        array = self._full(call.arguments[0])
        return [array.reshape(self._pieces_shape(self.features(call.results[0])))]

    def expand(self, call: Call) -> list[_Array]:
        return [np.broadcast_to(self.read(call.arguments[0]), self._pieces_shape(self.features(call.results[0])))]

    def split(self, call: Call) -> list[_Array]:
        axis = self._axis(call, 2)
        sizes = [self._pieces_shape(self.features(result))[axis] for result in call.results]
        return list(np.split(self._full(call.arguments[0]), np.cumsum(sizes)[:-1], axis))

    def slice(self, call: Call) -> list[_Array]:
        _, dim, start, end, step = (*call.arguments, None, None, None, None)[:5]
        array = self._full(call.arguments[0])
        if (dim or 0) == 0:
            if (start or 0, step or 1) == (0, 1) and (end is None or end == BATCH or end > 2**31):
                return [array]
            raise self._unsupported("a slice of the batch")
        axis = self._axis(call, 1)
        unit = self.width if axis == array.ndim - 1 else 1
        length = array.shape[axis] * unit
        first, last, stride = slice(start, end, step).indices(length)
        if stride != 1:
            raise self._unsupported(f"a slice with step {stride}")
        return [array.take(range(first // unit, max(first, last) // unit), axis)]

    def select(self, call: Call) -> list[_Array]:
        axis = self._axis(call, 1, moves=True)
        return [self._full(call.arguments[0]).take(call.arguments[2], axis)]

    def unbind(self, call: Call) -> list[_Array]:
        axis = self._axis(call, 1, moves=True)
        return list(np.moveaxis(self._full(call.arguments[0]), axis, 0))

    def cat(self, call: Call) -> list[_Array]:
        axis = self._axis_of((*call.arguments, 0)[1], len(self.features(call.results[0])))
        return [np.concatenate([self._full(each) for each in call.arguments[0]], axis)]

    def stack(self, call: Call) -> list[_Array]:
        axis = self._axis_of((*call.arguments, 0)[1], len(self.features(call.results[0])), moves=True)
        return [np.stack([self._full(each) for each in call.arguments[0]], axis)]

    def _full(self, argument: Ref) -> _Array:
        """Return the array of a tensor in its own shape."""
        return np.broadcast_to(self.read(argument), self._pieces_shape(self.features(argument.index)))

    def _axis(self, call: Call, position: int, *, moves: bool = False) -> int:
        dim = call.arguments[position] if len(call.arguments) > position else dict(call.keywords).get("dim", 0)
        return self._axis_of(dim, len(self.features(call.arguments[0].index)), moves=moves)

    def _axis_of(self, dim: int, axes: int, *, moves: bool = False) -> int:
        """Return the axis of an array for an axis of a tensor; `moves`: the axis of the features may not be it."""
        axis = dim % (axes + 1) - 1
        if axis < 0:
            raise self._unsupported("an operation along the batch")
        if moves and axis == axes - 1 and self.width > 1:
            raise self._unsupported("an operation that moves single features")
        return axis


_MOVES: dict[str, Callable[[_Lowering, Call], list[_Array]]] = {
    **dict.fromkeys(_SAME_ORDER, _Lowering.same_order),
    "expand": _Lowering.expand,
    "split": _Lowering.split,
    "unsafe_split": _Lowering.split,
    "unsafe_split_with_sizes": _Lowering.split,
    "split_with_sizes": _Lowering.split,
    "slice": _Lowering.slice,
    "select": _Lowering.select,
    "unbind": _Lowering.unbind,
    "cat": _Lowering.cat,
    "stack": _Lowering.stack,
}


def _width(recording: Recording, calls: Sequence[Call]) -> int:
    """Return the greatest width of which the widths of all values, and the starts of all slices, are multiples.

    A value that is the operand of products and nothing else counts as well: its pieces are written one by one.
    """
    values = {*recording.state, recording.output, *recording.next_state}
    values.update(each for call in calls for each in (*call.results, *call.inputs()))
    shapes = [recording.shapes[each] for each in values]
    widths: list[Any] = [shape[-1] for shape in shapes if has_batch_first(shape)]
    starts = [
        call.arguments[2]
        for call in calls
        if call.name == "slice" and len(call.arguments) > 2 and isinstance(call.arguments[2], int)
    ]
    return math.gcd(*widths, *starts)


def _on_constants(call: Call, arguments: list[Any], keywords: dict[str, Any]) -> float:
    tensors = [
        torch.tensor(value, dtype=torch.float64) if isinstance(each, Ref) else value
        for each, value in zip(call.arguments, arguments, strict=True)
    ]
    return float(call.operator(*tensors, **keywords))


def _fill_value(call: Call) -> float:
    return 0.0 if call.name in _ZEROS else 1.0 if call.name in _ONES else float(call.arguments[-1])


def _map(function: Callable[[Any], Any], array: _Array) -> _Array:
    result = np.empty(array.shape, object)
    for position in np.ndindex(*array.shape):
        result[position] = function(array[position])
    return result
