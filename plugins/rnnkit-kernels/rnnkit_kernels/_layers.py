"""Layers of which each reads the output of the one below, in one call."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from torch import Tensor

from rnnkit_kernels._library import Library
from rnnkit_kernels._tables import Tables
from rnnkit_kernels._unrolling import Sequences, Unrolling


class Layer(NamedTuple):
    """A layer.

    Attributes:
        tables: the tables of its plan.
        state_type: the class of its state.
        own: the parts of its state, its weights and its vectors; of the lowest layer, the projected inputs before them.
    """

    tables: Tables
    state_type: Any
    own: list[Tensor]


class Pass(NamedTuple):
    """A forward pass of a layer, for its backward pass.

    Attributes:
        unrolling: the layer for its sizes.
        inputs: its inputs, with the output of the layer below.
        block: what `Unrolling.forward` returned.
    """

    unrolling: Unrolling
    inputs: list[Tensor]
    block: Tensor


class Layers:
    """Layers, from the bottom up.

    Args:
        library: the library.
        layers: the layers.
        sizes: the number of steps and of sequences.
        lengths: the number of valid steps of each sequence; None: all are valid.

    Raises:
        ValueError: a tensor has another shape, dtype or device than the plan of its layer.
    """

    def __init__(
        self, library: Library, layers: Sequence[Layer], sizes: tuple[int, int], lengths: Tensor | None
    ) -> None:
        self.layers, self.lengths = layers, lengths
        self._library, self._sizes = library, sizes
        self._sequences = None if lengths is None else Sequences.of(lengths, *sizes)

    def own(self) -> list[Tensor]:
        """Return the tensors that do not come from a layer below."""
        return [each for layer in self.layers for each in layer.own]

    def run(self, *, keep: bool) -> tuple[list[Tensor], list[Pass]]:
        """Return the output with the parts of the final states of all layers, and with `keep` the passes of the layers.

        Args:
            keep: True for a backward pass.
        """
        below: list[Tensor] = []
        states: list[Tensor] = []
        passes = []
        for tables, _, own in self.layers:
            inputs = [*below, *own]
            unrolling = Unrolling(self._library, tables, inputs, self._sizes, self._sequences)
            if keep:
                output, final, block = unrolling.forward(inputs)
                passes.append(Pass(unrolling, inputs, block))
            else:
                output, final = unrolling.infer(inputs)
            below = [output]
            states += final
        return below + states, passes
