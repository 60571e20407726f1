"""An example that builds and runs the kind, with its output."""

from __future__ import annotations

import io
from collections.abc import Mapping
from dataclasses import fields as dataclass_fields
from functools import partial
from typing import Any

from rnnkit.testing.sample_values import sample_option_values
from rnnkit_cards.card_context import CardContext
from rnnkit_cards.links import Links
from rnnkit_cards.markdown import block

_BATCH, _TIME = 4, 6
_FALLBACK_OPTIONS = ("residual", "recurrent_init")  # rnnkit's own, shown if the kind has no option that can be shown
_TEMPLATE = """\
import torch
from rnnkit import RecurrentSpec, build_model, flatten_state

spec = RecurrentSpec(
{arguments}
)
model = build_model(spec)

x = torch.randn({batch}, {time}, {input_size})  # (batch, time, input_size)
lengths = torch.tensor({lengths})  # valid steps
y, state = model(x, lengths=lengths, return_state=True)

print("y", tuple(y.shape))
for name, part in flatten_state(state).items():
    print(name, tuple(part.shape))
"""


def example(card: CardContext, links: Links) -> str:
    """The example and its output."""
    source = example_code(card)
    parts = ["## Example", block("python", source), block("text", _output_of(source))]
    if links.base is not None:
        parts.append(f"See {links.to('how_to/use_a_model.md', 'Using a model')} for lengths, states and readouts.")
    return "\n\n".join(parts)


def example_code(card: CardContext) -> str:
    """Code that builds a model of the kind, with one option if there is one, and runs it."""
    fields = {"num_layers": 2} if card.accepts(num_layers=2) else {}
    options = _example_options(card, fields)
    given = {**fields, "output_size": 3, **({"options": options} if options else {})}
    spec = card.spec(**given)
    sizes = {"input_size": spec.input_size, "hidden_size": spec.hidden_sizes[0]}
    arguments = "\n".join(
        f"    {name}={_literal(value)}," for name, value in {"kind": card.name, **sizes, **given}.items()
    )
    return _TEMPLATE.format(arguments=arguments, batch=_BATCH, time=_TIME, lengths=f"[{_TIME}, 3, 1, 0]", **sizes)


def _output_of(code: str) -> str:
    output = io.StringIO()
    names = {"__name__": "example", "print": partial(print, file=output)}
    exec(compile(code, "<example>", "exec"), names)  # noqa: S102  # our own code
    return output.getvalue()


def _example_options(card: CardContext, fields: Mapping[str, Any]) -> dict[str, Any]:
    """An option with a value other than its default that the kind accepts: its own, or one of rnnkit's."""
    shared = {field.name for field in dataclass_fields(card.shared_options)}
    values = sample_option_values(card.record.options)
    own = [name for name in values if name not in shared]
    for name in [*own, *(name for name in _FALLBACK_OPTIONS if name in values)]:
        for value in sorted([*_combined(values[name]), *values[name]], key=_preference):
            if card.accepts(**fields, options={name: value}):
                return {name: value}
    return {}


def _combined(values: list[Any]) -> list[Any]:
    """A tuple of all items of the tuples among some values: samples of lists have one item each."""
    items = dict.fromkeys(each for value in values if isinstance(value, tuple) for each in value)
    return [tuple(items)] if len(items) > 1 else []


def _preference(value: Any) -> tuple[int, float]:
    """Sorts the most instructive values first: choices, then booleans, numbers near 1, and long tuples."""
    if isinstance(value, str | bool):
        return isinstance(value, bool), 0.0
    if isinstance(value, int | float):
        return 2, abs(value - 1)
    return 3, -len(set(value)) if isinstance(value, tuple) else 0.0


def _literal(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f'"{name}": {_literal(each)}' for name, each in value.items()) + "}"
    if isinstance(value, tuple):
        return f"[{', '.join(map(_literal, value))}]"
    return f'"{value}"' if isinstance(value, str) else repr(value)
