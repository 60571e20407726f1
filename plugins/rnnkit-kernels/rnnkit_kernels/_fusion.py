"""Fuse pairs of instructions of a stage, such as `tanh(a + b)`, so that the value between them is never stored."""

from __future__ import annotations

from collections import Counter
from collections.abc import Container, Iterator, Sequence
from typing import NamedTuple, TypeAlias, TypeGuard

from rnnkit.plan import Place, PlacedInstruction

# outer instruction, position of the inner one among its arguments, inner instruction: their fusion, whose arguments are
# those of the inner instruction and then the others of the outer one
_FUSIONS = {
    ("add", 0, "add"): "add_add",
    ("add", 1, "add"): "add_add",
    ("add", 0, "mul"): "mul_add",
    ("add", 1, "mul"): "mul_add",
    ("mul", 0, "mul"): "mul_mul",
    ("mul", 0, "sub"): "sub_mul",
    ("mul", 1, "mul"): "mul_mul",
    ("mul", 1, "sub"): "sub_mul",
    ("sigmoid", 0, "add"): "add_sigmoid",
    ("sigmoid", 0, "add_add"): "add_add_sigmoid",
    ("sigmoid", 0, "mul_add"): "mul_add_sigmoid",
    ("sub", 0, "mul"): "mul_sub",
    ("sub", 1, "mul"): "mul_sub_from",
    ("tanh", 0, "add"): "add_tanh",
    ("tanh", 0, "add_add"): "add_add_tanh",
    ("tanh", 0, "mul_add"): "mul_add_tanh",
}


class Temporary(NamedTuple):
    """A place for a value within a stage."""

    number: int


Operand: TypeAlias = Place | Temporary | float


class Operation(NamedTuple):
    """An instruction of the library."""

    name: str
    result: Operand
    arguments: tuple[Operand, ...]


def fuse(instructions: Sequence[PlacedInstruction], known: Container[str]) -> list[Operation]:
    """Return the operations of a stage, with as few temporaries as they need.

    Args:
        instructions: the instructions. A write to `grad_vector` becomes an addition, which sums over time.
        known: the instructions of the library.
    """
    return _place(_without_pairs(list(_with_sums(instructions)), known))


def _with_sums(instructions: Sequence[PlacedInstruction]) -> Iterator[Operation]:
    values: dict[Place, Operand] = {}
    for name, place, arguments in instructions:
        read = tuple(values.get(each, each) if isinstance(each, Place) else each for each in arguments)
        if place.kind != "grad_vector":
            yield Operation(name, place, read)
            continue
        values[place] = read[0] if name == "copy" else Place("temporary", -1 - len(values), 0)
        if name != "copy":
            yield Operation(name, values[place], read)
        yield Operation("add", place, (values[place], place))


def _is_temporary(operand: Operand) -> TypeGuard[Place]:
    """True for a value that no place outside of the stage has."""
    return isinstance(operand, Place) and operand.kind == "temporary"


def _without_pairs(operations: Sequence[Operation], known: Container[str]) -> list[Operation]:
    reads = Counter(each for operation in operations for each in operation.arguments if _is_temporary(each))
    made: dict[Operand, Operation] = {}
    for operation in operations:
        single = {each for each in operation.arguments if _is_temporary(each) and reads[each] == 1}
        new = _fused(operation, {each: made[each] for each in single}, known)
        for value in single - set(new.arguments):
            del made[value]
        made[new.result] = new
    return list(made.values())


def _fused(operation: Operation, inner: dict[Place, Operation], known: Container[str]) -> Operation:
    for position, argument in enumerate(operation.arguments):
        before = inner.get(argument) if isinstance(argument, Place) else None
        name = _FUSIONS.get((operation.name, position, before.name)) if before else None
        if before and name and name in known:
            others = tuple(each for index, each in enumerate(operation.arguments) if index != position)
            return Operation(name, operation.result, (*before.arguments, *others))
    return operation


def _place(operations: Sequence[Operation]) -> list[Operation]:
    """Give values temporaries; the result of an operation may take the place of one of its arguments."""
    last = {each: index for index, op in enumerate(operations) for each in op.arguments if _is_temporary(each)}
    places: dict[Operand, Temporary] = {}
    free: list[Temporary] = []
    placed = []
    for index, (name, result, arguments) in enumerate(operations):
        found = tuple(places[each] if _is_temporary(each) else each for each in arguments)
        free += {places[each] for each in arguments if _is_temporary(each) and last[each] == index}
        if _is_temporary(result):
            places[result] = free.pop() if free else Temporary(len(set(places.values())))
        placed.append(Operation(name, places.get(result, result), found))
    return placed
