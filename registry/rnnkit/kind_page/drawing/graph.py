"""What one step of a cell computes, as a graph: signals flow from the inputs through layers and operations."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from rnnkit.equation import Name, Tree


class Sort(Enum):
    """What a node does with the signals that come in."""

    INPUT = "input"  # none comes in: x_t, or a state of the step before
    GATE = "gate"  # a fully connected layer and its function; what is `added` comes in beside the layer
    LINEAR = "linear"  # a fully connected layer alone
    FUNCTION = "function"  # of one signal, feature by feature
    MULTIPLY = "multiply"  # two signals, feature by feature
    ADD = "add"  # two signals
    COMBINE = "combine"  # several signals in another way, which its expression says
    CONSTANT = "constant"  # none comes in: what is learned, and has a name of its own


@dataclass(frozen=True)
class Node:
    """One place of the graph.

    Attributes:
        sort: what it does.
        expression: what it computes, where a signal that comes in is the name that `slot` has for its node.
        inputs: the nodes whose signals come in; for a layer, those that have weights.
        added: the nodes whose signals a gate adds to what its layer gives, before its function.
        by_feature: those of `inputs` whose every feature has one weight of its own, as a peephole's.
    """

    sort: Sort
    expression: Tree
    inputs: tuple[int, ...] = ()
    added: tuple[int, ...] = ()
    by_feature: tuple[int, ...] = ()

    @property
    def sources(self) -> tuple[int, ...]:
        """All nodes whose signals come in."""
        return self.inputs + self.added


@dataclass(frozen=True)
class Graph:
    """The nodes, each after those whose signals it takes, and what the equation calls them.

    Attributes:
        nodes: by their number.
        names: from each name that the equation gives a value to its node, in order.
        states: the states of the step before, by name, and what the step makes of each, if the equation says so.
        outputs: the names that leave the cell: the states after the step, and what no other line uses.
    """

    nodes: tuple[Node, ...]
    names: dict[str, int]
    states: dict[str, str]
    outputs: tuple[str, ...]

    def name_of(self, node: int) -> str:
        """What the equation calls a node; empty if it gives it no name."""
        expression = self.nodes[node].expression
        if self.nodes[node].sort is Sort.INPUT and isinstance(expression, Name):
            return expression.name
        return next((name for name, named in self.names.items() if named == node), "")

    def users_of(self, node: int) -> list[int]:
        """The nodes that take the signal of a node."""
        return [user for user, each in enumerate(self.nodes) if node in each.sources]


def slot(node: int) -> Name:
    """How an expression calls the signal of a node."""
    return Name(f"#{node}")
