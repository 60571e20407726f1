"""The rules between fields, as data: the condition that breaks a rule, and the message, taken from specs that break it.

A condition is a nested list, such as `["and", [">", ["value", "dropout"], 0], ["==", ["value", "num_layers"], 1]]`;
`expressions.js` computes it. No list of the rules of each kind is kept: each rule is tried on each kind, and the
kind has it if it refuses the specs that break it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from docs.site.spec_builder_specs import OPTION, message_about

Condition = list[Any]


class Rule(NamedTuple):
    """A rule about one field.

    Attributes:
        field: the field that the problem is reported for.
        broken: when it is.
        by: specs that break this rule and no other. Numbers that the message repeats are in no other place of it.
        slots: values that the message repeats, `num_layers` or `length of hidden_size`.
    """

    field: str
    broken: Condition
    by: Sequence[Mapping[str, Any]]
    slots: Sequence[str] = ()


def value(path: str) -> Condition:
    return ["value", path]


def _length(path: str) -> Condition:
    return ["length", value(path)]


def _is(path: str, wanted: Any) -> Condition:
    return ["==", value(path), wanted]


def _is_given(path: str) -> Condition:
    return ["not", _is(path, None)]


HIDDEN_SIZES: Condition = ["hidden_sizes"]  # one for each layer, also where all have the same
PARTS: Condition = ["parts"]  # how many parts the state of a layer's cell has
IS_LIST: Condition = ["is_list", value("hidden_size")]

OF_EVERY_SPEC = [
    Rule(
        "num_layers",
        ["and", IS_LIST, ["not", ["==", _length("hidden_size"), value("num_layers")]]],
        [{"hidden_size": [31, 41], "num_layers": 7}, {"hidden_size": [51, 61, 71], "num_layers": 9}],
        ["hidden_size", "num_layers", "length of hidden_size"],
    ),
    Rule(
        "dropout",
        ["and", [">", value("dropout"), 0], _is("num_layers", 1)],
        [{"dropout": 0.5}],
    ),
    Rule(
        "readout_dropout",
        ["and", [">", value("readout_dropout"), 0], _is("output_size", None)],
        [{"readout_dropout": 0.5}],
    ),
    Rule(
        "padding_idx",
        ["and", _is_given("padding_idx"), _is("num_embeddings", None)],
        [{"padding_idx": 3}],
    ),
    Rule(
        "padding_idx",
        [
            "and",
            ["and", _is_given("padding_idx"), _is_given("num_embeddings")],
            [">=", value("padding_idx"), value("num_embeddings")],
        ],
        [{"num_embeddings": 31, "padding_idx": 41}, {"num_embeddings": 51, "padding_idx": 61}],
        ["padding_idx", "num_embeddings"],
    ),
]

OF_SIZES = [Rule("hidden_size", IS_LIST, [{"hidden_size": [31, 41], "num_layers": 2}])]

OF_OWN_OPTIONS = [
    Rule(
        "options.forget_bias",
        ["and", _is_given("options.forget_bias"), ["not", value("bias")]],
        [{"options.forget_bias": 1.0, "bias": False}],
    ),
    Rule(
        "options.proj_size",
        [">=", value("options.proj_size"), value("hidden_size")],
        [{"hidden_size": 31, "options.proj_size": 41}, {"hidden_size": 51, "options.proj_size": 61}],
        ["options.proj_size", "hidden_size"],
    ),
    Rule(
        "options.cells",
        [
            "and",
            _is_given("options.cells"),
            ["not", ["==", ["remainder", value("num_layers"), _length("options.cells")], 0]],
        ],
        [
            {"options.cells": ["gru_cell"] * 3, "num_layers": 7},
            {"options.cells": ["lstm_cell"] * 4, "num_layers": 6},
        ],
        ["length of options.cells", "num_layers"],
    ),
]

OF_STACKS = [
    Rule(
        "options.residual",
        ["and", value("options.residual"), _is("num_layers", 1)],
        [{"options.residual": True}],
    ),
    Rule(
        "options.residual",
        ["and", value("options.residual"), [">", ["distinct", HIDDEN_SIZES], 1]],
        [
            {"options.residual": True, "num_layers": 2, "hidden_size": [31, 41]},
            {"options.residual": True, "num_layers": 3, "hidden_size": [51, 61, 51]},
        ],
        ["hidden_size"],
    ),
    Rule(
        "options.variational_dropout",
        ["and", value("options.variational_dropout"), _is("dropout", 0)],
        [{"options.variational_dropout": True}],
    ),
    Rule(
        "options.layer_norm",
        [
            "and",
            _is("options.layer_norm", "output"),
            ["and", ["contains", HIDDEN_SIZES, 1], ["not", value("bidirectional")]],
        ],
        [{"options.layer_norm": "output", "hidden_size": 1}],
    ),
]

# of two that speak of one field, the later counts
OF_CELLS = [
    Rule("bias", ["not", value("bias")], [{"bias": False}]),
    Rule("options.layer_norm", _is("options.layer_norm", "gates"), [{"options.layer_norm": "gates"}]),
    Rule("options.forget_bias", _is_given("options.forget_bias"), [{"options.forget_bias": 1.0}]),
    OF_OWN_OPTIONS[0],
    Rule(
        "options.recurrent_dropout", [">", value("options.recurrent_dropout"), 0], [{"options.recurrent_dropout": 0.5}]
    ),
    Rule(
        "options.zoneout",
        [
            "and",
            ["is_list", value("options.zoneout")],
            ["not", ["==", _length("options.zoneout"), PARTS]],
        ],
        [{"options.zoneout": [0.1] * 9}],
    ),
    Rule(
        "options.recurrent_init",
        _is("options.recurrent_init", "orthogonal"),
        [{"options.recurrent_init": "orthogonal"}],
    ),
]


def rules_of(kind: str, rules: Iterable[Rule]) -> list[dict[str, Any]]:
    """Those of some rules that a kind has, with what it says when they are broken."""
    exported = [_exported(kind, rule) for rule in rules]
    return [rule for rule in exported if rule is not None]


def own_options(rules: Iterable[Rule], names: Iterable[str]) -> list[Rule]:
    """The rules about some options."""
    paths = {OPTION + name for name in names}
    return [rule for rule in rules if rule.field in paths]


def _exported(kind: str, rule: Rule) -> dict[str, Any] | None:
    messages = [message_about(rule.field, kind, values) for values in rule.by]
    if None in messages:
        if any(messages):
            raise ValueError(f"{kind} says nothing of {rule.field} for some of {list(rule.by)}")
        return None
    templates = {_template(str(message), rule, values) for message, values in zip(messages, rule.by, strict=True)}
    if len(templates) > 1:
        raise ValueError(f"{kind} says different things of {rule.field}: {templates}")
    return {"field": rule.field, "broken": rule.broken, "message": templates.pop()}


def _template(message: str, rule: Rule, values: Mapping[str, Any]) -> str:
    """A message with `{slot}` in place of each value that it repeats."""
    for slot in rule.slots:
        message, count = re.subn(rf"(?<!\d){re.escape(_words(slot, values))}(?!\d)", f"{{{slot}}}", message)
        if not count:
            raise ValueError(f"{message!r} does not repeat {slot}")
    return message


def _words(slot: str, values: Mapping[str, Any]) -> str:
    path = slot.removeprefix("length of ")
    given = values[path]
    if path != slot:
        return str(len(given))
    return str(tuple(given) if isinstance(given, list) else given)
