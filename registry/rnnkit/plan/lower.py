"""Lower the calls of a step to matrix products with weights and element-wise instructions on pieces of one width.

A tensor `(batch, ..., features)` becomes an array of nodes, `(..., features / width)`. Splitting, concatenating and
reshaping only move nodes in arrays, so that they cost nothing when the plan runs.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from rnnkit.plan.hoist import Hoisted, Projection, replay
from rnnkit.plan.instructions import new_graph, row_mean
from rnnkit.plan.moves import MOVES, move
from rnnkit.plan.nodes import Graph, Node, Operand, apply
from rnnkit.plan.operators import ELEMENTWISE, as_number
from rnnkit.plan.partition import PRODUCTS, Partition, has_batch_first, partition
from rnnkit.plan.record import BATCH, Call, Recording, Ref, Shape
from rnnkit.plan.reductions import REDUCTIONS, SOFTMAX, map_array
from rnnkit.plan.unsupported import Unsupported

MAX_PIECES = 64  # of one value: if widths have a small common divisor, the plan would be long and slow

_FILLS = {"full", "full_like", "new_full", "scalar_tensor"}
_FILLS |= {f"{value}{form}" for value in ("zeros", "ones") for form in ("", "_like")} | {"new_zeros", "new_ones"}
_COPIES = {"_to_copy", "clone", "alias", "contiguous", "lift_fresh"}
_FLEXIBLE = {*PRODUCTS, *ELEMENTWISE, *_COPIES, *_FILLS, *REDUCTIONS, "expand"}  # that take a single feature as a piece
_BATCH_WISE = {*PRODUCTS, *ELEMENTWISE, *_COPIES, *MOVES, *REDUCTIONS} - SOFTMAX  # which may be along the batch
_aten = torch.ops.aten
_TO, _EXPAND, _SLICE, _MM = _aten.to.dtype, _aten.expand.default, _aten.slice.Tensor, _aten.mm.default
_Array = Any  # of nodes and constants


@dataclass(frozen=True)
class MatrixProduct:
    """A product of a value with a weight.

    Attributes:
        features: the number of features of the left side.
        operand: the pieces of the left side; empty if that is the input, which no piece of the graph is a part of.
        result: the pieces of the result, leaves of the kind `product`.
        input: the number of the input that is the left side; None for a computed value.
    """

    features: int
    operand: tuple[Operand, ...]
    result: tuple[Node, ...]
    input: int | None = None


@dataclass(frozen=True)
class LoweredStep:
    """A step as a graph.

    Attributes:
        graph: the graph.
        width: the number of features of a piece.
        hoisted: the calls that depend on parameters alone, and which of their results the step reads.
        projection: the calls that depend on the input as well, and which of their results the step reads.
        projected: the shape of each result of `projection` without the batch.
        masks: the numbers of those that have no gradient.
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
    masks: frozenset[int]
    state: tuple[tuple[int, ...], ...]
    products: tuple[MatrixProduct, ...]
    output: tuple[Operand, ...]
    next_state: tuple[tuple[Operand, ...], ...]


def lower(recording: Recording, *, keeps_input: bool = False) -> LoweredStep:
    """Lower a recording.

    Args:
        recording: the recording.
        keeps_input: True to leave products of the input in the step, and nothing to `projection`.

    Raises:
        Unsupported: a call is neither an instruction nor a product with a weight nor a move of pieces.
    """
    lowering = Lowering(recording, keeps_input=keeps_input)
    for call in lowering.parts.of_step:
        lowering.call(call)
    if keeps_input and all(product.input is None for product in lowering.products):
        raise Unsupported("no product reads the input")
    return LoweredStep(
        output=lowering.read_pieces(recording.output),
        next_state=tuple(map(lowering.read_pieces, recording.next_state)),
        graph=lowering.graph,
        width=lowering.width,
        projection=lowering.projection(),
        projected=lowering.projected(),
        masks=frozenset(lowering.masks),
        state=tuple(map(lowering.features, recording.state)),
        products=tuple(lowering.products),
        hoisted=lowering.hoisted(),
    )


