"""Run the programs of a plan: allocate their memories, and sum the gradients of parameters."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from rnnkit.plan import Plan
from rnnkit_kernels import _abi
from rnnkit_kernels._layout import Bound
from rnnkit_kernels._library import Library
from rnnkit_kernels._tables import Tables


class Sequences(NamedTuple):
    """The lengths of the sequences of a batch in descending order, so that those that have not ended come first.

    Attributes:
        lengths: the lengths in descending order, `(batch,)`.
        order: the numbers of the sequences in this order.
        live: for each step, the number of sequences that have not ended.
        table: their addresses.
    """

    lengths: Tensor
    order: Tensor
    live: Tensor
    table: _abi.Sequences

    @classmethod
    def of(cls, lengths: Tensor, time: int) -> Sequences:
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
        lengths: the number of valid steps of each sequence; None: all are valid.

    Raises:
        ValueError: an input has another shape, dtype or device than the plan.
    """

    def __init__(
        self,
        library: Library,
        tables: Tables,
        inputs: Sequence[Tensor],
        sizes: Sequence[int],
        lengths: Tensor | None,
    ) -> None:
        self.library, self.plan, self.lengths = library, tables.plan, lengths
        self.time, self.batch = sizes
        self._tables = tables
        self._layout = layout = tables.layout(inputs, self.time, self.batch, is_masked=lengths is not None)
        if lengths is not None and lengths.shape != (layout.batch,):
            raise ValueError(
                f"lengths must have the shape (batch,) = ({layout.batch},), but has {tuple(lengths.shape)}"
            )
        self._sequences = None if lengths is None else Sequences.of(lengths, layout.time)

    def with_oriented_weights(self, inputs: Sequence[Tensor]) -> list[Tensor]:
        """Return the inputs with weights `(features, other_features)`."""
        oriented = list(inputs)
        first = len(self.plan.projected) + len(self.plan.state)
        for number, transposed in enumerate(self._tables.parameters.transposed, first):
            oriented[number] = inputs[number].t() if transposed else inputs[number]
        return oriented

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
        final = [torch.empty(self.batch, *shape, dtype=self._layout.dtype) for shape in self.plan.state]
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
        layout, dtype = self._layout, self._layout.dtype
        readable = self._readable(inputs)
        grad_output = self._grad_output(grad_output)
        bound = layout.backward(grad_output)
        given = [None if each is None else each.contiguous() for each in grad_state]
        of_state = [torch.empty(self.batch, *shape, dtype=dtype) for shape in self.plan.state]
        of_vectors = torch.zeros(self.batch, sum(layout.vectors), dtype=dtype)
        of_products = {n: self._new(self.time, self.batch, self.plan.products[n][1]) for n in layout.grad_products}
        of_projected = {n: self._new(*inputs[n].shape) for n in layout.grad_projected}
        own = self._new(bound.block.size)
        gradients = [*of_state, of_vectors, *of_products.values(), *of_projected.values()]
        self._run(bound, [*readable, bound.constants, block, own, grad_output, *given, *gradients])
        return self._gradients(readable, block, of_projected, of_state, of_products, of_vectors, needed)

    def _gradients(
        self,
        inputs: Sequence[Tensor],
        block: Tensor,
        of_projected: dict[int, Tensor],
        of_state: list[Tensor],
        of_products: dict[int, Tensor],
        of_vectors: Tensor,
        needed: Sequence[bool],
    ) -> list[Tensor | None]:
        plan, iterator = self.plan, iter(needed)
        found: list[Tensor | None] = []
        for number in range(len(plan.projected)):
            if next(iterator):
                shared = of_projected.get(number)
                each = self._shared_gradient(of_products, number) if shared is None else shared
                found.append(self._restored(each))
            else:
                found.append(None)
        found += [each if next(iterator) else None for each in of_state]
        for number in range(len(plan.products)):
            found.append(self._weight_gradient(inputs, block, of_products, number) if next(iterator) else None)
        if any(flags := list(iterator)):
            parts = torch.unsafe_split_with_sizes(of_vectors.sum(0), self._layout.vectors)
            found += [each if flag else None for each, flag in zip(parts, flags, strict=True)]
        else:
            found += [None] * len(flags)
        return found

    def _shared_gradient(self, of_products: dict[int, Tensor], number: int) -> Tensor:
        product, piece = self._tables.shared[number]
        shape = self.plan.projected[number]
        part = of_products[product].narrow(-1, piece * self.plan.width, math.prod(shape))
        return part if len(shape) == 1 else part.unflatten(-1, shape)

    def _weight_gradient(
        self, inputs: Sequence[Tensor], block: Tensor, of_products: dict[int, Tensor], number: int
    ) -> Tensor:
        """Return the gradient of a weight: the sum over all steps and sequences."""
        k, n = self.plan.products[number]
        transposed = self._tables.parameters.transposed[number]
        if number not in of_products:  # nothing depends on the product
            return torch.zeros((n, k) if transposed else (k, n), dtype=block.dtype)
        rows = self.time * self.batch
        kind, operand = self.plan.operands[number]
        if kind == "projected":
            left = inputs[operand].reshape(rows, k)
        else:
            left = block.as_strided((rows, k), (k, 1), self._layout.forward.block.positions[kind, operand].offset)
        gradient = of_products[number].view(rows, n).t() @ left
        return gradient if transposed else gradient.t()

    def _grad_output(self, given: Tensor | None) -> Tensor:
        if given is None:  # nothing depends on the output
            return torch.zeros(self.plan.output, dtype=self._layout.dtype).expand(self.time, self.batch, -1)
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
        make = torch.empty if self._sequences is None else torch.zeros
        return make(sizes, dtype=self._layout.dtype)

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
