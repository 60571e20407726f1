"""The vector-Jacobian product of a step, derived symbolically from the derivatives of the instructions."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from rnnkit.plan.instructions import INSTRUCTIONS
from rnnkit.plan.lower import LoweredStep
from rnnkit.plan.nodes import Node, Operand, order


@dataclass(frozen=True)
class Gradients:
    """The gradients of a step in terms of its values and of the gradients of its results; 0.0 where there is none.

    The gradients of the results are leaves of the kinds `grad_output` and `grad_next_state`. The gradient of the
    operand of a product is the gradient of its result times the transposed weight: leaves of the kind `grad_operand`.

    Attributes:
        of: the gradient of each leaf.
        of_results: for each product, the gradients of the pieces of its result.
        operands: for each product, the leaves of the gradient of its operand.
    """

    of: Mapping[Node, Operand]
    of_results: tuple[tuple[Operand, ...], ...]
    operands: tuple[tuple[Node, ...], ...]


def differentiate(step: LoweredStep) -> Gradients:
    """Derive the gradients of all leaves of a step."""
    leaf = step.graph.leaf
    gradients: dict[Node, Operand] = {}
    for piece, node in enumerate(step.output):
        _accumulate(gradients, node, leaf("grad_output", 0, piece))
    for number, pieces in enumerate(step.next_state):
        for piece, node in enumerate(pieces):
            _accumulate(gradients, node, leaf("grad_next_state", number, piece))
    operands = tuple(
        tuple(leaf("grad_operand", number, piece) for piece in range(len(product.operand)))
        for number, product in enumerate(step.products)
    )
    seen: set[int] = set()
    for node in reversed(step_order(_roots(step), step)):
        if node.is_leaf and node.name == "product" and node.arguments[0] not in seen:
            number = node.arguments[0]
            seen.add(number)
            for operand, gradient in zip(step.products[number].operand, operands[number], strict=True):
                _accumulate(gradients, operand, gradient)
        elif not node.is_leaf and node in gradients:
            _backward(gradients, node)
    of_results = tuple(tuple(gradients.get(node, 0.0) for node in product.result) for product in step.products)
    return Gradients(gradients, of_results, operands)


def step_order(roots: Iterable[Operand], step: LoweredStep) -> list[Node]:
    """Return the nodes that some values depend on, each after its arguments, and products after their operands."""

    def arguments(node: Node) -> tuple[Operand, ...]:
        if not node.is_leaf:
            return node.arguments
        return step.products[node.arguments[0]].operand if node.name == "product" else ()

    return order(roots, arguments)


def _roots(step: LoweredStep) -> list[Operand]:
    return [*step.output, *[piece for pieces in step.next_state for piece in pieces]]


def _backward(gradients: dict[Node, Operand], node: Node) -> None:
    derivative = INSTRUCTIONS[node.name].derivative
    assert derivative is not None, node.name  # noqa: S101  # instructions of backward passes are not in steps
    for argument, gradient in zip(node.arguments, derivative(gradients[node], node, *node.arguments), strict=True):
        if gradient is not None:
            _accumulate(gradients, argument, gradient)


def _accumulate(gradients: dict[Node, Operand], node: Operand, gradient: Operand) -> None:
    if isinstance(node, Node):
        known = gradients.get(node)
        gradients[node] = gradient if known is None else _sum(known, gradient)


def _sum(first: Operand, second: Operand) -> Operand:
    return second if _is_zero(first) else first if _is_zero(second) else first + second


def _is_zero(operand: Operand) -> bool:
    return not isinstance(operand, Node) and operand == 0
