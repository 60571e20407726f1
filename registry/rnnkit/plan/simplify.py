"""Rewrite a recording so that more of it depends on the input alone, and drop calls whose results are not used."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import torch

from rnnkit.plan.record import BATCH, Call, Recording, Ref, Shape

_aten = torch.ops.aten


def simplify(recording: Recording) -> Recording:
    """Split products of concatenations, and drop calls whose results are not used.

    `cat([x, h]) @ W` becomes `x @ W[:n] + h @ W[n:]`, whose first product needs no state.
    """
    return _without_unused(_Rewriting(recording).split())


def _without_unused(recording: Recording) -> Recording:
    used = {recording.output, *recording.next_state}
    calls = []
    for call in reversed(recording.calls):
        if used.intersection(call.results):
            used.update(call.inputs())
            calls.append(call)
    return replace(recording, calls=tuple(reversed(calls)))


@dataclass
class _Rewriting:
    recording: Recording

    def __post_init__(self) -> None:
        self.shapes = list(self.recording.shapes)
        self.dtypes = list(self.recording.dtypes)
        self._concatenations: dict[int, Call] = {}

    def split(self) -> Recording:
        calls = tuple(new for call in self.recording.calls for new in self._rewrite(call))
        return replace(self.recording, calls=calls, shapes=tuple(self.shapes), dtypes=tuple(self.dtypes))

    def _rewrite(self, call: Call) -> Iterator[Call]:
        if call.name == "cat" and len(self.shapes[call.results[0]]) == 2 and (*call.arguments, 0)[1] in {1, -1}:
            self._concatenations[call.results[0]] = call
        concatenation = self._concatenations.get(_operand(call))
        if concatenation is None:
            yield call
        else:
            yield from self._split(call, concatenation)

    def _split(self, call: Call, concatenation: Call) -> Iterator[Call]:
        *added, _, weight = call.arguments
        terms: list[Ref] = list(added)
        start = 0
        for part in concatenation.arguments[0]:
            width: Any = self.shapes[part.index][1]
            rows = self._value((width, self.shapes[weight.index][1]), call)
            product = self._value((BATCH, self.shapes[weight.index][1]), call)
            yield replace(
                call, operator=_aten.slice.Tensor, arguments=(weight, 0, start, start + width), results=(rows,)
            )
            yield replace(call, operator=_aten.mm.default, arguments=(part, Ref(rows)), results=(product,))
            terms.append(Ref(product))
            start += width
        total = terms.pop(0)
        for term in terms:
            result = call.results[0] if term is terms[-1] else self._value((BATCH, self.shapes[weight.index][1]), call)
            yield replace(call, operator=_aten.add.Tensor, arguments=(total, term), results=(result,))
            total = Ref(result)

    def _value(self, shape: Shape, call: Call) -> int:
        self.shapes.append(shape)
        self.dtypes.append(self.dtypes[call.results[0]])
        return len(self.shapes) - 1


def _operand(call: Call) -> int:
    """Return the left side of a product; -1 for other calls, and for products with factors."""
    if call.name not in {"mm", "addmm"} or call.keywords:
        return -1
    return int(call.arguments[-2].index)
