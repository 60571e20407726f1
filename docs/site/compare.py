"""The data of the page "Compare two kinds", which `python -m docs.site.kinds` writes.

Each value comes from the record of the kind or from the measurements of its card.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from html import escape
from typing import Any, NamedTuple

from docs.site.kinds_index import ENTRIES, NO_FAMILY, exports, speed_at
from docs.site.step_times import step_sizes, step_time
from rnnkit import describe_options, get_kind
from rnnkit.equation import UnreadableEquationError
from rnnkit_cards import CardContext, Measurements, draw_step
from rnnkit_cards.capabilities import CAPABILITIES, support
from rnnkit_cards.sections.cost import layer_summary
from rnnkit_cards.sections.equation_and_step import aligned
from rnnkit_cards.sections.header import surnames
from rnnkit_cards.sections.learning import percent


class Value(NamedTuple):
    """A value of the table: its HTML, and its number if numbers of two kinds can be compared."""

    html: str
    number: float | None = None


def data_text(measured: Mapping[str, Measurements]) -> str:
    """Return the script, with a line for each kind and for each equation."""
    cards = {kind: CardContext.of(kind) for kind in ENTRIES if kind in measured}
    kinds = {_bare(kind): _kind(card, measured[kind]) for kind, card in cards.items()}
    drawings = {card.record.equation: _drawing(card) for card in cards.values() if card.record.equation.strip()}
    numbers = {equation: number for number, equation in enumerate(drawings)}
    for kind, card in cards.items():
        kinds[_bare(kind)]["step"] = numbers.get(card.record.equation)
    note = "// Written by `python -m docs.site.kinds`: change what it reads instead.\n"
    lines = ",\n".join(f"  {json.dumps(name)}: {_compact(kind)}" for name, kind in kinds.items())
    steps = ",\n".join(f"  {_compact(step)}" for step in drawings.values())
    return f'{note}globalThis.rnnkitKinds = {{\n"kinds": {{\n{lines}\n}},\n"steps": [\n{steps}\n]\n}}\n'


def _compact(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def _bare(kind: str) -> str:
    return kind.rpartition("/")[2]


def _drawing(card: CardContext) -> dict[str, str]:
    """The equation of a kind, and the drawing of its step; empty if it cannot be drawn."""
    equation = card.record.equation
    try:
        svg = draw_step(equation, title=f"One step of {card.name}").svg
    except UnreadableEquationError:
        svg = ""
    return {"latex": aligned(equation), "svg": svg}


def _kind(card: CardContext, measurements: Measurements) -> dict[str, Any]:
    return {
        "summary": card.record.summary,
        "use": ENTRIES[card.name],
        "values": {name: tuple(value) for name, value in _values(card, measurements).items()},
    }


def _values(card: CardContext, measurements: Measurements) -> dict[str, Value]:
    """The rows of the table, in order."""
    return {
        "Family": Value(escape(card.record.family or NO_FAMILY)),
        "Paper": Value(_papers(card)),
        **_costs(card),
        f"One step, {step_sizes()}": _step(card),
        **_speed(measurements),
        "Accuracy on images of digits": _accuracy(measurements),
        "Parallel over time": _yes(card.parallel_over_time),
        "Export to ONNX": _yes(exports(measurements)),
        "A hidden size per layer": _yes(card.record.sizes_per_layer),
        "Options": Value(_options(card)),
        "Not supported": Value(_unsupported(measurements)),
    }


def _costs(card: CardContext) -> dict[str, Value]:
    """The sizes of one layer, which are those of the table of kinds."""
    summary = layer_summary(card)
    names = ("Parameters", "Weights", "State of one sequence", "Multiply-adds (MACs) per step")
    if isinstance(summary, str):
        return dict.fromkeys(names, Value(escape(summary)))
    units = ("", " bytes", " bytes", "")
    numbers = (summary.parameters, summary.weight_bytes, summary.state_bytes, summary.multiply_adds_per_step)
    return {
        name: Value("not known") if number is None else Value(f"{number:,}{unit}", number)
        for name, number, unit in zip(names, numbers, units, strict=True)
    }


def _step(card: CardContext) -> Value:
    time = step_time(card.name)
    return Value("not measured") if time is None else Value(f"{time.microseconds:.0f} µs", time.microseconds)


def _speed(measurements: Measurements) -> dict[str, Value]:
    found = {}
    for shape in ("medium", "long"):
        speed = speed_at(measurements, shape)
        for what, timing in {"Forward": speed.forward, "Training": speed.training}.items():
            found[f"{what}, {shape}; nn.LSTM = 1"] = Value(f"{timing.ratio:.2f}", timing.ratio)
    return found


def _accuracy(measurements: Measurements) -> Value:
    accuracy = measurements.learning.accuracies[-1]
    return Value(percent(accuracy))  # a ratio of two accuracies says little


def _yes(answer: bool) -> Value:
    return Value("yes" if answer else "no")


def _papers(card: CardContext) -> str:
    papers = card.record.papers
    links = (f'<a href="{escape(each.link)}">{escape(surnames(each.authors))}, {each.year}</a>' for each in papers)
    return "; ".join(links) or "none"


def _options(card: CardContext) -> str:
    names = [field.name for field in describe_options(get_kind(card.name).options)]
    return ", ".join(f"<code>{escape(name)}</code>" for name in names) or "none"


def _unsupported(measurements: Measurements) -> str:
    features = [each.feature for each in CAPABILITIES if support(each, measurements)[0] != "yes"]
    return escape("; ".join(features).replace("`", "")) or "nothing that was tested"