class Lowering:
    """The values of a step as arrays of nodes, one call after another.

    Args:
        recording: the recording of the step.
        keeps_input: as in `lower`.
    """

    def __init__(self, recording: Recording, *, keeps_input: bool) -> None:
        self.graph = new_graph()
        self.products: list[MatrixProduct] = []
        self.masks: list[int] = []
        self._recording = recording
        self._shapes, self._dtypes = list(recording.shapes), list(recording.dtypes)
        self._dtype = self._dtypes[recording.state[0]]
        self._line = ""
        self._weights: list[int] = []
        self._vectors: list[int] = []
        self._inputs: list[int] = []
        self._arrays: dict[int, _Array] = {}
        self._keeps_input = keeps_input
        self.parts = partition(recording, frozenset() if keeps_input else _BATCH_WISE)
        self._of_parameters, self._of_input = list(self.parts.of_parameters), list(self.parts.of_input)
        self.width = _width(recording, self.parts)
        for number, index in enumerate(recording.state):
            if not has_batch_first(self._shapes[index]):
                raise Unsupported("a part of the state does not have the form (batch, ..., features)")
            self._arrays[index] = self._leaves("state", number, self.features(index))

    def call(self, call: Call) -> None:
        self._line = call.line
        try:
            self._check_dtype(call.results[0])
            results = self._lower(call)
        except Unsupported as error:
            raise error if error.line else Unsupported(str(error), call.line) from None
        self._arrays.update(zip(call.results, results, strict=False))  # a second result is for torch's backward

    def _lower(self, call: Call) -> list[_Array]:
        if call.name in PRODUCTS:
            return [self._product(call)]
        if call.name in ELEMENTWISE:
            return [self._elementwise(call)]
        if call.name in _FILLS:
            value = _constant(call, dict.fromkeys(call.inputs(), torch.zeros((), device="cpu")))
            return [np.full(self.pieces_shape(call.results[0]), value, object)]
        if call.name in _COPIES:
            return [self._cast(call)]
        if call.name in REDUCTIONS:
            return [self._reduced(call)]
        if call.name in MOVES:
            return move(self, call)
        raise self.unsupported(f"{call.name} is not an instruction")

    # Values

    def features(self, index: int) -> tuple[int, ...]:
        """Return the shape of a value without the batch."""
        shape = self._shapes[index]
        if shape[:1] != (BATCH,) or BATCH in shape[1:]:
            text = ", ".join(map(str, shape))
            raise self.unsupported(f"a value of shape ({text}) does not have the form (batch, ..., features)")
        return shape[1:]  # type: ignore[return-value]  # only the first can be the batch, which is no number

    def pieces_shape(self, index: int) -> tuple[int, ...]:
        """Return the shape of the array of a value."""
        return self._pieces_shape(self.features(index))

    def read(self, argument: Ref) -> _Array:
        """Return the array of a tensor, which may have to be broadcast to its shape."""
        index = argument.index
        if index not in self._arrays:
            self._arrays[index] = self._vector(index) if index in self.parts.parameters else self._input(index)
        return self._arrays[index]

    def shape(self, index: int) -> Any:
        """Return the shape of a parameter, or that of another value without the batch."""
        return self._shapes[index] if index in self.parts.parameters else self.features(index)

    def is_single(self, index: int) -> bool:
        """True for a value of one feature, whose piece has it in each of its places."""
        return self.shape(index)[-1:] in {(), (1,)}

    def full(self, argument: Ref) -> _Array:
        """Return the array of a tensor in its own shape."""
        return np.broadcast_to(self.read(argument), self.pieces_shape(argument.index))

    def numbers(self, argument: Ref) -> _Array:
        """Return the array of a tensor in its own shape, of numbers."""
        return map_array(as_number, self.full(argument))

    def read_pieces(self, index: int) -> tuple[Operand, ...]:
        """Return the pieces of an output of the step, as numbers."""
        return tuple(self.numbers(Ref(index)).flat)

    def projected(self) -> tuple[tuple[int, ...], ...]:
        return tuple(map(self.features, self._inputs))

    def projection(self) -> Projection:
        return Projection(self._recording.projected, tuple(self._of_input), tuple(self._inputs))

    def hoisted(self) -> Hoisted:
        return Hoisted(
            tensors=self._recording.tensors,
            calls=tuple(self._of_parameters),
            weights=tuple(self._weights),
            vectors=tuple(self._vectors),
        )

    def unsupported(self, reason: str) -> Unsupported:
        return Unsupported(reason, self._line)

    def _input(self, index: int) -> _Array:
        """Return the array of a value that depends on the input."""
        if self._keeps_input:
            raise self.unsupported("the input is read by other operators than matrix products with weights")
        prepared, number = self._prepared(index, self._of_input), len(self._inputs)
        self._inputs.append(prepared)
        if index in self._recording.masks:
            self.masks.append(number)
        return self._masked(index, self._leaves("projected", number, self.features(prepared)))

    def _vector(self, index: int) -> _Array:
        """Return the array of a hoisted value that is read element-wise, without leading axes of size 1."""
        prepared = self._prepared(index, self._of_parameters)
        shape = self._shapes[prepared]
        while len(shape) > 1 and shape[0] == 1:
            shape = shape[1:]
        return self._masked(index, self._vector_leaves(prepared, shape))

    def _vector_leaves(self, index: int, shape: Any) -> _Array:
        self._vectors.append(index)
        return self._leaves("vector", len(self._vectors) - 1, shape)

    def _prepared(self, index: int, calls: list[Call]) -> int:
        """Return a value to read pieces of: masks as numbers, and a single feature as often as a piece has features."""
        self._check_dtype(index)
        shape = self._shapes[index]
        if self._dtypes[index] == torch.bool:
            index = self._append(calls, _TO, (Ref(index), self._dtype), shape)
        if shape[-1:] in {(), (1,)} and self.width > 1:
            wide = (*shape[:-1], self.width)
            index = self._append(calls, _EXPAND, (Ref(index), wide), wide)
        return index

    def _append(self, calls: list[Call], operator: Any, arguments: Any, shape: Any) -> int:
        self._shapes.append(shape)
        self._dtypes.append(self._dtype)
        calls.append(Call(operator, arguments, (), (len(self._shapes) - 1,), self._line))
        return len(self._shapes) - 1

    def _masked(self, index: int, array: _Array) -> _Array:
        """Return the array of a value that was a mask as masks."""
        return map_array(lambda x: apply("ne", x, 0.0), array) if self._dtypes[index] == torch.bool else array

    def _check_dtype(self, index: int) -> None:
        if self._dtypes[index] not in {self._dtype, torch.bool}:
            raise self.unsupported(f"a value is {self._dtypes[index]}, but the state is {self._dtype}")

    def _leaves(self, kind: str, number: int, shape: Any) -> _Array:
        pieces = self._pieces_shape(shape)
        array = np.empty(math.prod(pieces), object)
        array[:] = [self.graph.leaf(kind, number, piece) for piece in range(array.size)]
        return array.reshape(pieces)

    def _pieces_shape(self, shape: Any) -> tuple[int, ...]:
        if shape[-1:] in {(), (1,)}:
            return tuple(shape)  # a piece with the only feature in each of its places
        pieces = (*shape[:-1], shape[-1] // self.width)
        if math.prod(pieces) > MAX_PIECES:
            reason = f"the widths of its values have the common divisor {self.width}, which would give more than"
            raise self.unsupported(f"{reason} {MAX_PIECES} pieces")
        return pieces

    # Calls

    def _product(self, call: Call) -> _Array:
        *added, left, right = call.arguments
        if right.index not in self.parts.parameters or left.index in self.parts.parameters:
            raise self.unsupported("a matrix product of two values that both depend on the input or the state")
        parts = self.parts.concatenations.get(left.index)
        result = self._term(left, right.index) if parts is None else sum(self._terms(parts, right))
        keywords = dict(call.keywords)
        if not added:
            return result
        return self._add_scaled(added[0], result, keywords.get("beta", 1), keywords.get("alpha", 1))

    def _terms(self, parts: Sequence[Ref], weight: Ref) -> Iterator[_Array]:
        """Return the products of the parts of a concatenation with their rows of a weight."""
        end = 0
        for part in parts:
            start, end = end, end + self.features(part.index)[-1]
            shape = (end - start, *self._shapes[weight.index][1:])
            yield self._term(part, self._append(self._of_parameters, _SLICE, (weight, 0, start, end), shape))

    def _term(self, left: Ref, weight: int) -> _Array:
        (rows, columns), width = self._shapes[weight], self.width
        if self._keeps_input and left.index in self._recording.projected:
            return self._input_product(left.index, weight)
        if left.index in self.parts.inputs:
            return self.read(Ref(self._append(self._of_input, _MM, (left, Ref(weight)), (BATCH, columns))))
        operand = self.numbers(left)
        if rows == 1 and width > 1:  # a value of one feature times a vector
            return operand * self._vector_leaves(weight, (columns,))
        if columns == 1 and width > 1:  # a sum over features
            terms = operand * self._vector_leaves(weight, (rows,))
            return map_array(row_mean, terms.sum(keepdims=True)) * float(width)
        return self._append_product(rows, tuple(operand.flat), weight)

    def _input_product(self, index: int, weight: int) -> _Array:
        if self._shapes[weight][1] % self.width:
            raise self.unsupported(f"a product of the input has {self._shapes[weight][1]} features")
        if index not in self._inputs:
            self._inputs.append(index)
        return self._append_product(self._shapes[weight][0], (), weight, self._inputs.index(index))

    def _append_product(self, features: Any, operand: Any, weight: int, number: int | None = None) -> _Array:
        result = self._leaves("product", len(self.products), (self._shapes[weight][1],))
        self.products.append(MatrixProduct(features, operand, tuple(result.flat), number))
        self._weights.append(weight)
        return result

    def _add_scaled(self, added: Ref, result: _Array, beta: float, alpha: float) -> _Array:
        term = np.broadcast_to(self.read(added), result.shape)
        return (result if alpha == 1 else result * float(alpha)) + (term if beta == 1 else term * float(beta))

    def _elementwise(self, call: Call) -> _Array:
        target = self.pieces_shape(call.results[0])
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
            pairs = [each for each in zip(call.arguments, arguments, strict=True) if isinstance(each[0], Ref)]
            return _constant(
                call, {ref.index: torch.tensor(value, dtype=torch.float64, device="cpu") for ref, value in pairs}
            )
        try:
            return function(*arguments, **keywords)
        except TypeError:  # an overload with other arguments
            raise self.unsupported(f"{call.name} with these arguments is not an instruction") from None

    def _cast(self, call: Call) -> _Array:
        before, after = self._dtypes[call.arguments[0].index], self._dtypes[call.results[0]]
        if before == torch.bool and after.is_floating_point:
            return self.numbers(call.arguments[0])
        if before != after:
            raise self.unsupported(f"a conversion from {before} to {after}")
        return self.full(call.arguments[0])

    def _reduced(self, call: Call) -> _Array:
        array, shape = REDUCTIONS[call.name](self, call), self.pieces_shape(call.results[0])
        if array.size != math.prod(shape):
            raise self.unsupported(f"{call.name} over the features of a value with other axes, without keepdim=True")
        return array.reshape(shape)


def _width(recording: Recording, parts: Partition) -> int:
    """Return the greatest width of which the widths of all values, and the starts of all slices, are multiples.

    A single feature counts only where it must be apart from others, as in a state or a concatenation: elsewhere it is a
    piece. A value that is the operand of products and nothing else counts as well: its pieces are written one by one.
    """
    shapes = recording.shapes
    widths = [_last_size(shapes[each]) for each in (*recording.state, recording.output, *recording.next_state)]
    for call in parts.of_step:
        of_step = [each for each in parts.reads(call) if call.name not in PRODUCTS or each not in parts.inputs]
        read, made = ([_last_size(shapes[each]) for each in values] for values in (of_step, call.results))
        if call.name in _FLEXIBLE or (call.name in MOVES and {*read, *made} == {1}):
            read, made = ([size for size in sizes if size != 1] for sizes in (read, made))
        starts = [call.arguments[2]] if call.name == "slice" and len(call.arguments) > 2 else []
        widths += [*read, *made, *[start for start in starts if isinstance(start, int)]]
    return math.gcd(*widths)


def _last_size(shape: Shape) -> int:
    """Return the number of features of a value or of a parameter; 0 if the last axis is the batch, which is refused."""
    size = 1 if shape in {(), (BATCH,)} else shape[-1]
    return size if isinstance(size, int) else 0


def _constant(call: Call, values: Mapping[int, Tensor]) -> float:
    """Return the value of a call that depends on constants alone, the same for all elements."""
    return float(next(iter(replay(call, values, batch=1).values())).flatten()[0])
