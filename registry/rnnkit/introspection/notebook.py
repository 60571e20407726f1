"""HTML of specs and models in notebooks: tables without scripts or external resources.

They must be readable in light and dark themes, so they use the page's own colour, with lower opacity for defaults.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from html import escape
from typing import TYPE_CHECKING, Any

from rnnkit._messages import format_bytes
from rnnkit.introspection._description import FieldDescription, describe_options, describe_spec
from rnnkit.specs import RecurrentSpec, UnresolvedOptions

if TYPE_CHECKING:
    from rnnkit.model import RecurrentModel

_FAINT = "opacity:.6;"
_LINE = "1px solid rgba(128,128,128,.45)"
_TABLE = "border-collapse:collapse;margin:.4em 0;"
_CELL = "padding:.15em 1.2em .15em 0;border:0;vertical-align:top;"
_LEFT = "text-align:left;"
_RIGHT = "text-align:right;font-variant-numeric:tabular-nums;"
_MAX_ROWS_AT_EACH_END = 10


def html_of(value: RecurrentSpec[Any] | RecurrentModel) -> str:
    """Return the HTML of a spec or a model. Never raises: the fallback is the text of `repr`."""
    try:
        return _spec_block(value) if isinstance(value, RecurrentSpec) else _model_block(value)
    except Exception:  # noqa: BLE001  # a notebook must show a result even if a plugin or a user has broken something
        return _repr_html(value)


def _repr_html(value: object) -> str:
    try:
        return f"<pre>{escape(repr(value))}</pre>"
    except Exception:  # noqa: BLE001  # likewise
        return f"<pre>{escape(object.__repr__(value))}</pre>"


def _spec_block(spec: RecurrentSpec[Any]) -> str:
    plain = spec.to_dict()
    del plain["kind"]  # shown above the table
    options = plain.pop("options")
    if isinstance(spec.options, UnresolvedOptions):
        notes, of_options = [f"not installed: {spec.options.plugin or 'unknown plugin'}"], []
    else:
        notes, of_options = [], describe_options(type(spec.options))
    rows = [*_described(plain, describe_spec()), *_described(options, of_options, "options.")]
    return _block("RecurrentSpec", spec.kind, notes, _table(["field", "value"], rows))


def _described(values: dict[str, Any], fields: list[FieldDescription], prefix: str = "") -> Iterator[str]:
    """Yield a row for each field; one that has its default is faint."""
    by_name = {field.name: field for field in fields}
    for name, value in values.items():
        field = by_name.get(name)  # None if the kind is not installed
        is_default = field is not None and json.dumps(value, ensure_ascii=False) == field.default
        heading = f'<span title="{escape(field.text if field else "")}">{escape(prefix + name)}</span>'
        yield _row([heading, f"<code>{escape(repr(value))}</code>"], faint=is_default)


def _model_block(model: RecurrentModel) -> str:
    from rnnkit.introspection.model_layers import layers_of, shape_of  # imports torch, which a spec does not need

    rows = [
        _row([escape(layer.name), escape(layer.module), escape(shape_of(layer, model.spec)), f"{layer.parameters:,}"])
        for layer in layers_of(model)
    ]
    headings = ["layer", "module", "output", "parameters"]
    return _block("RecurrentModel", model.spec.kind, _facts(model), _table(headings, _shortened(rows)))


def _shortened(rows: list[str]) -> list[str]:
    """Leave out the middle rows of a very deep model."""
    left_out = len(rows) - 2 * _MAX_ROWS_AT_EACH_END
    if left_out <= 1:
        return rows
    between = _row([f"{left_out} more", "", "", ""], faint=True)
    return [*rows[:_MAX_ROWS_AT_EACH_END], between, *rows[-_MAX_ROWS_AT_EACH_END:]]


def _facts(model: RecurrentModel) -> list[str]:
    """Return size, dtypes, devices and mode of a model."""
    parameters, buffers = list(model.parameters()), list(model.buffers())
    count = sum(parameter.numel() for parameter in parameters)
    fixed = sum(parameter.numel() for parameter in parameters if not parameter.requires_grad)
    size = sum(tensor.numel() * tensor.element_size() for tensor in [*parameters, *buffers])
    tensors = parameters or buffers
    return [
        f"{count:,} parameters" + (f" ({fixed:,} frozen)" if fixed else ""),
        format_bytes(size),
        *sorted({str(tensor.dtype).removeprefix("torch.") for tensor in tensors}),
        *sorted({str(tensor.device) for tensor in tensors}),
        "training" if model.training else "evaluation",
    ]


def _block(title: str, kind: str, facts: list[str], table: str) -> str:
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
    """Return a table row; the cells are HTML."""
    inside = "".join(f'<td style="{_CELL}{_alignment(column)}">{cell}</td>' for column, cell in enumerate(cells))
    return f'<tr style="{_FAINT}">{inside}</tr>' if faint else f"<tr>{inside}</tr>"


def _alignment(column: int) -> str:
    """Align the numbers in the fourth column right and all else left; the notebooks' default is right."""
    return _RIGHT if column == 3 else _LEFT
