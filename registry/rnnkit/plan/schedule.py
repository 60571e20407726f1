"""Arrange nodes in stages, and give each value a place."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from rnnkit.plan.nodes import Node, Operand, order
from rnnkit.plan.programs import Place, PlacedInstruction, PlacedProduct, Program, Stage


class Product(NamedTuple):
    """A matrix product that a program computes.

    Attributes:
        number: the number of its weight.
        kind: the kind of its result.
        result: the pieces of its result.
        source: the kind and the number of the tensor that is its operand. The program writes it if the kind is
            `operand` or `grad_product`; any other is there already.
        operand: the pieces of this tensor.
        transposed: True to transpose the weight.
    """

    number: int
    kind: str
    result: tuple[Node, ...]
    source: tuple[str, int]
    operand: tuple[Operand, ...]
    transposed: bool


def schedule(
    outputs: Sequence[tuple[Place, Operand]], products: Sequence[Product], given: Mapping[Node, Place]
) -> Program:
    """Return the program that writes `outputs` and computes `products`.

    Each product is computed one stage before its result is read, and each instruction as early as possible.

    Args:
        outputs: pairs of a place and the value to write there.
        products: the products.
        given: places of values that are there when the program starts.
    """
    return _Scheduler(outputs, products, given).program()


class _Scheduler:
    def __init__(
        self, outputs: Sequence[tuple[Place, Operand]], products: Sequence[Product], given: Mapping[Node, Place]
    ) -> None:
        self._products = products
        self._given = given
        self._product_of = {node: product for product in products for node in product.result}
        self._writes = [*outputs, *_operand_writes(products)]
        # operands that are there already are not written, but may depend on other products
        values = [node for _, node in self._writes] + [node for product in products for node in product.operand]
        self._nodes = order(values, self._arguments)
        self._levels: dict[Node, int] = {}
        for node in self._nodes:
            self._levels[node] = self._level(self._arguments(node)) + (node in self._product_of)
        self._last_reads = self._find_last_reads()
        self._places: dict[Node, Place] = {}
        self._counts = Counter[str]()

    def program(self) -> Program:
        last = max([*self._levels.values(), *[self._level(product.operand) for product in self._products]], default=0)
        return Program(tuple(map(self._stage, range(last + 1))))

    def _stage(self, level: int) -> Stage:
        computed = [node for node in self._nodes if self._levels[node] == level and self._existing(node) is None]
        destinations = self._destinations(level)
        instructions = []
        for node in computed:
            arguments = tuple(map(self._read, node.arguments))
            place, *copies = destinations.pop(node, None) or [self._new_place(node)]
            self._places[node] = place
            instructions.append(PlacedInstruction(node.name, place, arguments))
            instructions += [PlacedInstruction("copy", copy, (place,)) for copy in copies]
        for value, copies in destinations.items():
            instructions += [PlacedInstruction("copy", copy, (self._read(value),)) for copy in copies]
        return Stage(tuple(instructions), tuple(self._products_after(level)))

    def _products_after(self, level: int) -> list[PlacedProduct]:
        return [
            PlacedProduct((product.kind, product.number), product.source, product.number, product.transposed)
            for product in self._products
            if self._level(product.operand) == level
        ]

    def _destinations(self, level: int) -> dict[Operand, list[Place]]:
        """Return the places where values of a level are written."""
        places = defaultdict[Operand, list[Place]](list)
        for place, value in self._writes:
            if self._level([value]) == level:
                places[value].append(place)
        return places

    def _read(self, value: Operand) -> Place | float:
        return (self._existing(value) or self._places[value]) if isinstance(value, Node) else value

    def _new_place(self, node: Node) -> Place:
        """Return a temporary place, or scratch if a later stage reads the value."""
        kind = "scratch" if self._last_reads.get(node, 0) > self._levels[node] else "temporary"
        self._counts[kind] += 1
        return Place(kind, self._counts[kind] - 1, 0)

    def _existing(self, node: Node) -> Place | None:
        """Return the place of a value that no instruction computes; None for others."""
        return self._given.get(node) or (Place(node.name, *node.arguments) if node.is_leaf else None)

    def _find_last_reads(self) -> dict[Node, int]:
        """Return the last stage in which an instruction reads each value."""
        last: dict[Node, int] = {}
        for node in self._nodes:
            for argument in () if self._existing(node) else _nodes(node.arguments):
                last[argument] = max(last.get(argument, 0), self._levels[node])
        return last

    def _arguments(self, node: Node) -> tuple[Operand, ...]:
        if node in self._product_of:
            return self._product_of[node].operand
        return node.arguments if self._existing(node) is None else ()

    def _level(self, operands: Iterable[Operand]) -> int:
        return max((self._levels[each] for each in _nodes(operands)), default=0)


def _operand_writes(products: Sequence[Product]) -> list[tuple[Place, Operand]]:
    return [
        (Place(*product.source, piece), node)
        for product in products
        if product.source[0] in {"operand", "grad_product"}
        for piece, node in enumerate(product.operand)
    ]


def _nodes(operands: Iterable[Operand]) -> list[Node]:
    return [each for each in operands if isinstance(each, Node)]
