"""Writes the data of the spec builder: `python -m docs.site.spec_builder`; `--check` compares the file instead."""

from __future__ import annotations

import json
import sys
from functools import partial
from pathlib import Path
from typing import Any

from docs.site.example_plugin import example_installed
from docs.site.generated import update
from docs.site.spec_builder_embedding import embedding_record
from docs.site.spec_builder_fields import Field, fields_of_options, fields_of_spec
from docs.site.spec_builder_layers import Record, is_stacked, layer_record, try_record
from docs.site.spec_builder_marks import MARKS, check_marks
from docs.site.spec_builder_readout import readout_record
from docs.site.spec_builder_rules import (
    OF_CELLS,
    OF_EVERY_SPEC,
    OF_OWN_OPTIONS,
    OF_SIZES,
    OF_STACKS,
    own_options,
    rules_of,
)
from docs.site.spec_builder_specs import spec_of
from docs.site.step_times import step_sizes, step_time
from rnnkit import Kind, RecurrentModel, StackOptions, build_model, get_kind, list_kinds, resolve_kind
from rnnkit.options import own_fields

FILE = Path(__file__).parents[1] / "assets/javascripts/spec_builder/data.js"
KINDS = Path(__file__).parents[1] / "kinds"
GROUPS = {
    "Sizes": ["input_size", "hidden_size", "output_size"],
    "Shape of the stack": ["num_layers", "bidirectional", "dropout", "bias"],
    "Input and output": ["readout", "readout_dropout", "batch_first"],
    "Tokens": ["num_embeddings", "padding_idx"],
}
# a tied weight fits some numbers of features of the last layer only, for which the page has no rule
LEFT_OUT = {"tie_weights"}
START = {"kind": "lstm", "input_size": "64", "hidden_size": "128", "num_layers": "2", "output_size": "10"}
KINDS_OF_PAGE = {"gru", "gru_cell", "lstm", "lstm_cell", "mixed", "rnn", "rnn_cell", "rnnkit-nbrc/nbrc"}
# distributions whose kinds the page shows, and the page that describes each distribution
PROVIDERS = {"rnnkit": "", "rnnkit-nbrc": "../plugins/example.html"}

_MANY_LAYERS = 12  # more than any pattern of cells that repeats


def builder_data() -> dict[str, Any]:
    """Return the data of the page, verified on models.

    Raises:
        ValueError: the page cannot show something.
    """
    with example_installed():
        names = builder_kinds()
        fields = [field for field in fields_of_spec(names[0]) if field["path"] not in LEFT_OUT]
        _check_groups(fields)
        check_marks()
        layers = {name: _layer(name, fields) for name in names if _has_one_kind_of_layer(get_kind(name))}
        readouts = next(field["choices"] for field in fields if field["path"] == "readout")
        return {
            "start": START,
            "step_sizes": step_sizes(),
            "fields": fields,
            "groups": [{"title": title, "paths": paths} for title, paths in GROUPS.items()],
            "rules": rules_of(names[0], OF_EVERY_SPEC),
            "kinds": {name: _kind(name, fields, layers) for name in names},
            "layers": layers,
            "readout": readout_record("rnn", readouts),
            "embedding": embedding_record("rnn"),
            "marks": MARKS,
        }


def builder_kinds() -> list[str]:
    """Return the kinds of the page that are installed.

    Other kinds have rules between their sizes and options that the page cannot express, such as that the number of
    heads divides the hidden size. `rnnkit init` writes a commented spec file for them.
    """
    return [name for name in list_kinds() if name in KINDS_OF_PAGE and _provider(name) in PROVIDERS]


def _check_groups(fields: list[Field]) -> None:
    grouped = [path for paths in GROUPS.values() for path in paths]
    if sorted(grouped) != sorted(field["path"] for field in fields):
        raise ValueError(f"Each field belongs in one of the groups of the form, which have {grouped}")


def _has_one_kind_of_layer(kind: Kind) -> bool:
    return kind.cell is not None or not _is_stack(kind)


def _is_stack(kind: Kind) -> bool:
    return issubclass(kind.options, StackOptions)


