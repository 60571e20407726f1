"""A program of a plan as tables of the library, except for sizes and strides, which depend on the call."""

from __future__ import annotations

import ctypes
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple, TypeAlias

from rnnkit.plan import Place, PlacedProduct, Plan, Program
from rnnkit_kernels import _abi
from rnnkit_kernels._fusion import Operand, Operation, Temporary, fuse

Memory: TypeAlias = tuple[str, int]
"""The kind and the number of a tensor that a program reads or writes."""

CONSTANTS: Memory = ("constants", 0)
# The states before and after a step are in one tensor, a step apart, and so are their gradients.
_NEXT = {"next_state": "state", "grad_next_state": "grad_state"}
_IN_SCRATCH = frozenset({"operand", "product", "grad_operand", "scratch"})
_LINE = 16  # elements: tensors in scratch start at cache lines


class Position(NamedTuple):
    """Where a memory is in a call, in elements.

    Attributes:
        tensor: the number of a tensor of the call.
        features: the number of features that it has.
        offset: the distance of the first element from the start of the tensor.
        time_stride: the distance of one step from the next.
        row_stride: the distance of one sequence from the next.
    """

    tensor: int
    features: int
    offset: int = 0
    time_stride: int = 0
    row_stride: int = 0


class StatePosition(NamedTuple):
    """Where a part of the state is before the first step and after the last one: the numbers of two tensors."""

    memory: Memory
    first: int = _abi.NONE
    last: int = _abi.NONE


class SumPosition(NamedTuple):
    """A sum of outer products of two memories over all steps, or without `left` of rows, and the number of a tensor."""

    left: Memory | None
    right: Memory
    result: int


class _Location(NamedTuple):
    memory: Memory | int
    shift: int
    offset: int


