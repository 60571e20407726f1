"""The computation graph of one step: signals flow from the inputs through layers and operations."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from rnnkit.equation import Name, Tree


class NodeType(Enum):
    """The operation of a node."""

    INPUT = "input"  # x_t, or a state of the previous step
    GATE = "gate"  # a linear layer and an activation function; `added` is added between them
    LINEAR = "linear"  # a linear layer without an activation function
    FUNCTION = "function"  # of one signal, element-wise
    MULTIPLY = "multiply"  # two signals, element-wise
    ADD = "add"  # two signals
    COMBINE = "combine"  # another function of several signals
    CONSTANT = "constant"  # a learned value with a name of its own


@dataclass(frozen=True)
class Node:
    """A node.

    Attributes:
        type: its operation.
        expression: its computation, in which `slot(node)` stands for an incoming signal.
        inputs: nodes of the incoming signals; for a layer, of those with weights.
        added: nodes whose signals a gate adds to the output of its linear layer, before its activation function.
        elementwise: those of `inputs` that have one weight per feature instead of a matrix, like a peephole.
    """

    type: NodeType
    expression: Tree
    inputs: tuple[int, ...] = ()
    added: tuple[int, ...] = ()
    elementwise: tuple[int, ...] = ()

    @property
    def sources(self) -> tuple[int, ...]:
        """The nodes of all incoming signals."""
        return self.inputs + self.added


@dataclass(frozen=True)
class Graph:
    """The nodes in topological order, and their names in the equation.

    Attributes:
        nodes: the nodes; a node's number is its index.
        names: each name that the equation defines -> its node, in order.
        states: name of each state of the previous step -> its name after the step.
        outputs: names that leave the cell: the states after the step, and names that no other line uses.
        lines: for each node, the indices of the equation's lines that contain it.
    """

    nodes: tuple[Node, ...]
    names: dict[str, int]
    states: dict[str, str]
    outputs: tuple[str, ...]
    lines: tuple[frozenset[int], ...]

    def name_of(self, node: int) -> str:
        """The name of a node in the equation; empty if it has none."""
        expression = self.nodes[node].expression
        if self.nodes[node].type is NodeType.INPUT and isinstance(expression, Name):
            return expression.name
        return next((name for name, named in self.names.items() if named == node), "")

    def users_of(self, node: int) -> list[int]:
        """The nodes that use the signal of a node."""
        return [user for user, each in enumerate(self.nodes) if node in each.sources]


def slot(node: int) -> Name:
    """The name that stands for the signal of a node in expressions."""
    return Name(f"#{node}")
