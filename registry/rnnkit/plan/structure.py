"""The parts of a plan that are equal for cells which differ in their sizes only."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rnnkit.plan.programs import Plan
from rnnkit.plan.record import Call


def structure_of(plan: Plan, key: Any) -> Any:
    """Return a value that is equal for plans with equal programs, of cells that differ in their sizes only.

    Programs work on pieces of any width, so that a program that equals the step for one width equals it for another if
    the recorded operators are the same. A step whose code depends on its sizes records others. Integers that are
    constants of a step are in its programs.

    Args:
        plan: the plan.
        key: the key of the snapshot of the cell.
    """
    operands = (plan.operands, plan.input_products)
    programs = (plan.inference, plan.forward, plan.backward, operands, plan.kept, plan.kept_products)
    hoisted = (plan.hoisted.tensors, plan.hoisted.weights, plan.hoisted.vectors, _calls(plan.hoisted.calls))
    projection = (plan.projection.inputs, plan.projection.results, _calls(plan.projection.calls))
    return programs, hoisted, projection, _without_integers(key)


def _calls(calls: Sequence[Call]) -> Any:
    return tuple((call.operator, _without_integers((call.arguments, call.keywords)), call.results) for call in calls)


def _without_integers(value: Any) -> Any:
    """Return nested tuples without integers; a snapshot has an integer as its type and text."""
    if isinstance(value, tuple):
        return int if value[:1] == (int,) else tuple(map(_without_integers, value))
    return int if type(value) is int else value
