"""The shapes of input, output and state, found by running the kind."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

from rnnkit_cards.card_context import CardContext
from rnnkit_cards.links import Links
from rnnkit_cards.markdown import code, table

_BATCH, _TIME = 32, 50


def shapes(card: CardContext, links: Links) -> str:
    """A table with a column for one layer, and one for two layers, bidirectional if possible."""
    runs = {heading: _shapes_of(card, fields) for heading, fields in _columns(card).items()}
    names = list(dict.fromkeys(name for run in runs.values() for name in run))
    rows = [[name, *(run.get(name, "") for run in runs.values())] for name in names]
    spec = card.spec()
    intro = (
        f"With `batch` {_BATCH}, `time` {_TIME}, `input_size` {spec.input_size} and `hidden_size` "
        f"{spec.hidden_sizes[0]}. A {links.to('how_to/use_a_model.md', 'readout')} turns the backbone's output into "
        "the model's output."
    )
    return "\n\n".join(["## Shapes", intro, table(["tensor", *runs], rows)])


def _columns(card: CardContext) -> dict[str, dict[str, Any]]:
    wanted = {"one layer": {"num_layers": 1}, "two layers": {"num_layers": 2}}
    if card.accepts(num_layers=2, bidirectional=True):
        wanted["two layers, bidirectional"] = {"num_layers": 2, "bidirectional": True}
        del wanted["two layers"]
    return {heading: fields for heading, fields in wanted.items() if card.accepts(**fields)}


def _shapes_of(card: CardContext, fields: dict[str, Any]) -> dict[str, str]:
    model = card.model(**fields)
    x = torch.zeros(_BATCH, _TIME, model.spec.input_size)
    with torch.no_grad():
        output, state = model.backbone(x)
    return {"input": _shape(x), "output of the backbone": _shape(output), **dict(_state(state))}


def _state(state: Any) -> Iterator[tuple[str, str]]:
    """The parts of the state by name; a cell stack has a tuple with a state for each layer and direction."""
    if hasattr(state, "_fields"):
        yield from ((f"state: {code(name)}", _shape(part)) for name, part in _parts(state))
        return
    by_name: dict[str, list[str]] = {}
    for each in state:
        for name, part in _parts(each):
            by_name.setdefault(name, []).append(_shape(part))
    for name, found in by_name.items():
        yield f"state: {code(name)} of each layer and direction", _counted(found)


def _parts(state: Any) -> list[tuple[str, Any]]:
    return list(zip(state._fields, state, strict=True)) if hasattr(state, "_fields") else [("", state)]


def _counted(found: list[str]) -> str:
    """`2 of (32, 20)`: how often each shape occurs."""
    counts = {shape: found.count(shape) for shape in dict.fromkeys(found)}
    return ", ".join(shape if count == 1 else f"{count} of {shape}" for shape, count in counts.items())


def _shape(part: Any) -> str:
    if isinstance(part, Tensor):
        return code(str(tuple(part.shape)))
    return ", ".join(_shape(each) for each in part)
