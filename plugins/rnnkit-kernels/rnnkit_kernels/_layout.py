"""All that a call needs and that depends on sizes and strides only: made once for each, and kept with the plan."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from functools import cached_property
from itertools import accumulate
from typing import TYPE_CHECKING, Any, NamedTuple

from torch import Tensor

from rnnkit.plan import Plan
from rnnkit_kernels import _abi
from rnnkit_kernels._code import CONSTANTS, Code, Memory, Position, StatePosition, SumPosition

if TYPE_CHECKING:
    from rnnkit_kernels._tables import Tables

_LINE = 16  # elements: tensors in a block start at cache lines
_MOST_STRIDES = 8  # of gradients of the output, which are almost always the same
_FEWEST_MULTIPLICATIONS = 100_000  # of a thread: below, waking it up takes longer than its work
_MOST_SUMMED = 200_000  # multiplications: above, torch sums the gradients of parameters faster than the library


class Block:
    """Tensors in one allocation.

    Args:
        tensor: the number of the allocation among the tensors of a call.
        batch: the number of sequences.

    Attributes:
        size: the number of elements.
        positions: the position of each tensor.
    """

    def __init__(self, tensor: int, batch: int) -> None:
        self._tensor, self._batch = tensor, batch
        self.size = 0
        self.positions: dict[Memory, Position] = {}

    def add(self, memory: Memory, features: int, time: int) -> None:
        """Add a tensor `(time, batch, features)`."""
        self.positions[memory] = _contiguous(self._tensor, self._batch, features, self.size)
        self.size += -(-time * self._batch * features // _LINE) * _LINE


class Bound(NamedTuple):
    """A program for sizes and strides.

    Attributes:
        program: the program.
        constants: the constants that it reads.
        block: the memory of its own.
    """

    program: _abi.Program
    constants: Tensor
    block: Block


class Gradient(NamedTuple):
    """A gradient that a backward program writes.

    Attributes:
        memory: its kind and number. The gradients of all vectors for each sequence are `grad_vectors`.
        shape: its shape.
        number: the number of the input that it is the gradient of; -1 if gradients of inputs follow from it.
        is_optional: True if the program need not write it.
    """

    memory: Memory
    shape: tuple[int, ...]
    number: int = -1
    is_optional: bool = False


class Layout:
    """The programs of a plan for inputs of given shapes and strides.

    The tensors of a call of `inference` and `forward` are the inputs, the constants, a block, the output, and the parts
    of the final state. Those of `backward` are the inputs, the constants, the block of `forward`, a block, the
    gradients of the output and of the parts of the final state, and `gradients`.

    Args:
        tables: the tables of the plan.
        inputs: the inputs, as `Parameters.inputs` returns them.
        sizes: the number of steps and of sequences.
        is_masked: True if sequences have lengths, so that projected inputs are copied in another order.

    Attributes:
        dtype: the dtype.
        most_threads: the number of threads that have enough to do.
        copied: the numbers of the inputs that must be made contiguous.
        vectors: the number of features of each vector.
        gradients: the gradients that the backward program writes.
        derived: the inputs whose gradients are none of these, but follow from them.

    Raises:
        ValueError: an input has another shape, dtype or device than the plan: the library would read past its end.
    """

    def __init__(self, tables: Tables, inputs: Sequence[Tensor], sizes: tuple[int, int], *, is_masked: bool) -> None:
        self._tables, self._count, (self._time, self._batch) = tables, len(inputs), sizes
        plan = self._plan
        self.dtype = inputs[0].dtype
        self._first_weight = len(plan.projected) + len(plan.state)
        first_vector = self._first_weight + len(plan.products)
        self._check(inputs)
        self.copied = [n for n, each in enumerate(inputs) if not self._can_be_read(n, each)]
        self.vectors = [len(each) for each in inputs[first_vector:]]
        of_projected = [self._position(n, inputs[n], is_masked) for n in range(len(plan.projected))]
        self._given: dict[Memory, Position] = {
            **{("projected", n): each for n, each in enumerate(of_projected)},
            **{("vector", n): Position(first_vector + n, size) for n, size in enumerate(self.vectors)},
        }
        strides: list[tuple[int, ...]] = [each.stride() for each in inputs[self._first_weight : first_vector]]
        transposed = zip(strides, tables.parameters.transposed, strict=True)
        self._strides = [each[::-1] if is_transposed else each for each, is_transposed in transposed]
        multiplications = self._time * self._batch * sum(k * n for k, n in plan.products)
        work = multiplications + self._time * self._batch * plan.width
        self.most_threads = max(1, min(self._batch, work // _FEWEST_MULTIPLICATIONS))
        self._is_summed = multiplications <= _MOST_SUMMED
        self.gradients = self._gradients()
        direct = {each.number for each in self.gradients}
        self.derived = [n for n in range(len(inputs)) if n not in direct]
        self._backward: dict[tuple[int, ...], Bound] = {}

    @property
    def _plan(self) -> Plan:
        return self._tables.plan

    @cached_property
    def inference(self) -> Bound:
        """The step."""
        return self._bind_forward(self._tables.inference, states=2)

    @cached_property
    def forward(self) -> Bound:
        """The step, which also writes what the backward program reads."""
        return self._bind_forward(self._tables.forward, states=self._time + 1)

    def backward(self, grad_output: Tensor) -> Bound:
        """Return the program of the gradient for the strides of the gradient of the output."""
        strides = grad_output.stride()
        bound = self._backward.get(strides)
        if bound is None:
            if len(self._backward) >= _MOST_STRIDES:
                self._backward = {}
            bound = self._backward[strides] = self._bind_backward(*strides[:2])
        return bound

    def _check(self, inputs: Sequence[Tensor]) -> None:
        plan, batch = self._plan, self._batch
        expected: list[tuple[str, Any]] = [
            *[(f"projected input {n}", (self._time, batch, *shape)) for n, shape in enumerate(plan.projected)],
            *[(f"part {n} of the state", (batch, *shape)) for n, shape in enumerate(plan.state)],
            *[(f"weight {n}", shape) for n, shape in enumerate(self._weight_shapes())],
            *[(f"vector {n}", None) for n in range(len(plan.hoisted.vectors))],
        ]
        for (name, shape), each in zip(expected, inputs, strict=True):
            if (shape is not None and each.shape != shape) or each.dtype != self.dtype or each.device.type != "cpu":
                raise ValueError(
                    f"{name} must be a {self.dtype} tensor of shape {shape} on cpu, but is a {each.dtype} tensor of "
                    f"shape {tuple(each.shape)} on {each.device}"
                )

    def _weight_shapes(self) -> list[tuple[int, ...]]:
        transposed = self._tables.parameters.transposed
        return [(n, k) if swap else (k, n) for (k, n), swap in zip(self._plan.products, transposed, strict=True)]

    def _can_be_read(self, number: int, each: Tensor) -> bool:
        """True if the library can read an input as it is: the features of a row must be contiguous."""
        if number < len(self._plan.projected):
            return not each.numel() or each[0, 0].is_contiguous()
        is_weight = 0 <= number - self._first_weight < len(self._plan.products)
        return is_weight or each.is_contiguous()

    def _position(self, number: int, each: Tensor, is_masked: bool) -> Position:
        position = _contiguous(number, self._batch, math.prod(each.shape[2:]))
        if is_masked or number in self.copied:
            return position
        time_stride, row_stride = each.stride()[:2]
        return position._replace(time_stride=time_stride, row_stride=row_stride)

    def _gradients(self) -> list[Gradient]:
        plan, sizes, shared = self._plan, (self._time, self._batch), self._tables.shared
        products = self._grad_products()
        read = {*plan.input_products, *[each for each, _ in shared.values()]} if self._is_summed else products
        found = [
            *[
                Gradient(("grad_projected", n), (*sizes, *shape), n)
                for n, shape in enumerate(plan.projected)
                if ("grad_projected", n) in self._tables.backward.memories  # unless shared, or without a gradient
            ],
            *[
                Gradient(("grad_state", n), (self._batch, *shape), len(plan.projected) + n, is_optional=True)
                for n, shape in enumerate(plan.state)
            ],
            *[Gradient(("grad_product", n), (*sizes, plan.products[n][1])) for n in read],
        ]
        return found + (
            self._summed(products) if self._is_summed else [Gradient(("grad_vectors", 0), self._all_vectors())]
        )

    def _summed(self, products: Sequence[int]) -> list[Gradient]:
        """Return the gradients of weights and vectors."""
        shapes, first = self._weight_shapes(), self._first_weight
        return [
            *[Gradient(("grad_weight", n), shapes[n], first + n, is_optional=True) for n in products],
            *[
                Gradient(("grad_vector", n), (size,), first + len(shapes) + n, is_optional=True)
                for n, size in enumerate(self.vectors)
            ],
        ]

    def _all_vectors(self) -> tuple[int, int]:
        return self._batch, sum(self.vectors)

    def _grad_products(self) -> list[int]:
        return [number for kind, number in self._tables.backward.memories if kind == "grad_product"]

    def _bind_forward(self, code: Code, *, states: int) -> Bound:
        plan, first = self._plan, self._count + 2
        block = Block(self._count + 1, self._batch)
        for number, shape in enumerate(plan.state):
            block.add(("state", number), math.prod(shape), states)
        for kind, number in code.memories:
            if kind in {"operand", "product"}:
                block.add((kind, number), plan.products[number][kind == "product"], self._time)
            elif kind == "kept":
                block.add((kind, number), plan.kept * plan.width, self._time)
        positions = {**block.positions, ("output", 0): _contiguous(first, self._batch, plan.output)}
        numbers = range(len(plan.state))
        parts = [StatePosition(("state", n), len(plan.projected) + n, first + 1 + n) for n in numbers]
        return self._bind(code, positions, block, parts)

    def _bind_backward(self, *strides: int) -> Bound:
        plan, code, first = self._plan, self._tables.backward, self._count + 2
        block = Block(first, self._batch)
        numbers = {each.memory: first + 2 + len(plan.state) + n for n, each in enumerate(self.gradients)}
        for number, shape in enumerate(plan.state):
            block.add(("grad_state", number), math.prod(shape), 2)
        for number in self._grad_products():
            if ("grad_product", number) not in numbers:
                block.add(("grad_product", number), plan.products[number][1], self._time)
        if self._is_summed:
            block.add(("grad_vectors", 0), sum(self.vectors), 1)
        positions = {
            **self.forward.block.positions,
            ("grad_output", 0): Position(first + 1, plan.output, 0, *strides),
            **self._of_steps(numbers),
            **block.positions,
        }
        of_sequences = positions["grad_vectors", 0]._replace(time_stride=0)
        positions |= {("grad_vectors", 0): of_sequences, **self._of_vectors(of_sequences)}
        parts = [
            StatePosition(("grad_state", n), first + 2 + n, numbers["grad_state", n]) for n in range(len(plan.state))
        ]
        parts.append(StatePosition(("grad_vectors", 0)))  # zeros before the first step
        sums = self._sums(numbers) if self._is_summed else []
        return self._bind(code, positions, block, parts, sums, transposed=True)

    def _of_steps(self, numbers: Mapping[Memory, int]) -> dict[Memory, Position]:
        """Return the positions of those gradients that the steps write."""
        axes = {"grad_product": 2, "grad_projected": 2, "grad_vectors": 1}  # before the features
        return {
            memory: _contiguous(numbers[memory], self._batch, math.prod(shape[axes[memory[0]] :]))
            for memory, shape, _, _ in self.gradients
            if memory[0] in axes
        }

    def _of_vectors(self, whole: Position) -> dict[Memory, Position]:
        """Return the positions of the gradients of vectors for each sequence, which the steps add to."""
        starts = accumulate(self.vectors, initial=whole.offset)
        return {
            ("grad_vector", n): whole._replace(features=size, offset=start)
            for n, (size, start) in enumerate(zip(self.vectors, starts, strict=False))
        }

    def _sums(self, numbers: Mapping[Memory, int]) -> list[SumPosition]:
        """Return the sums of the gradients of weights, in their orientation, and of vectors."""
        sums = []
        for (kind, number), result in numbers.items():
            if kind == "grad_weight":
                operand, product = self._plan.operands[number], ("grad_product", number)
                is_transposed = self._tables.parameters.transposed[number]
                left, right = (product, operand) if is_transposed else (operand, product)
                sums.append(SumPosition(left, right, result))
            elif kind == "grad_vector":
                sums.append(SumPosition(None, (kind, number), result))
        return sums

    def _bind(
        self,
        code: Code,
        positions: dict[Memory, Position],
        block: Block,
        parts: Sequence[StatePosition],
        sums: Sequence[SumPosition] = (),
        *,
        transposed: bool = False,
    ) -> Bound:
        constants = self._tables.constants(code, self.dtype)
        known = {CONSTANTS: Position(self._count, len(constants)), **self._given, **positions}
        pairs = zip(self._strides, self._plan.products, strict=True)
        weights = []
        for number, ((k_stride, n_stride), (k, n)) in enumerate(pairs, self._first_weight):
            of_weight = (n_stride, k_stride, n, k) if transposed else (k_stride, n_stride, k, n)
            weights.append(_abi.Weight(number, *of_weight))
        return Bound(code.bind(known, weights, parts, sums, (self._time, self._batch)), constants, block)


def _contiguous(tensor: int, batch: int, features: int, offset: int = 0) -> Position:
    """Return the position of a contiguous tensor `(time, batch, features)`."""
    return Position(tensor, features, offset, batch * features, features)
