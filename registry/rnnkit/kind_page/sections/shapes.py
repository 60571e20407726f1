"""The shapes of input, output and state, from running the kind."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

from rnnkit.kind_page.links import Links
from rnnkit.kind_page.markdown import code, table
from rnnkit.kind_page.specimen import Specimen

_BATCH, _TIME = 32, 50


def shapes(kind: Specimen, links: Links) -> str:
    """A column for one layer, and one for two layers in both directions."""
    runs = {heading: _shapes_of(kind, fields) for heading, fields in _columns(kind).items()}
    names = list(dict.fromkeys(name for run in runs.values() for name in run))
    rows = [[name, *(run.get(name, "") for run in runs.values())] for name in names]
    spec = kind.spec()
    intro = (
        f"With `batch` {_BATCH}, `time` {_TIME}, `input_size` {spec.input_size} and `hidden_size` "
        f"{spec.hidden_sizes[0]}. Of the output of the backbone, a {links.to('how_to/use_a_model.md', 'readout')} "
        "makes that of the model."
    )
    return "\n\n".join(["## Shapes", intro, table(["what", *runs], rows)])


def _columns(kind: Specimen) -> dict[str, dict[str, Any]]:
    wanted = {"one layer": {"num_layers": 1}, "two layers": {"num_layers": 2}}
    if kind.takes(num_layers=2, bidirectional=True):
        wanted["two layers, both directions"] = {"num_layers": 2, "bidirectional": True}
        del wanted["two layers"]
    return {heading: fields for heading, fields in wanted.items() if kind.takes(**fields)}


def _shapes_of(kind: Specimen, fields: dict[str, Any]) -> dict[str, str]:
    model = kind.model(**fields)
    x = torch.zeros(_BATCH, _TIME, model.spec.input_size)
    with torch.no_grad():
        output, state = model.backbone(x)
    told = {"input": _shape(x), "output of the backbone": _shape(output)}
    return {**told, **dict(_state(state))}


def _state(state: Any) -> Iterator[tuple[str, str]]:
    """Each part of the state; in a tuple with a state for each layer and direction, a part of all of them at once."""
    if hasattr(state, "_fields"):
        yield from ((f"state: {code(name)}", _shape(part)) for name, part in _parts(state))
        return
    by_name: dict[str, list[str]] = {}
    for each in state:
        for name, part in _parts(each):
            by_name.setdefault(name, []).append(_shape(part))
    for name, found in by_name.items():
        yield f"state: {code(name)} of each layer and direction", _together(found)


def _parts(state: Any) -> list[tuple[str, Any]]:
    return list(zip(state._fields, state, strict=True)) if hasattr(state, "_fields") else [("", state)]


def _together(found: list[str]) -> str:
    """`2 of (32, 20)`: how many there are of each shape."""
    counts = {shape: found.count(shape) for shape in dict.fromkeys(found)}
    return ", ".join(shape if count == 1 else f"{count} of {shape}" for shape, count in counts.items())


def _shape(part: Any) -> str:
    if isinstance(part, Tensor):
        return code(str(tuple(part.shape)))
    return ", ".join(_shape(each) for each in part)
