"""Arrange a step and its gradient as programs, and choose what to keep of the forward pass for the backward pass."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence

from rnnkit.plan.derivative import Gradients, differentiate, step_order
from rnnkit.plan.instructions import CHEAP
from rnnkit.plan.lower import LoweredStep
from rnnkit.plan.nodes import Node, Operand
from rnnkit.plan.programs import Place, Plan, Program
from rnnkit.plan.schedule import Product, schedule

Writes = list[tuple[Place, Operand]]


def make_plan(step: LoweredStep) -> Plan:
    """Arrange a step and its gradient in stages."""
    gradients = differentiate(step)
    outputs, live = _forward_outputs(step), _live_products(step)
    needed = _needed(step, gradients)
    whole = _whole_products(step, needed)
    kept = {node: Place("kept", number, 0) for number, node in enumerate(_to_keep(step, needed, whole))}
    keep = [(place, node) for node, place in kept.items()]
    products = [_forward_product(step, number) for number in live]
    of_input = [number for number in live if step.products[number].input is not None]
    return Plan(
        width=step.width,
        projected=step.projected,
        state=step.state,
        output=len(step.output) * step.width,
        hoisted=step.hoisted,
        projection=step.projection,
        products=tuple((each.features, len(each.result) * step.width) for each in step.products),
        operands=tuple(_operand(step, number) for number in range(len(step.products))),
        input_products=tuple(of_input),
        kept=len(kept),
        kept_products=tuple(whole),
        inference=schedule(outputs, products, {}),
        forward=schedule([*outputs, *keep], products, {}),
        backward=_backward(step, gradients, kept, [number for number in live if number not in of_input], of_input),
    )


def _forward_product(step: LoweredStep, number: int) -> Product:
    product = step.products[number]
    return Product(number, "product", product.result, _operand(step, number), product.operand, transposed=False)


def _backward(
    step: LoweredStep, gradients: Gradients, kept: dict[Node, Place], live: Sequence[int], of_input: Sequence[int]
) -> Program:
    products = [
        Product(
            number,
            "grad_operand",
            gradients.operands[number],
            ("grad_product", number),
            gradients.of_results[number],
            transposed=True,
        )
        for number in live
    ]
    results = [
        (Place("grad_product", number, piece), value)
        for number in of_input
        for piece, value in enumerate(gradients.of_results[number])
    ]
    return schedule([*_backward_outputs(step, gradients), *results], products, _next_state_places(step) | kept)


def _operand(step: LoweredStep, number: int) -> tuple[str, int]:
    """Return the tensor that is the operand of a product: one that is there already, or else `operand`."""
    of_input = step.products[number].input
    if of_input is not None:
        return "projected", of_input
    for kind, shapes in (("state", step.state), ("projected", step.projected)):
        for index, shape in enumerate(shapes):
            pieces = range(math.prod(shape) // step.width)
            if step.products[number].operand == tuple(step.graph.leaf(kind, index, piece) for piece in pieces):
                return kind, index
    return "operand", number


def _forward_outputs(step: LoweredStep) -> Writes:
    output = [(Place("output", 0, piece), node) for piece, node in enumerate(step.output)]
    return output + [
        (Place("next_state", number, piece), node)
        for number, pieces in enumerate(step.next_state)
        for piece, node in enumerate(pieces)
    ]


def _next_state_places(step: LoweredStep) -> dict[Node, Place]:
    """Return the places of the computed parts of the next state, which an executor keeps anyway."""
    return {
        node: place
        for place, node in _forward_outputs(step)
        if place.kind == "next_state" and isinstance(node, Node) and not node.is_leaf
    }


def _live_products(step: LoweredStep) -> list[int]:
    """Return the products that the results of the step depend on."""
    roots = [node for _, node in _forward_outputs(step)]
    return sorted({node.arguments[0] for node in step_order(roots, step) if _is_product(node)})


def _is_product(node: Node) -> bool:
    return node.is_leaf and node.name == "product"


def _backward_outputs(step: LoweredStep, gradients: Gradients) -> Writes:
    """Return the gradients that the backward program writes, except those of products."""
    skipped = step.masks | {product.input for product in step.products}
    leaves = [
        step.graph.leaf(kind, index, piece)
        for kind, shapes in (("projected", step.projected), ("state", step.state))
        for index, shape in enumerate(shapes)
        for piece in range(math.prod(shape) // step.width)
        if kind == "state" or index not in skipped
    ]
    leaves += sorted((node for node in gradients.of if node.name == "vector"), key=lambda node: node.arguments)
    return [(Place(f"grad_{leaf.name}", *leaf.arguments), gradients.of.get(leaf, 0.0)) for leaf in leaves]


def _needed(step: LoweredStep, gradients: Gradients) -> list[Node]:
    """Return the values of the forward pass from which the backward program starts, so that it repeats little work."""
    forward = set(step_order([node for _, node in _forward_outputs(step)], step))
    given = _next_state_places(step)
    stack = [node for _, node in _backward_outputs(step, gradients)]
    stack += [node for pieces in gradients.of_results for node in pieces]
    seen: set[Node] = set()
    found: list[Node] = []
    while stack:
        node = stack.pop()
        if not isinstance(node, Node) or node in seen:
            continue
        seen.add(node)
        if node in forward and (node.is_leaf or node in given or node.name not in CHEAP):
            found.append(node)
        elif not node.is_leaf:
            stack.extend(node.arguments)
    return list(dict.fromkeys(_kept_instead(node, seen & forward, seen) for node in found))


def _kept_instead(node: Node, forward: Collection[Node], nodes: Collection[Node]) -> Node:
    """Return the only node that reads a piece of a product, which is written without a copy; else the node itself."""
    readers = [each for each in nodes if not each.is_leaf and node in each.arguments]
    return readers[0] if _is_product(node) and len(readers) == 1 and readers[0] in forward else node


def _whole_products(step: LoweredStep, needed: Sequence[Node]) -> list[int]:
    """Return the products of which all pieces are needed. They are kept where they are; single pieces are copied."""
    return [n for n, product in enumerate(step.products) if product.result and set(product.result) <= set(needed)]


def _to_keep(step: LoweredStep, needed: Sequence[Node], whole_products: Sequence[int]) -> list[Node]:
    given = _next_state_places(step)
    pieces = [node for node in needed if _is_product(node) and node.arguments[0] not in whole_products]
    return [node for node in needed if not node.is_leaf and node not in given] + pieces
