"""Finds the rails of a graph, on which states run from step to step, and inputs that enter several layers together."""

from __future__ import annotations

from collections import Counter, deque
from itertools import combinations
from typing import NamedTuple

from rnnkit_cards.drawing.graph import Graph, NodeType

_LAYERS = {NodeType.GATE, NodeType.LINEAR}


class Join(NamedTuple):
    """Inputs whose wires merge because several layers take all of them."""

    inputs: tuple[int, ...]
    layers: tuple[int, ...]


def find_rails(graph: Graph) -> dict[int, list[int]]:
    """For each state that reaches the next step through operations alone: its input node -> these operations."""
    rails: dict[int, list[int]] = {}
    for before, after in graph.states.items():
        start = _input_of(graph, before)
        path = _path(graph, start, graph.names[after], {node for rail in rails.values() for node in rail})
        if path:
            rails[start] = path
    return dict(sorted(rails.items(), key=lambda rail: rail[1][-1]))


def find_joins(graph: Graph) -> list[Join]:
    """The joins, the one that saves the most wires first."""
    layers = [(number, node) for number, node in enumerate(graph.nodes) if node.type in _LAYERS]
    left = {number: set(node.inputs) - set(node.elementwise) for number, node in layers}
    joins: list[Join] = []
    while join := _best_join(graph, left):
        joins.append(join)
        for layer in join.layers:
            left[layer] -= set(join.inputs)
    return joins


def _input_of(graph: Graph, name: str) -> int:
    numbers = range(len(graph.nodes))
    return next(node for node in numbers if graph.nodes[node].type is NodeType.INPUT and graph.name_of(node) == name)


def _path(graph: Graph, start: int, end: int, taken: set[int]) -> list[int]:
    """The shortest path from an input to a node through free operations; empty if there is none."""
    waiting = deque([[start]])
    while waiting:
        path = waiting.popleft()
        if path[-1] == end:
            return path[1:]
        steps = (user for user in graph.users_of(path[-1]) if user not in taken)
        waiting.extend([*path, user] for user in steps if graph.nodes[user].type not in _LAYERS)
    return []


def _best_join(graph: Graph, left: dict[int, set[int]]) -> Join | None:
    """The join that saves the most wires; None if no two layers have two inputs in common."""
    counts: Counter[tuple[int, ...]] = Counter()
    for one, other in combinations(left.values(), 2):
        common = tuple(sorted(each for each in one & other if graph.nodes[each].type is NodeType.INPUT))
        if len(common) > 1:
            counts[common] += 1
    if not counts:
        return None
    joins = [Join(inputs, tuple(each for each in left if left[each] >= set(inputs))) for inputs in sorted(counts)]
    return max(joins, key=lambda join: (len(join.inputs) - 1) * (len(join.layers) - 1))