def _layer(name: str, fields: list[Field]) -> dict[str, Any]:
    """Return the parameters, features and state of a kind's layers, and the rules of its cells."""
    kind = get_kind(name)
    options = fields_of_options(name, kind, [])
    model = build_model(spec_of(name, {}), device="meta")
    state: Any = model.initial_state(1, device="meta")
    return {
        "what": kind.cell.__name__ if kind.cell is not None else _class_in(model),
        "state_class": type(state if is_stacked(model) else state[0]).__name__,
        "defaults": {field["path"]: field["default"] for field in options},
        "rules": rules_of(name, OF_CELLS) if _is_stack(kind) else [],
        **layer_record(name, [*fields, *options]),
    }


def _class_in(model: RecurrentModel) -> str:
    backbone: Any = model.backbone
    return type(backbone.rnn).__name__


def _kind(name: str, fields: list[Field], layers: dict[str, Any]) -> dict[str, Any]:
    kind = get_kind(name)
    options = fields_of_options(name, kind, builder_kinds())
    pattern = _pattern(name, options, list(layers))
    every = [*fields, *options]
    try_record(name, every, partial(_record, pattern, layers), sizes_per_layer=_is_stack(kind))
    provider = _provider(name)
    return {
        "summary": kind.summary,
        "step": step_time(name),
        "provider": provider,
        "page": _page(name),
        "provider_page": PROVIDERS[provider],
        "options": options,
        "rules": [rules_of(name, OF_SIZES), _own_rules(name, kind), rules_of(name, OF_STACKS)],
        "stacked_state": is_stacked(build_model(spec_of(name, {}), device="meta")),
        "layers": pattern,
    }


def _page(name: str) -> str:
    """The page of a kind, from that of the spec builder."""
    bare = name.rpartition("/")[2]
    if not (KINDS / f"{bare}.md").is_file():
        raise ValueError(f"The kind {name} has no page in {KINDS}")
    return f"{bare}.html"


def _own_rules(name: str, kind: Kind) -> list[dict[str, Any]]:
    """Return the rules of the kind itself; for a stack, those of options that other stacks do not have."""
    own = own_fields(kind.options(), StackOptions) if _is_stack(kind) else _names(kind)
    return rules_of(name, own_options(OF_OWN_OPTIONS, own))


def _names(kind: Kind) -> list[str]:
    return list(kind.options.__dataclass_fields__)


def _provider(name: str) -> str:
    chosen = resolve_kind(name).chosen
    return "" if chosen is None else chosen.distribution


def _pattern(name: str, options: list[Field], layers: list[str]) -> dict[str, Any]:
    """Of which kind each layer is, in turn; and the option that says otherwise, if there is one."""
    named = [field["path"] for field in options if field["lists"] == "only"]
    return {"option": named[0] if named else None, "otherwise": [name] if name in layers else _cells_in_turn(name)}


def _cells_in_turn(name: str) -> list[str]:
    """Return the shortest repeating list of kinds that the layers use by default."""
    model = build_model(spec_of(name, {"num_layers": _MANY_LAYERS}), device="meta")
    cells: Any = model.backbone.cells
    kinds = {get_kind(each).cell: each for each in builder_kinds()}
    found = [kinds[type(cell)] for cell in cells]
    length = next(many for many in range(1, len(found)) if found == (found[:many] * len(found))[: len(found)])
    return found[:length]


def _record(pattern: dict[str, Any], layers: dict[str, Any], model: RecurrentModel, index: int) -> Record:
    chosen = pattern["option"] and model.spec.to_dict()["options"][pattern["option"].removeprefix("options.")]
    kinds = chosen or pattern["otherwise"]
    record = layers[kinds[index % len(kinds)]]
    return {group: record[group] for group in ("parameters", "features", "state")}


def script(data: dict[str, Any]) -> str:
    """The data as a script, with a line for each thing that may change by itself."""
    parts = ",\n".join(f"{json.dumps(key)}: {_lines(value)}" for key, value in data.items())
    note = "// Written by `python -m docs.site.spec_builder`: change what it reads instead.\n"
    return f"{note}globalThis.rnnkitSpecBuilder = {{ data: {{\n{parts}\n}} }};\n"


def _lines(value: Any) -> str:
    if isinstance(value, dict):
        return "{\n" + ",\n".join(f"  {json.dumps(key)}: {_compact(each)}" for key, each in value.items()) + "\n}"
    if isinstance(value, list):
        return "[\n" + ",\n".join(f"  {_compact(each)}" for each in value) + "\n]"
    return _compact(value)


def _compact(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def main(arguments: list[str] | None = None) -> int:
    return update({FILE: script(builder_data())}, "docs.site.spec_builder", arguments)


if __name__ == "__main__":
    sys.exit(main())
