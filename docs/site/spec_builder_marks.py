"""What a drawing shows beside boxes and arrows: conditions and words, of any kind that has the fields they name."""

from __future__ import annotations

from typing import Any

from docs.site.spec_builder_rules import Condition, value


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
