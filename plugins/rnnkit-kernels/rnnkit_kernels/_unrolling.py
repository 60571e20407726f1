"""Run the programs of a plan: allocate their memories, and sum the gradients of parameters."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple, TypeAlias

import torch
from torch import Tensor

from rnnkit_kernels import _abi
from rnnkit_kernels._code import Memory
from rnnkit_kernels._layout import Bound
from rnnkit_kernels._library import Library
from rnnkit_kernels._tables import Tables

Gradients: TypeAlias = dict[Memory, Tensor]


class Sequences(NamedTuple):
    """The lengths of the sequences of a batch in descending order, so that those that have not ended come first.

    Attributes:
        lengths: the lengths in descending order, `(batch,)`.
        order: the numbers of the sequences in this order.
        live: for each step, the number of sequences that have not ended.
        table: their addresses.

    Raises:
        ValueError: there is not one length for each sequence.
    """

    lengths: Tensor
    order: Tensor
    live: Tensor
    table: _abi.Sequences

    @classmethod
    def of(cls, lengths: Tensor, time: int, batch: int) -> Sequences:
        if lengths.shape != (batch,):
            raise ValueError(f"lengths must have the shape (batch,) = ({batch},), but has {tuple(lengths.shape)}")
        ordered, order = lengths.to("cpu", torch.int64).clamp(0, time).sort(descending=True, stable=True)
        live = (ordered > torch.arange(time)[:, None]).sum(1)
        return cls(ordered, order, live, _abi.Sequences(live.data_ptr(), ordered.data_ptr(), order.data_ptr()))


class Unrolling:
    """A plan over sequences of one shape.

    Args:
        library: the library.
        tables: the tables of a plan.
        inputs: the projected inputs, `(time, batch, ...)` each, the parts of the state, `(batch, ...)` each, the
            weights and the vectors.
        sizes: the number of steps and of sequences.
        sequences: the lengths of the sequences; None: all have all steps.

    Raises:
        ValueError: an input has another shape, dtype or device than the plan.
    """

    def __init__(
        self,
        library: Library,
        tables: Tables,
        inputs: Sequence[Tensor],
        sizes: tuple[int, int],
        sequences: Sequences | None,
    ) -> None:
        self.library, self.plan = library, tables.plan
        self.time, self.batch = sizes
        self._tables = tables
        self._layout = tables.layout(inputs, sizes, is_masked=sequences is not None)
        self._sequences = sequences
        self._make, self._dtype = torch.empty if sequences is None else torch.zeros, self._layout.dtype

    def infer(self, inputs: Sequence[Tensor]) -> tuple[Tensor, list[Tensor]]:
        """Return the output and the final state."""
        output, final, _ = self._run_forward(self._layout.inference, inputs)
        return output, final

    def forward(self, inputs: Sequence[Tensor]) -> tuple[Tensor, list[Tensor], Tensor]:
        """Return the output, the final state and what a backward pass reads."""
        return self._run_forward(self._layout.forward, inputs)

    def _run_forward(self, bound: Bound, inputs: Sequence[Tensor]) -> tuple[Tensor, list[Tensor], Tensor]:
        block = self._new(bound.block.size)
        output = self._new(self.time, self.batch, self.plan.output)
        final = [torch.empty(self.batch, *shape, dtype=self._dtype) for shape in self.plan.state]
        self._run(bound, [*self._readable(inputs), bound.constants, block, output, *final])
        return self._restored(output), final, block

    def backward(
        self,
        inputs: Sequence[Tensor],
        block: Tensor,
        grad_output: Tensor | None,
        grad_state: Sequence[Tensor | None],
        needed: Sequence[bool],
    ) -> list[Tensor | None]:
        """Return the gradients of all inputs in order; None for those that are not needed.

        Args:
            inputs: the inputs.
            block: what `forward` returned.
            grad_output: the gradient of the output; None for zeros.
            grad_state: those of the parts of the final state; None for zeros.
            needed: for each input, True if its gradient is needed.
        """
        layout = self._layout
        readable, grad_output = self._readable(inputs), self._grad_output(grad_output)
        bound = layout.backward(grad_output)
        given = [None if each is None else each.contiguous() for each in grad_state]
        found = [
            None if is_optional and not needed[number] else self._new(*shape)
            for _, shape, number, is_optional in layout.gradients
        ]
        own = self._new(bound.block.size)
        self._run(bound, [*readable, bound.constants, block, own, grad_output, *given, *found])
        results: list[Tensor | None] = [None] * len(inputs)
        for (_, _, number, _), each in zip(layout.gradients, found, strict=True):
            if number >= 0:
                results[number] = each
        if layout.derived:
            pairs = zip(layout.gradients, found, strict=True)
            by_memory = {gradient.memory: each for gradient, each in pairs if each is not None}
            for number in layout.derived:
                results[number] = self._derived(readable, block, by_memory, number) if needed[number] else None
        if self._sequences is not None:
            count = len(self.plan.projected)
            results[:count] = [None if each is None else self._restored(each) for each in results[:count]]
        return results

    def _derived(self, inputs: Sequence[Tensor], block: Tensor, found: Gradients, number: int) -> Tensor:
        """Return the gradient of an input that follows from others."""
        first = len(self.plan.projected) + len(self.plan.state)
        if number in self._tables.shared:
            return self._shared_gradient(found, number)
        if number < first:
            return self._input_gradient(inputs, found, number)
        if number < first + len(self.plan.products):
            return self._weight_gradient(inputs, block, found, number - first)
        vector = number - first - len(self.plan.products)
        sizes = self._layout.vectors
        return found["grad_vectors", 0].narrow(1, sum(sizes[:vector]), sizes[vector]).sum(0)

    def _shared_gradient(self, found: Gradients, number: int) -> Tensor:
        product, piece = self._tables.shared[number]
        shape = self.plan.projected[number]
        part = found["grad_product", product].narrow(-1, piece * self.plan.width, math.prod(shape))
        return part if len(shape) == 1 else part.unflatten(-1, shape)

    def _input_gradient(self, inputs: Sequence[Tensor], found: Gradients, number: int) -> Tensor:
        """Return the gradient of the input of the cell, which products read."""
        plan, first = self.plan, len(self.plan.projected) + len(self.plan.state)
        gradient = inputs[number].new_zeros(self.time * self.batch, *plan.projected[number])
        for product in plan.input_products:
            if plan.operands[product] == ("projected", number):
                weight, transposed = inputs[first + product], self._tables.parameters.transposed[product]
                gradient.addmm_(found["grad_product", product].flatten(0, 1), weight if transposed else weight.t())
        return gradient.view(self.time, self.batch, *plan.projected[number])

    def _weight_gradient(self, inputs: Sequence[Tensor], block: Tensor, found: Gradients, number: int) -> Tensor:
        """Return the gradient of a weight: the sum over all steps and sequences."""
        (k, n), transposed = self.plan.products[number], self._tables.parameters.transposed[number]
        of_product = found.get(("grad_product", number))
        if of_product is None:  # nothing depends on the product
            return torch.zeros((n, k) if transposed else (k, n), dtype=block.dtype)
        gradient = of_product.flatten(0, 1).t() @ self._operand(inputs, block, number)
        return gradient if transposed else gradient.t()

    def _operand(self, inputs: Sequence[Tensor], block: Tensor, number: int) -> Tensor:
        """Return the operand of a product for all steps and sequences."""
        kind, index = self.plan.operands[number]
        shape = self.time * self.batch, self.plan.products[number][0]
        if kind == "projected":
            return inputs[index].reshape(shape)
        start = self._layout.forward.block.positions[kind, index].offset
        return block.as_strided(shape, (shape[1], 1), start)

    def _grad_output(self, given: Tensor | None) -> Tensor:
        if given is None:  # nothing depends on the output
            return torch.zeros(self.plan.output, dtype=self._dtype).expand(self.time, self.batch, -1)
        has_flat_rows = given.stride(-1) == 1 or given.shape[-1] == 1
        return self._sorted(given if has_flat_rows else given.contiguous())

    def _readable(self, inputs: Sequence[Tensor]) -> Sequence[Tensor]:
        """Return the inputs as the library reads them: sorted by length, and with contiguous features."""
        if self._sequences is None and not self._layout.copied:
            return inputs
        count = len(self.plan.projected)
        ready = [*map(self._sorted, inputs[:count]), *inputs[count:]]
        for number in self._layout.copied:
            ready[number] = ready[number].contiguous()
        return ready

    def _new(self, *sizes: int) -> Tensor:
        """Return a new tensor, with zeros past the ends of the sequences."""
        return self._make(sizes, dtype=self._dtype)

    def _run(self, bound: Bound, tensors: Sequence[Tensor | None]) -> None:
        addresses = [None if each is None else each.data_ptr() for each in tensors]
        most = self._layout.most_threads
        threads = 1 if most == 1 else max(1, min(most, torch.get_num_threads()))
        table = None if self._sequences is None else self._sequences.table
        self.library.run(bound.program, self._layout.dtype, addresses, table, threads)

    def _sorted(self, tensor: Tensor) -> Tensor:
        """Return a tensor `(time, batch, ...)` in the order of the lengths."""
        return tensor if self._sequences is None else tensor.index_select(1, self._sequences.order)

    def _restored(self, tensor: Tensor) -> Tensor:
        """Return a sorted tensor in the order of the batch."""
        if self._sequences is None:
            return tensor
        return torch.empty_like(tensor).index_copy_(1, self._sequences.order, tensor)
