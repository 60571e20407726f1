"""Read the tensors of a plan from a cell and the arguments of a call."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from operator import attrgetter
from typing import Any, NamedTuple

from torch import Tensor

from rnnkit.plan import Plan


class _Source(NamedTuple):
    """Where a weight or a vector comes from: an attribute of the cell, or else a value that is computed."""

    value: int
    read: Callable[[Any], Tensor] | None
    transposed: bool = False


class Parameters:
    """The inputs of a plan. A transposed parameter is read by its strides, and other computed values are evaluated.

    Args:
        plan: the plan.

    Attributes:
        transposed: for each weight, True if what is read is the transposed weight, `(other_features, features)`.
    """

    def __init__(self, plan: Plan) -> None:
        hoisted = plan.hoisted
        paths = dict(hoisted.tensors)
        calls = {result: call for call in hoisted.calls for result in call.results}

        def of_weight(value: int) -> _Source:
            transposed = next(calls[value].inputs(), -1) if value in calls and calls[value].name == "t" else -1
            return _Source(value, attrgetter(paths[transposed]), True) if transposed in paths else of_vector(value)

        def of_vector(value: int) -> _Source:
            return _Source(value, attrgetter(paths[value]) if value in paths else None)

        self._weights = list(map(of_weight, hoisted.weights))
        self._vectors = list(map(of_vector, hoisted.vectors))
        self._projection = plan.projection
        self.transposed = tuple(each.transposed for each in self._weights)
        computed = [each.value for each in (*self._weights, *self._vectors) if each.read is None]
        needed = _all_inputs(plan, computed)
        self._computed = replace(
            hoisted,
            tensors=tuple(each for each in hoisted.tensors if each[0] in needed),
            calls=tuple(call for call in hoisted.calls if not needed.isdisjoint(call.results)),
        )

    def inputs(self, cell: Any, projected: Sequence[Tensor], state: Iterable[Tensor]) -> list[Tensor]:
        """Return the projected inputs, the parts of the state, the weights and the vectors, in this order.

        Args:
            cell: the cell.
            projected: the tensors that `Cell.project` returns, `(time, batch, ...)` each.
            state: the state before the first step.
        """
        values = self._computed.evaluate(cell)
        given = self._projected(projected, values)
        weights = [values[value] if read is None else read(cell) for value, read, _ in self._weights]
        vectors = [values[value] if read is None else read(cell) for value, read, _ in self._vectors]
        inputs = [*given, *state, *weights, *[each if each.dim() == 1 else each.reshape(-1) for each in vectors]]
        # the memory of a view with the negative bit has the opposite values
        return [each.resolve_neg() for each in inputs] if any(map(Tensor.is_neg, inputs)) else inputs

    def _projected(self, given: Sequence[Tensor], values: dict[int, Tensor]) -> Sequence[Tensor]:
        projection = self._projection
        if not projection.calls and projection.inputs == projection.results:
            return given
        return projection.evaluate(given, values)


def _all_inputs(plan: Plan, computed: Iterable[int]) -> set[int]:
    """Return the hoisted values that the computed values and the projection depend on."""
    needed = {*computed, *plan.projection.results, *[each for call in plan.projection.calls for each in call.inputs()]}
    for call in reversed(plan.hoisted.calls):
        if not needed.isdisjoint(call.results):
            needed.update(call.inputs())
    return needed
