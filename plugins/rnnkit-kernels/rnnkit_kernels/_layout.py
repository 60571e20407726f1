"""All that a call needs and that depends on sizes and strides only: made once for each, and kept with the plan."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

from torch import Tensor

from rnnkit.plan import Plan
from rnnkit_kernels import _abi
from rnnkit_kernels._code import CONSTANTS, Code, Memory, Position, StatePosition

if TYPE_CHECKING:
    from rnnkit_kernels._tables import Tables

_LINE = 16  # elements: tensors in a block start at cache lines
_MOST_STRIDES = 8  # of gradients of the output, which are almost always the same
_FEWEST_MULTIPLICATIONS = 100_000  # of a thread: below, waking it up takes longer than its work


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
        self.positions[memory] = Position(self._tensor, features, self.size, self._batch * features, features)
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


class Layout:
    """The programs of a plan for inputs of given shapes and strides.

    The tensors of a call of `inference` and `forward` are the inputs, the constants, a block, the output, and the parts
    of the final state. Those of `backward` are the inputs, the constants, the block of `forward`, a block, the gradients
    of the output, of the parts of the final state, of those of the initial state, of all vectors in one tensor, of
    `grad_products`, and of `grad_projected`.

    Args:
        tables: the tables of the plan.
        inputs: the inputs, as `Parameters.inputs` returns them.
        time: the number of steps.
        batch: the number of sequences.
        is_masked: True if sequences have lengths, so that projected inputs are copied in another order.

    Attributes:
        time: the number of steps.
        batch: the number of sequences.
        dtype: the dtype.
        most_threads: the number of threads that have enough to do.
        copied: the numbers of the inputs that must be made contiguous.
        vectors: the number of features of each vector.

    Raises:
        ValueError: an input has another shape, dtype or device than the plan: the library would read past its end.
    """

    def __init__(self, tables: Tables, inputs: Sequence[Tensor], time: int, batch: int, *, is_masked: bool) -> None:
        self._tables, self._count = tables, len(inputs)
        plan = self.plan
        self.time, self.batch = time, batch
        self.dtype = inputs[0].dtype
        self._first_weight = len(plan.projected) + len(plan.state)
        first_vector = self._first_weight + len(plan.products)
        self._check(inputs)
        work = self.time * self.batch * (plan.width + sum(k * n for k, n in plan.products))
        self.most_threads = max(1, min(self.batch, work // _FEWEST_MULTIPLICATIONS))
        self.copied = [n for n, each in enumerate(inputs) if not self._can_be_read(n, each)]
        self.vectors = [len(each) for each in inputs[first_vector:]]
        self._given = {
            **{
                ("projected", n): self._position(n, each, is_masked)
                for n, each in enumerate(inputs[: len(plan.projected)])
            },
            **{("vector", n): Position(first_vector + n, size) for n, size in enumerate(self.vectors)},
        }
        strides = [each.stride() for each in inputs[self._first_weight : first_vector]]
        self._strides = [
            each[::-1] if transposed else each
            for each, transposed in zip(strides, tables.parameters.transposed, strict=True)
        ]
        self._backward: dict[tuple[int, ...], Bound] = {}

    @property
    def plan(self) -> Plan:
        """The plan."""
        return self._tables.plan

    @cached_property
    def inference(self) -> Bound:
        """The step."""
        return self._bind_forward(self._tables.inference, states=2)

    @cached_property
    def forward(self) -> Bound:
        """The step, which also writes what the backward program reads."""
        return self._bind_forward(self._tables.forward, states=self.time + 1)

    def backward(self, grad_output: Tensor) -> Bound:
        """Return the program of the gradient for the strides of the gradient of the output."""
        strides = grad_output.stride()
        bound = self._backward.get(strides)
        if bound is None:
            if len(self._backward) >= _MOST_STRIDES:
                self._backward = {}
            bound = self._backward[strides] = self._bind_backward(*strides[:2])
        return bound

    @cached_property
    def grad_products(self) -> list[int]:
        """The products that the backward program writes the gradients of."""
        return [number for kind, number in self._tables.backward.memories if kind == "grad_product"]

    @cached_property
    def grad_projected(self) -> list[int]:
        """The projected inputs whose gradients are not those of products as well."""
        return [number for number in range(len(self.plan.projected)) if number not in self._tables.shared]

    def _check(self, inputs: Sequence[Tensor]) -> None:
        plan, batch = self.plan, self.batch
        weights = [shape[::-1] if transposed else shape for shape, transposed in self._products()]
        expected: list[tuple[str, Any]] = [
            *[(f"projected input {n}", (self.time, batch, *shape)) for n, shape in enumerate(plan.projected)],
            *[(f"part {n} of the state", (batch, *shape)) for n, shape in enumerate(plan.state)],
            *[(f"weight {n}", shape) for n, shape in enumerate(weights)],
            *[(f"vector {n}", None) for n in range(len(plan.hoisted.vectors))],
        ]
        for (name, shape), each in zip(expected, inputs, strict=True):
            if (shape is not None and each.shape != shape) or each.dtype != self.dtype or each.device.type != "cpu":
                raise ValueError(
                    f"{name} must be a {self.dtype} tensor of shape {shape} on cpu, but is a {each.dtype} tensor of "
                    f"shape {tuple(each.shape)} on {each.device}"
                )

    def _products(self) -> Any:
        return zip(self.plan.products, self._tables.parameters.transposed, strict=True)

    def _can_be_read(self, number: int, each: Tensor) -> bool:
        """True if the library can read an input as it is: the features of a row must be contiguous."""
        if number < len(self.plan.projected):
            return not each.numel() or each[0, 0].is_contiguous()
        is_weight = 0 <= number - self._first_weight < len(self.plan.products)
        return is_weight or each.is_contiguous()

    def _position(self, number: int, each: Tensor, is_masked: bool) -> Position:
        features = math.prod(each.shape[2:])
        is_contiguous = is_masked or number in self.copied
        strides = (self.batch * features, features) if is_contiguous else each.stride()[:2]
        return Position(number, features, 0, *strides)

    def _bind_forward(self, code: Code, *, states: int) -> Bound:
        plan, first = self.plan, self._count + 2
        block = Block(self._count + 1, self.batch)
        for number, shape in enumerate(plan.state):
            block.add(("state", number), math.prod(shape), states)
        for kind, number in code.memories:
            if kind in {"operand", "product"}:
                block.add((kind, number), plan.products[number][kind == "product"], self.time)
        if ("kept", 0) in code.memories:
            block.add(("kept", 0), plan.kept * plan.width, self.time)
        output = Position(first, plan.output, 0, self.batch * plan.output, plan.output)
        parts = [StatePosition(("state", n), len(plan.projected) + n, first + 1 + n) for n in range(len(plan.state))]
        return self._bind(code, {**block.positions, ("output", 0): output}, block, parts)

    def _bind_backward(self, *strides: int) -> Bound:
        plan, first = self.plan, self._count + 2
        block = Block(first, self.batch)
        for number, shape in enumerate(plan.state):
            block.add(("grad_state", number), math.prod(shape), 2)
        count = len(plan.state)
        parts = [StatePosition(("grad_state", n), first + 2 + n, first + 2 + count + n) for n in range(count)]
        positions = {
            **self.forward.block.positions,
            **block.positions,
            ("grad_output", 0): Position(first + 1, plan.output, 0, *strides),
            **self._grad_vectors(first + 2 + 2 * count),
            **self._gradients(first + 3 + 2 * count),
        }
        return self._bind(self._tables.backward, positions, block, parts, transposed=True)

    def _grad_vectors(self, tensor: int) -> dict[Memory, Position]:
        starts = [sum(self.vectors[:n]) for n in range(len(self.vectors))]
        total = sum(self.vectors)
        return {
            ("grad_vector", n): Position(tensor, size, start, 0, total)
            for n, (size, start) in enumerate(zip(self.vectors, starts, strict=True))
        }

    def _gradients(self, first: int) -> dict[Memory, Position]:
        sizes = [
            *[(("grad_product", n), self.plan.products[n][1]) for n in self.grad_products],
            *[(("grad_projected", n), math.prod(self.plan.projected[n])) for n in self.grad_projected],
        ]
        return {
            memory: Position(first + n, features, 0, self.batch * features, features)
            for n, (memory, features) in enumerate(sizes)
        }

    def _bind(
        self,
        code: Code,
        positions: dict[Memory, Position],
        block: Block,
        parts: Sequence[StatePosition],
        *,
        transposed: bool = False,
    ) -> Bound:
        constants = self._tables.constants(code, self.dtype)
        known = {CONSTANTS: Position(self._count, len(constants)), **self._given, **positions}
        weights = []
        for number, (strides, shape) in enumerate(zip(self._strides, self.plan.products, strict=True)):
            order = slice(None, None, -1) if transposed else slice(None)
            weights.append(_abi.Weight(self._first_weight + number, *strides[order], *shape[order]))
        return Bound(code.bind(known, weights, parts, self.time, self.batch), constants, block)
