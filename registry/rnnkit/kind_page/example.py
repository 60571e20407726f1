"""The example of a page: code that builds and runs the kind, and what it prints."""

from __future__ import annotations

import io
from collections.abc import Mapping
from contextlib import redirect_stdout
from typing import Any

import torch

from rnnkit.kind_page.specimen import Specimen
from rnnkit.options import own_fields
from rnnkit.testing.sample_values import sample_option_values

_BATCH, _TIME = 4, 6
_USUAL = ("residual", "recurrent_init")  # options of rnnkit's own, where a kind has none that can be shown


def example_code(kind: Specimen) -> str:
    """Code that builds a model of the kind, with an option of its own if there is one, and runs it."""
    fields = {"num_layers": 2} if kind.takes(num_layers=2) else {}
    options = _shown_options(kind, fields)
    given = {**fields, "output_size": 3, **({"options": options} if options else {})}
    spec = kind.spec(**given)
    sizes = {"input_size": spec.input_size, "hidden_size": spec.hidden_sizes[0]}
    arguments = "\n".join(
        f"    {name}={_written(value)}," for name, value in {"kind": kind.name, **sizes, **given}.items()
    )
    return _CODE.format(arguments=arguments, batch=_BATCH, time=_TIME, lengths=f"[{_TIME}, 3, 1, 0]", **sizes)


_CODE = """\
import torch
from rnnkit import RecurrentSpec, build_model, flatten_state

spec = RecurrentSpec(
{arguments}
)
model = build_model(spec)

x = torch.randn({batch}, {time}, {input_size})  # (batch, time, input_size)
lengths = torch.tensor({lengths})  # valid steps of each row
y, state = model(x, lengths=lengths, return_state=True)

print("y", tuple(y.shape))
for name, part in flatten_state(state).items():
    print(name, tuple(part.shape))
"""


def printed_by(code: str) -> str:
    """What the code of an example prints."""
    with torch.random.fork_rng(), redirect_stdout(io.StringIO()) as output:
        exec(compile(code, "<example>", "exec"), {"__name__": "example"})  # noqa: S102  # our own code
    return output.getvalue()


def _shown_options(kind: Specimen, fields: Mapping[str, Any]) -> dict[str, Any]:
    """An option with another value than its default, which the kind takes: of its own, or one of rnnkit's."""
    own = own_fields(kind.record.options(), base_of(kind))
    values = sample_option_values(kind.record.options)
    names = [name for name in values if name in own] + [name for name in _USUAL if name in values]
    for name in names:
        for value in sorted([*_together(values[name]), *values[name]], key=_oddness):
            if kind.takes(**fields, options={name: value}):
                return {name: value}
    return {}


def _together(values: list[Any]) -> list[Any]:
    """A list of all that lists of one thing have in them: values are found one thing at a time."""
    items = dict.fromkeys(each for value in values if isinstance(value, tuple) for each in value)
    return [tuple(items)] if len(items) > 1 else []


def _oddness(value: Any) -> tuple[int, float]:
    """How little a value says to who reads it: choices say most, then numbers near 1, then lists of several things."""
    if isinstance(value, str | bool):
        return isinstance(value, bool), 0.0
    if isinstance(value, int | float):
        return 2, abs(value - 1)
    return 3, -len(set(value)) if isinstance(value, tuple) else 0.0


def base_of(kind: Specimen) -> type[Any]:
    """The class of options that a kind shares with others."""
    from rnnkit import InitOptions, Options, StackOptions

    return next(base for base in (StackOptions, InitOptions, Options) if issubclass(kind.record.options, base))


def _written(value: Any) -> str:
    """As one writes it in Python."""
    if isinstance(value, dict):
        return "{" + ", ".join(f'"{name}": {_written(each)}' for name, each in value.items()) + "}"
    if isinstance(value, tuple):
        return f"[{', '.join(map(_written, value))}]"
    return f'"{value}"' if isinstance(value, str) else repr(value)
