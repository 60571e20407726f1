"""Which signals of a graph run along rails from step to step, and which are led together to several layers."""

from __future__ import annotations

from collections import Counter, deque
from itertools import combinations
from typing import NamedTuple

from rnnkit.kind_page.drawing.graph import Graph, Sort

_LAYERS = {Sort.GATE, Sort.LINEAR}


class Join(NamedTuple):
    """Inputs that are led together, since several layers take all of them."""

    inputs: tuple[int, ...]
    layers: tuple[int, ...]


def rails_of(graph: Graph) -> dict[int, list[int]]:
    """From the input of each state that goes to the next step through operations alone, to these operations."""
    rails: dict[int, list[int]] = {}
    for before, after in graph.states.items():
        start = _input_of(graph, before)
        path = _path(graph, start, graph.names[after], {node for rail in rails.values() for node in rail})
        if path:
            rails[start] = path
    return dict(sorted(rails.items(), key=lambda rail: rail[1][-1]))


def joins_of(graph: Graph) -> list[Join]:
    """What is led together, the most useful first."""
    layers = [(number, node) for number, node in enumerate(graph.nodes) if node.sort in _LAYERS]
    left = {number: set(node.inputs) - set(node.by_feature) for number, node in layers}
    joins: list[Join] = []
    while join := _best_join(graph, left):
        joins.append(join)
        for layer in join.layers:
            left[layer] -= set(join.inputs)
    return joins


def _input_of(graph: Graph, name: str) -> int:
    numbers = range(len(graph.nodes))
    return next(node for node in numbers if graph.nodes[node].sort is Sort.INPUT and graph.name_of(node) == name)


def _path(graph: Graph, start: int, end: int, taken: set[int]) -> list[int]:
    """The shortest way from an input to a node through operations that are free; empty: there is none."""
    waiting = deque([[start]])
    while waiting:
        path = waiting.popleft()
        if path[-1] == end:
            return path[1:]
        steps = (user for user in graph.users_of(path[-1]) if user not in taken)
        waiting.extend([*path, user] for user in steps if graph.nodes[user].sort not in _LAYERS)
    return []


def _best_join(graph: Graph, left: dict[int, set[int]]) -> Join | None:
    """The inputs of which the most lines are saved; None: no two layers have two in common."""
    counts: Counter[tuple[int, ...]] = Counter()
    for one, other in combinations(left.values(), 2):
        common = tuple(sorted(each for each in one & other if graph.nodes[each].sort is Sort.INPUT))
        if len(common) > 1:
            counts[common] += 1
    if not counts:
        return None
    joins = [Join(inputs, tuple(each for each in left if left[each] >= set(inputs))) for inputs in sorted(counts)]
    return max(joins, key=lambda join: (len(join.inputs) - 1) * (len(join.layers) - 1))
