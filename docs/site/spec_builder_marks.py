"""The marks of a drawing: a condition on the fields of a spec, a place, and the text that is shown there."""

from __future__ import annotations

import json
from dataclasses import fields
from typing import Any

from docs.site.spec_builder_rules import Condition, value
from docs.site.spec_builder_specs import OPTION
from rnnkit import Options, StackOptions


def _mark(place: str, shown: Condition, text: str) -> dict[str, Any]:
    return {"place": place, "shown": shown, "text": text}


def _positive(path: str) -> Condition:
    return [">", value(path), 0]


# `{path}` in a text is the value of a field. Places: on the arrow `between` two layers; `around` each layer but the
# first; what a layer's output goes through `after` its cells; in words `in` its box.
MARKS = [
    _mark(
        "between",
        ["and", _positive("dropout"), ["not", value("options.variational_dropout")]],
        "dropout {dropout}",
    ),
    _mark(
        "between",
        ["and", _positive("dropout"), value("options.variational_dropout")],
        "dropout {dropout}, one mask",
    ),
    _mark("around", value("options.residual"), "+"),
    _mark("after", ["==", value("options.layer_norm"), "output"], "LayerNorm"),
    _mark("in", _positive("options.proj_size"), "projected to {options.proj_size}"),
    _mark("in", ["==", value("options.layer_norm"), "gates"], "normalized gates"),
    _mark("in", _positive("options.recurrent_dropout"), "recurrent dropout {options.recurrent_dropout}"),
    _mark(
        "in",
        ["or", _positive("options.zoneout"), ["is_list", value("options.zoneout")]],
        "zoneout {options.zoneout}",
    ),
    _mark("in", value("options.learn_initial_state"), "learned initial state"),
    _mark("in", ["not", value("bias")], "no biases"),
]

# Options of stacks without a mark, each with the reason.
NOT_DRAWN = {
    "chrono_length": "it sets initial values only",
    "forget_bias": "it sets initial values only",
    "recurrent_init": "it sets initial values only",
    "time_feature": "no kind of the page takes it",
}


def check_marks(options: type[Options] = StackOptions) -> None:
    """Check that each option of stacks has a mark or a reason to have none.

    Raises:
        ValueError: an option has neither, or a reason is for an option that does not exist.
    """
    shown = json.dumps([mark["shown"] for mark in MARKS])
    names = {field.name for field in fields(options)}
    marked = {name for name in names if f'"{OPTION}{name}"' in shown}
    if missing := names - marked - NOT_DRAWN.keys():
        raise ValueError(
            f"The drawing of the spec builder does not show {', '.join(sorted(missing))}: add a mark to MARKS in "
            f"{__name__}, or a reason to NOT_DRAWN there; add rules between this option and others to "
            "docs/site/spec_builder_rules.py"
        )
    if unknown := NOT_DRAWN.keys() & marked | NOT_DRAWN.keys() - names:
        raise ValueError(f"Remove {', '.join(sorted(unknown))} from NOT_DRAWN in {__name__}")
