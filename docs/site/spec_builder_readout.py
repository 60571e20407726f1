"""Describes the readout: its linear layer, and the shapes of input and output."""

from __future__ import annotations

from typing import Any

from docs.site.spec_builder_layers import Seen, Sizes, solved
from docs.site.spec_builder_specs import spec_of
from rnnkit import RecurrentModel, build_model
from rnnkit.introspection.model_layers import layers_of, shape_text
from rnnkit.introspection.model_summary import summarize_spec

_SIZES = {"features": 11, "output_size": 7}
_FEATURES = 987_654_321  # a number that is in no shape for another reason


def readout_record(kind: str, readouts: list[str]) -> dict[str, Any]:
    """The parameters of the linear layer, and the shapes of input, layers and output with `{features}` in them.

    The readout knows nothing of the kind: any will do whose output has as many features as its hidden state.

    Raises:
        ValueError: a model without `output_size` has parameters anyway.
    """
    if layers_of(_model(kind, {"hidden_size": 3}))[-1].tensors:
        raise ValueError("A readout without a linear layer has parameters")
    forms = solved(lambda sizes: _parameters(kind, sizes), _SIZES)
    return {
        "linear": type(_with_linear(kind, _SIZES).readout.linear).__name__,
        "parameters": [{"name": name, "shape": [dict(form) for form in shape]} for (_, name), shape in forms.items()],
        "sequence": {str(first).lower(): _sequence(kind, batch_first=first) for first in (True, False)},
        "output": {
            readout: {str(first).lower(): _output(kind, readout, batch_first=first) for first in (True, False)}
            for readout in readouts
        },
    }


def _parameters(kind: str, sizes: Sizes) -> Seen:
    parameters = _with_linear(kind, sizes).readout.named_parameters()
    return {("parameters", name): tuple(parameter.shape) for name, parameter in parameters}


def _with_linear(kind: str, sizes: Sizes) -> RecurrentModel:
    return _model(kind, {"hidden_size": sizes["features"], "output_size": sizes["output_size"]})


def _model(kind: str, values: dict[str, Any]) -> RecurrentModel:
    return build_model(spec_of(kind, values), device="meta")


def _sequence(kind: str, *, batch_first: bool) -> str:
    return shape_text(spec_of(kind, {"batch_first": batch_first}), _FEATURES).replace(str(_FEATURES), "{features}")


def _output(kind: str, readout: str, *, batch_first: bool) -> str:
    values = {"readout": readout, "batch_first": batch_first, "output_size": 7919}
    return summarize_spec(spec_of(kind, values), time=1).output_shape.replace("7919", "{features}")
