"""Divide the calls of a step by what they depend on: parameters alone, the input as well, or the state."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import Any

from rnnkit.plan.record import BATCH, Call, Recording, Ref, Shape

PRODUCTS = {"mm", "addmm"}
"""The names of matrix products, whose last arguments are the two sides."""


@dataclass(frozen=True)
class Partition:
    """The calls of a step in three parts, each in order.

    Attributes:
        parameters: the values that depend on parameters, buffers and constants alone.
        inputs: the values that depend on the input as well, but not on the state.
        of_parameters: the calls that compute `parameters`.
        of_input: the calls that compute `inputs`, for all time steps at once.
        of_step: all other calls.
        concatenations: for each value that is a concatenation of features, its parts.
    """

    parameters: frozenset[int]
    inputs: frozenset[int]
    of_parameters: tuple[Call, ...]
    of_input: tuple[Call, ...]
    of_step: tuple[Call, ...]
    concatenations: Mapping[int, tuple[Ref, ...]]

    def reads(self, call: Call) -> Iterator[int]:
        """Return the values that a call reads: of a product of a concatenation, the parts.

        `cat([x, h]) @ W` is `x @ W[:n] + h @ W[n:]`, whose first product needs no state.
        """
        return _reads(call, self.concatenations)


def partition(recording: Recording, batch_wise: AbstractSet[str]) -> Partition:
    """Divide the calls of a recording whose results are used.

    Args:
        recording: the recording.
        batch_wise: the names of operators that treat the elements of a batch alike if the batch remains the first axis,
            so that time steps may be elements of a batch.
    """
    concatenations = {
        call.results[0]: call.arguments[0] for call in recording.calls if _joins_features(call, recording)
    }
    parameters = {index for index, _ in recording.tensors}
    inputs = set(recording.projected)
    of_parameters, of_input, of_step = [], [], []
    for call in _used(recording, concatenations):
        read = set(call.inputs())
        if read <= parameters and not _mentions_batch(call.arguments):
            parameters.update(call.results)
            of_parameters.append(call)
        elif (
            read & inputs
            and read <= inputs | parameters
            and call.name in batch_wise
            and _right_side(call) <= parameters
            and all(has_batch_first(recording.shapes[each]) for each in call.results)
        ):
            inputs.update(call.results)
            of_input.append(call)
        else:
            of_step.append(call)
    parts = (tuple(of_parameters), tuple(of_input), tuple(of_step))
    return Partition(frozenset(parameters), frozenset(inputs), *parts, concatenations)


def has_batch_first(shape: Shape) -> bool:
    """True for the shape of a value `(batch, ..., features)`."""
    return len(shape) > 1 and shape[0] == BATCH and BATCH not in shape[1:]


def _used(recording: Recording, concatenations: Mapping[int, Any]) -> list[Call]:
    used = {recording.output, *recording.next_state}
    calls = []
    for call in reversed(recording.calls):
        if used.intersection(call.results):
            used.update(_reads(call, concatenations))
            calls.append(call)
    return calls[::-1]


def _reads(call: Call, concatenations: Mapping[int, Any]) -> Iterator[int]:
    parts = concatenations.get(call.arguments[-2].index, ()) if call.name in PRODUCTS else ()
    for index in call.inputs():
        yield from [each.index for each in parts] if parts and index == call.arguments[-2].index else [index]


def _joins_features(call: Call, recording: Recording) -> bool:
    return call.name == "cat" and len(recording.shapes[call.results[0]]) == 2 and (*call.arguments, 0)[1] in {1, -1}


def _right_side(call: Call) -> set[int]:
    """Return the right side of a matrix product, whose rows are not elements of the batch."""
    return {call.arguments[-1].index} if call.name in PRODUCTS else set()


def _mentions_batch(nested: Any) -> bool:
    return any(map(_mentions_batch, nested)) if isinstance(nested, tuple) else nested == BATCH
