"""Run the programs of a plan: allocate their memories, pack their weights, and sum the gradients of parameters."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from rnnkit.plan import Plan
from rnnkit_kernels._code import CONSTANTS, Code, Memory, Strides
from rnnkit_kernels._library import Library
from rnnkit_kernels._tables import Tables, tables_for

Memories = dict[Memory, Tensor]
_FEWEST_MULTIPLICATIONS = 100_000  # of a thread: below, waking it up takes longer than its work


class Inputs(NamedTuple):
    """The tensors that a plan reads.

    Attributes:
        projected: `(time, batch, ...)` each.
        state: `(batch, ...)` each.
        weights: `(features, other_features)` each.
        vectors: `(features,)` each.
    """

    projected: list[Tensor]
    state: list[Tensor]
    weights: list[Tensor]
    vectors: list[Tensor]

    @property
    def dtype(self) -> torch.dtype:
        return self.flat()[0].dtype

    def flat(self) -> list[Tensor]:
        """Return all tensors in order."""
        return [*self.projected, *self.state, *self.weights, *self.vectors]


class Sequences(NamedTuple):
    """The lengths of the sequences of a batch in descending order, so that those that have not ended come first.

    Attributes:
        lengths: the lengths in descending order, `(batch,)`.
        order: the numbers of the sequences in this order.
        live: for each step, the number of sequences that have not ended.
    """

    lengths: Tensor
    order: Tensor
    live: Tensor

    @classmethod
    def of(cls, lengths: Tensor, time: int) -> Sequences:
        ordered, order = lengths.clamp(0, time).sort(descending=True, stable=True)
        return cls(ordered, order, (ordered > torch.arange(time)[:, None]).sum(1))


class Unrolling:
    """A plan over sequences of one shape.

    Args:
        library: the library.
        plan: the plan.
        time: the number of steps.
        batch: the number of sequences.
        lengths: the number of valid steps of each sequence; None: all are valid.
    """

    def __init__(self, library: Library, plan: Plan, time: int, batch: int, lengths: Tensor | None) -> None:
        self.library, self.plan, self.time, self.batch = library, plan, time, batch
        self.lengths = lengths
        self.sequences = None if lengths is None else Sequences.of(lengths, time)
        self._tables: Tables = tables_for(plan, library.opcodes)

    def check(self, inputs: Inputs) -> None:
        """Raise `ValueError` unless the inputs are those of the plan: the library would read past their ends."""
        plan, batch = self.plan, self.batch
        expected = [
            *[(f"projected input {n}", (self.time, batch, *shape)) for n, shape in enumerate(plan.projected)],
            *[(f"part {n} of the state", (batch, *shape)) for n, shape in enumerate(plan.state)],
            *[(f"weight {n}", shape) for n, shape in enumerate(plan.products)],
            *[(f"vector {n}", None) for n in range(len(inputs.vectors))],
        ]
        dtype = inputs.dtype
        for (name, shape), each in zip(expected, inputs.flat(), strict=True):
            if (shape is not None and each.shape != shape) or each.dtype != dtype or each.device.type != "cpu":
                raise ValueError(
                    f"{name} must be a {dtype} tensor of shape {shape} on cpu, but is a {each.dtype} tensor of shape "
                    f"{tuple(each.shape)} on {each.device}"
                )
        if self.lengths is not None and self.lengths.shape != (batch,):
            raise ValueError(f"lengths must have the shape (batch,) = ({batch},), but has {tuple(self.lengths.shape)}")

    def infer(self, inputs: Inputs) -> tuple[Tensor, list[Tensor]]:
        """Return the output and the final state."""
        memories = self._input_memories(inputs)
        for number, part in enumerate(self._sorted(each.flatten(1), 0) for each in inputs.state):
            memories["state", number] = torch.stack([part, part])
        memories["output", 0] = self._new(inputs, self.plan.output)
        self._run(self._tables.inference, memories, inputs.weights)
        return self._results(memories, steps=2)

    def forward(self, inputs: Inputs) -> tuple[Tensor, list[Tensor], Memories]:
        """Return the output, the final state and what a backward pass reads."""
        plan = self.plan
        memories = self._input_memories(inputs)
        for number, part in enumerate(self._sorted(each.flatten(1), 0) for each in inputs.state):
            states = memories["state", number] = self._new(inputs, part.shape[1], time=self.time + 1)
            states[0] = part
        for number in self._tables.operands:
            memories["operand", number] = self._new(inputs, plan.products[number][0])
        for number in self._tables.products:
            memories["product", number] = self._new(inputs, plan.products[number][1])
        memories["kept", 0] = self._new(inputs, plan.kept * plan.width)
        memories["output", 0] = self._new(inputs, plan.output)
        self._run(self._tables.forward, memories, inputs.weights)
        output, final = self._results(memories, steps=self.time + 1)
        del memories["output", 0]
        return output, final, memories

    def backward(
        self,
        inputs: Inputs,
        memories: Memories,
        grad_output: Tensor,
        grad_state: Sequence[Tensor],
        needed: Sequence[bool],
    ) -> list[Tensor | None]:
        """Return the gradients of all inputs in order; None for those that are not needed."""
        plan = self.plan
        memories = memories | {("grad_output", 0): self._sorted(_with_unit_stride(grad_output), 1)}
        for number, part in enumerate(self._sorted(each.flatten(1), 0) for each in grad_state):
            memories["grad_state", number] = torch.stack([part, part])
        for number, each in enumerate(inputs.projected):
            if ("grad_projected", number) in self._tables.backward.memories:  # unless shared, or a mask
                memories["grad_projected", number] = self._new(inputs, math.prod(each.shape[2:]))
        for kind, number in self._tables.backward.memories:
            if kind == "grad_product":
                memories[kind, number] = self._new(inputs, plan.products[number][1])
        for number, each in enumerate(inputs.vectors):
            memories["grad_vector", number] = each.new_zeros(self.batch, len(each))
        self._run(self._tables.backward, memories, inputs.weights, transposed=True)
        return self._gradients(inputs, memories, needed)

    def _gradients(self, inputs: Inputs, memories: Memories, needed: Sequence[bool]) -> list[Tensor | None]:
        iterator = iter(needed)
        of_projected = [
            self._restored(self._grad_projected(memories, number), 1).reshape(each.shape) if next(iterator) else None
            for number, each in enumerate(inputs.projected)
        ]
        of_state = [
            self._restored(memories["grad_state", number][0], 0).view_as(each) if next(iterator) else None
            for number, each in enumerate(inputs.state)
        ]
        of_weights = [
            self._weight_gradient(memories, number, each) if next(iterator) else None
            for number, each in enumerate(inputs.weights)
        ]
        of_vectors = [
            memories["grad_vector", number].sum(0) if next(iterator) else None for number in range(len(inputs.vectors))
        ]
        return [*of_projected, *of_state, *of_weights, *of_vectors]

    def _grad_projected(self, memories: Memories, number: int) -> Tensor:
        if number not in self._tables.shared:
            return memories["grad_projected", number]
        product, piece = self._tables.shared[number]
        width, features = self.plan.width, math.prod(self.plan.projected[number])
        return memories["grad_product", product].narrow(-1, piece * width, features)

    def _weight_gradient(self, memories: Memories, number: int, weight: Tensor) -> Tensor:
        """Return the gradient of a weight: the sum over all steps and sequences."""
        if ("grad_product", number) not in memories:  # nothing depends on the product
            return torch.zeros_like(weight)
        operand = memories[self.plan.operands[number]][: self.time].flatten(0, 1)
        return (memories["grad_product", number].flatten(0, 1).t() @ operand).t()

    def _input_memories(self, inputs: Inputs) -> Memories:
        memories = {("vector", number): each.contiguous() for number, each in enumerate(inputs.vectors)}
        for number, each in enumerate(inputs.projected):
            memories["projected", number] = self._sorted(_with_unit_stride(each.flatten(2)), 1)
        return memories

    def _new(self, inputs: Inputs, features: int, *, time: int | None = None) -> Tensor:
        """Return a new tensor `(time, batch, features)`, with zeros past the ends of the sequences."""
        make = torch.empty if self.sequences is None else torch.zeros
        return make(self.time if time is None else time, self.batch, features, dtype=inputs.dtype)

    def _run(
        self, code: Code, memories: Mapping[Memory, Tensor], weights: Sequence[Tensor], *, transposed: bool = False
    ) -> None:
        dtype = next(iter(memories.values())).dtype
        tensors = [
            self._tables.constants(code, dtype) if memory == CONSTANTS else memories[memory] for memory in code.memories
        ]
        for (memory, features), tensor in zip(code.memories.items(), tensors, strict=True):
            if tensor.shape[-1] < features:
                raise ValueError(f"{memory[0]} {memory[1]} must have {features} features, but has {tensor.shape[-1]}")
        threads = self._threads()
        rows = max(self.batch // threads, 1)
        packed = [self.library.pack(each.t() if transposed else each, rows) for each in weights]
        self.library.run(
            code.bind(tuple(map(_strides, tensors))),
            tensors,
            packed,
            time=self.time,
            batch=self.batch,
            live=None if self.sequences is None else self.sequences.live,
            threads=threads,
        )

    def _threads(self) -> int:
        work = self.time * self.batch * (self.plan.width + sum(k * n for k, n in self.plan.products))
        return max(1, min(torch.get_num_threads(), self.batch, work // _FEWEST_MULTIPLICATIONS))

    def _results(self, memories: Memories, *, steps: int) -> tuple[Tensor, list[Tensor]]:
        """Return the output and the states after the last valid steps; the state of step t is at t modulo `steps`."""
        states = [memories["state", number] for number in range(len(self.plan.state))]
        if self.sequences is None:
            final = [each[self.time % steps].clone() for each in states]
        else:
            index = self.sequences.lengths % steps, torch.arange(self.batch)
            final = [self._restored(each[index], 0) for each in states]
        shapes = [(self.batch, *shape) for shape in self.plan.state]
        parts = [each.view(shape) for each, shape in zip(final, shapes, strict=True)]
        return self._restored(memories["output", 0], 1), parts

    def _sorted(self, tensor: Tensor, axis: int) -> Tensor:
        return tensor if self.sequences is None else tensor.index_select(axis, self.sequences.order)

    def _restored(self, tensor: Tensor, axis: int) -> Tensor:
        """Return a sorted tensor in the order of the batch."""
        if self.sequences is None:
            return tensor
        return torch.empty_like(tensor).index_copy_(axis, self.sequences.order, tensor)


def _with_unit_stride(tensor: Tensor) -> Tensor:
    return tensor if tensor.stride(-1) == 1 or tensor.shape[-1] == 1 else tensor.contiguous()


def _strides(tensor: Tensor) -> Strides:
    """Return the strides of time and batch, which are the outer axes that the tensor has."""
    *outer, _ = tensor.stride()
    return (0, 0, *outer)[-2:]  # type: ignore[return-value]  # always two