class Code:
    """The tables of a program.

    Args:
        plan: the plan.
        program: one of its programs.
        opcodes: the number of each instruction of the library.
        stored: the tensors of the kinds `operand` and `product` that have a memory; the others are scratch.
        last_two: the kinds of memories of which only two steps are stored.
        reverse: True to run the steps from the last to the first.

    Attributes:
        memories: for each tensor that the program reads or writes, the number of features that it must have.
        constants: the constants, of which the memory `CONSTANTS` has one piece each.
    """

    def __init__(
        self,
        plan: Plan,
        program: Program,
        opcodes: Mapping[str, int],
        *,
        stored: Iterable[Memory] = (),
        last_two: Iterable[str] = (),
        reverse: bool = False,
    ) -> None:
        self.memories: dict[Memory, int] = {}
        self.constants: list[float] = []
        self._width, self._products = plan.width, plan.products  # not the plan, which tables must not keep alive
        self._stored, self._last_two = frozenset(stored), frozenset(last_two)
        self._locations: dict[_Location, int] = {}
        self._scratch: dict[Memory, int] = {}
        self._scratch_width = 0
        stages = [(fuse(stage.instructions, opcodes.keys()), stage.products) for stage in program.stages]
        operations = [operation for of_stage, _ in stages for operation in of_stage]
        instructions = [self._instruction(each, opcodes) for each in operations]
        parts = list(self._parts(stages))
        self._instructions = (_abi.Instruction * len(instructions))(*instructions)
        self._parts_table = (_abi.Part * len(parts))(*parts)
        temporaries = 1 + max(
            (each.result.number for each in operations if isinstance(each.result, Temporary)), default=-1
        )
        # an odd number of lines: rows at multiples of a large power of 2 would share the same sets of the cache
        scratch_width = (self._scratch_width // _LINE | 1) * _LINE
        self._sizes = (plan.width, temporaries, scratch_width, int(reverse))

    def bind(
        self,
        positions: Mapping[Memory, Position],
        weights: Sequence[_abi.Weight],
        states: Sequence[StatePosition],
        sums: Sequence[SumPosition],
        sizes: tuple[int, int],
    ) -> _abi.Program:
        """Return the program for the sizes and strides of a call.

        Args:
            positions: the positions of `memories`, and of the parts of the state.
            weights: the weights of the plan.
            states: the parts of the state.
            sums: the sums that are computed after the last step.
            sizes: the number of steps and of sequences.

        Raises:
            ValueError: a memory has fewer features than the program reads.
        """
        for memory, features in self.memories.items():
            if positions[memory].features < features:
                name = " ".join(map(str, memory))
                raise ValueError(f"{name} must have {features} features, but has {positions[memory].features}")
        locations = dict(self._locations)

        def whole(memory: Memory) -> int:
            return locations.setdefault(_Location(memory, 0, 0), len(locations))

        used = {part.weight for part in self._parts_table if part.kind == _abi.PRODUCT}
        of_weights = [each if number in used else _abi.Weight() for number, each in enumerate(weights)]
        of_states = [_abi.State(whole(name), first, last, positions[name].features) for name, first, last in states]
        of_sums = [
            _abi.Sum(
                _abi.NONE if left is None else whole(left),
                whole(right),
                result,
                int(left is not None),
                1 if left is None else positions[left].features,
                positions[right].features,
            )
            for left, right, result in sums
        ]
        tables = (
            (_abi.Operand * len(locations))(*[self._operand(location, positions) for location in locations]),
            self._instructions,
            self._parts_table,
            (_abi.Weight * len(of_weights))(*of_weights),
            (_abi.State * len(of_states))(*of_states),
            (_abi.Sum * len(of_sums))(*of_sums),
        )
        addresses = [ctypes.addressof(each) for each in tables]
        counts = (len(self._parts_table), len(of_weights), len(of_states), len(of_sums))
        program = _abi.Program(*addresses, *counts, *self._sizes, *sizes)
        program.owner = tables  # the program has only their addresses
        return program

    def _operand(self, location: _Location, positions: Mapping[Memory, Position]) -> _abi.Operand:
        memory, shift, offset = location
        if isinstance(memory, int):
            return _abi.Operand(memory, 0, offset, 0, 0, _abi.SEQUENCE)
        mask = _abi.LAST_TWO if memory[0] in self._last_two else _abi.SEQUENCE
        tensor, _, start, time_stride, row_stride = positions[memory]
        return _abi.Operand(tensor, shift, start + offset, time_stride, row_stride, mask)

    def _instruction(self, operation: Operation, opcodes: Mapping[str, int]) -> _abi.Instruction:
        arguments = [self._index(each) for each in operation.arguments]
        arguments += [arguments[0]] * (3 - len(arguments))
        return _abi.Instruction(opcodes[operation.name], self._index(operation.result), *arguments)

    def _parts(self, stages: Sequence[tuple[Sequence[Operation], Sequence[PlacedProduct]]]) -> Iterator[_abi.Part]:
        end = 0
        for operations, products in stages:
            first, end = end, end + len(operations)
            if operations:
                yield _abi.Part(_abi.INSTRUCTIONS, first, end)
            for product in products:
                k, n = self._products[product.weight]
                k, n = (n, k) if product.transposed else (k, n)
                result, operand = self._whole(product.result, n), self._whole(product.operand, k)
                yield _abi.Part(_abi.PRODUCT, 0, 0, result, operand, product.weight, k, n)

    def _whole(self, tensor: Memory, features: int) -> int:
        """Return the index of a tensor, all of whose pieces a product reads or writes."""
        return self._add(self._location(Place(*tensor, 0), features))

    def _index(self, operand: Operand) -> int:
        return self._add(self._location(operand, self._width))

    def _add(self, location: _Location) -> int:
        return self._locations.setdefault(location, len(self._locations))

    def _location(self, operand: Operand, features: int) -> _Location:
        """Return the location of an operand, of which this many features are read or written."""
        if isinstance(operand, Temporary):
            return _Location(_abi.TEMPORARY, 0, operand.number)
        if not isinstance(operand, Place):
            return self._in_memory(CONSTANTS, 0, self._constant(operand), features)
        kind, number, piece = operand
        if kind in _IN_SCRATCH and (kind, number) not in self._stored:
            return _Location(_abi.SCRATCH, 0, self._scratch_start(kind, number) + piece * self._width)
        if kind == "kept":  # pieces of one tensor
            return self._in_memory(("kept", 0), 0, number, features)
        return self._in_memory((_NEXT.get(kind, kind), number), int(kind in _NEXT), piece, features)

    def _in_memory(self, memory: Memory, shift: int, piece: int, features: int) -> _Location:
        offset = piece * self._width
        self.memories[memory] = max(self.memories.get(memory, 0), offset + features)
        return _Location(memory, shift, offset)

    def _constant(self, value: Any) -> int:
        texts = [repr(each) for each in self.constants]  # 0.0 equals -0.0, and nan does not equal itself
        if repr(value) not in texts:
            self.constants.append(value)
            return len(texts)
        return texts.index(repr(value))

    def _scratch_start(self, kind: str, number: int) -> int:
        if (kind, number) not in self._scratch:
            self._scratch[kind, number] = self._scratch_width
            self._scratch_width += -(-self._scratch_features(kind, number) // _LINE) * _LINE
        return self._scratch[kind, number]

    def _scratch_features(self, kind: str, number: int) -> int:
        if kind == "scratch":
            return self._width
        k, n = self._products[number]
        return n if kind == "product" else k
