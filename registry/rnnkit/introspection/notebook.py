"""How specs and models show themselves in a notebook: tables that need no script and nothing from elsewhere.

They are read on light and on dark ground: all is in the page's own colour, fainter where it matters less.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from html import escape
from typing import TYPE_CHECKING, Any, NamedTuple

from rnnkit._messages import format_bytes
from rnnkit.introspection.description import FieldDescription, describe_options, describe_spec
from rnnkit.specs import RecurrentSpec, UnresolvedOptions

if TYPE_CHECKING:
    from rnnkit.model import RecurrentModel

_FAINT = "opacity:.6;"
_LINE = "1px solid rgba(128,128,128,.45)"
_TABLE = "border-collapse:collapse;margin:.4em 0;"
_CELL = "padding:.15em 1.2em .15em 0;border:0;vertical-align:top;"
_LEFT = "text-align:left;"
_RIGHT = "text-align:right;font-variant-numeric:tabular-nums;"
_MOST_AT_EITHER_END = 10


def html_of(value: RecurrentSpec[Any] | RecurrentModel) -> str:
    """The HTML of a spec or a model."""
    return spec_html(value) if isinstance(value, RecurrentSpec) else model_html(value)


def spec_html(spec: RecurrentSpec[Any]) -> str:
    """A spec as a table of its fields, those at their defaults faint. Never raises."""
    return _shown(_spec_table, spec)


def model_html(model: RecurrentModel) -> str:
    """A model as a table of its layers, below what holds for all of it. Never raises."""
    return _shown(_model_table, model)


def _shown(show: Callable[[Any], str], shown: object) -> str:
    """What `show` makes or, where a plugin or a user has broken something, what Python makes."""
    try:
        return show(shown)
    except Exception:  # noqa: BLE001  # whatever it is, a notebook shows the cell's result all the same
        return _as_python_shows(shown)


def _as_python_shows(shown: object) -> str:
    try:
        return f"<pre>{escape(repr(shown))}</pre>"
    except Exception:  # noqa: BLE001  # likewise
        return f"<pre>{escape(object.__repr__(shown))}</pre>"


class _Field(NamedTuple):
    """A line of a spec's table."""

    name: str
    value: Any
    is_default: bool
    text: str


def _spec_table(spec: RecurrentSpec[Any]) -> str:
    rows = [
        _row([_named(field), f"<code>{escape(repr(field.value))}</code>"], faint=field.is_default)
        for field in _fields(spec)
    ]
    return _block("RecurrentSpec", spec.kind, _missing_plugin(spec.options), _table(["field", "value"], rows))


def _fields(spec: RecurrentSpec[Any]) -> Iterator[_Field]:
    plain = spec.to_dict()
    del plain["kind"]  # which stands above the table
    options = plain.pop("options")
    yield from _described(plain, describe_spec())
    nobody_knows = isinstance(spec.options, UnresolvedOptions)
    yield from _described(options, [] if nobody_knows else describe_options(type(spec.options)), "options.")


def _described(values: dict[str, Any], fields: list[FieldDescription], prefix: str = "") -> Iterator[_Field]:
    by_name = {field.name: field for field in fields}
    for name, value in values.items():
        field = by_name.get(name)  # None: of a kind that is not installed here
        is_default = field is not None and json.dumps(value, ensure_ascii=False) == field.default
        yield _Field(prefix + name, value, is_default, field.text if field else "")


def _named(field: _Field) -> str:
    return f'<span title="{escape(field.text)}">{escape(field.name)}</span>'


def _missing_plugin(options: object) -> list[str]:
    if not isinstance(options, UnresolvedOptions):
        return []
    return [f"not installed here: {options.plugin or 'its plugin is not known'}"]


def _model_table(model: RecurrentModel) -> str:
    from rnnkit.introspection.model_layers import layers_of, shape_of  # with torch, which a spec does not need

    rows = [
        _row([escape(layer.name), escape(layer.what), escape(shape_of(layer, model.spec)), f"{layer.parameters:,}"])
        for layer in layers_of(model)
    ]
    headings = ["layer", "made of", "output", "parameters"]
    return _block("RecurrentModel", model.spec.kind, _facts(model), _table(headings, _shortened(rows)))


def _shortened(rows: list[str]) -> list[str]:
    """The rows of a very deep model without those in the middle."""
    left_out = len(rows) - 2 * _MOST_AT_EITHER_END
    if left_out <= 1:
        return rows
    between = _row([f"{left_out} more", "", "", ""], faint=True)
    return [*rows[:_MOST_AT_EITHER_END], between, *rows[-_MOST_AT_EITHER_END:]]


def _facts(model: RecurrentModel) -> list[str]:
    """What holds for all of a model: how much it holds, of which type, where, and whether it is being trained."""
    parameters, buffers = list(model.parameters()), list(model.buffers())
    count = sum(parameter.numel() for parameter in parameters)
    fixed = sum(parameter.numel() for parameter in parameters if not parameter.requires_grad)
    size = sum(tensor.numel() * tensor.element_size() for tensor in [*parameters, *buffers])
    tensors = parameters or buffers
    return [
        f"{count:,} parameters" + (f" ({fixed:,} of them fixed)" if fixed else ""),
        format_bytes(size),
        *sorted({str(tensor.dtype).removeprefix("torch.") for tensor in tensors}),
        *sorted({str(tensor.device) for tensor in tensors}),
        "training" if model.training else "evaluation",
    ]


def _block(title: str, kind: str, facts: list[str], table: str) -> str:
    """A heading, a line of facts, and a table."""
    heading = f"<div><strong>{title}</strong> <code>{escape(kind)}</code></div>"
    line = f'<div style="{_FAINT}">{escape(" · ".join(facts))}</div>' if facts else ""
    return f"<div>{heading}{line}{table}</div>"


def _table(headings: list[str], rows: list[str]) -> str:
    cells = "".join(
        f'<th style="{_CELL}{_alignment(column)}border-bottom:{_LINE}">{heading}</th>'
        for column, heading in enumerate(headings)
    )
    return f'<table style="{_TABLE}"><thead><tr>{cells}</tr></thead><tbody>{"".join(rows)}</tbody></table>'


def _row(cells: list[str], *, faint: bool = False) -> str:
    """A row of cells that are HTML already."""
    inside = "".join(f'<td style="{_CELL}{_alignment(column)}">{cell}</td>' for column, cell in enumerate(cells))
    return f'<tr style="{_FAINT}">{inside}</tr>' if faint else f"<tr>{inside}</tr>"


def _alignment(column: int) -> str:
    """Numbers, which stand in the fourth column, go to the right; notebooks would put all there."""
    return _RIGHT if column == 3 else _LEFT
