"""What a model is made of, and what it costs, known without allocating it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from rnnkit._messages import describe_exception, short_repr
from rnnkit.build import build_model
from rnnkit.errors import BuildError, InputError, RnnkitError
from rnnkit.introspection.model_layers import READOUT, Layer, layers_of, shape_of, shape_words
from rnnkit.introspection.multiply_adds import Work, count_work
from rnnkit.model import RecurrentModel, flatten_with_paths
from rnnkit.specs import RecurrentSpec

MOST_LAYERS = 1_000


@dataclass(frozen=True, kw_only=True)
class LayerSummary:
    """One layer of a model, or its readout.

    Attributes:
        name: `layer 0`, `readout`; in a backbone of another structure the path of a module, as `backbone.conv`.
        what: of which class it is made, and how.
        features: of its output; None: only its author knows.
        shape: of its output, `(batch, time, 40)`; empty where the features are not known.
        parameters: how many numbers its parameters have.
        multiply_adds_per_step: of one more step of one row; None: the model does not run on the meta device.
        multiply_adds: of the whole sequence of one row; None likewise.
    """

    name: str
    what: str
    features: int | None
    shape: str
    parameters: int
    multiply_adds_per_step: int | None
    multiply_adds: int | None


@dataclass(frozen=True, kw_only=True)
class ModelSummary:
    """What a model is made of.

    Attributes:
        kind: the canonical name of its kind.
        dtype: of its parameters, as `float32`.
        input_shape: `(batch, time, 10)`.
        output_shape: `(batch, 5)`.
        layers: from the bottom up, the readout last.
        parameters: how many numbers all parameters have, fixed ones included.
        trainable_parameters: how many of them are not fixed.
        weight_bytes: of parameters and buffers.
        training_bytes: those and, for each trainable parameter, its gradient and the two moments of Adam. What is kept
            of each step for the backward pass comes on top, and depends on batch and time.
        state_bytes: of the state of one row.
        time: the steps of the sequence whose multiply-adds are counted.
        multiply_adds_per_step: of one more step of one row in the backbone; None: it does not run on the meta device.
        multiply_adds: of a sequence of one row in the whole model; None likewise.
        note: why something is not known; empty: all is.
    """

    kind: str
    dtype: str
    input_shape: str
    output_shape: str
    layers: tuple[LayerSummary, ...]
    parameters: int
    trainable_parameters: int
    weight_bytes: int
    training_bytes: int
    state_bytes: int
    time: int
    multiply_adds_per_step: int | None
    multiply_adds: int | None
    note: str


def summarize_spec(spec: RecurrentSpec[Any], *, time: int = 100, dtype: torch.dtype | None = None) -> ModelSummary:
    """What the model of a spec is made of, and what it costs. Nothing of its size is allocated.

    Multiply-adds are those of matrix products and convolutions, counted in what really runs; operations on single
    elements, such as gates, are not counted.

    Args:
        spec: the model.
        time: steps of the sequence for which multiply-adds are counted.
        dtype: of the parameters; None: torch's default.

    Raises:
        InputError: `time` is no number of steps.
        BuildError: the model cannot be built on the meta device, or has more than 1,000 layers.
        UnresolvedKindError: the plugin of its kind is not installed here.
        PluginError: the plugin of its kind is broken.
    """
    if type(time) is not int or time < 1:
        raise InputError(f"time must be an integer of at least 1, but is {short_repr(time)}")
    if spec.num_layers > MOST_LAYERS:
        raise BuildError(
            f"num_layers={spec.num_layers} is too much for a summary, which has a line for each layer: "
            f"at most {MOST_LAYERS}"
        )
    try:
        # what a builder has made elsewhere all the same, such as a small buffer, would not go together with the rest
        model = build_model(spec, device="meta", dtype=dtype).to("meta").eval()
        return _summary(model, time)
    except RnnkitError:
        raise
    except Exception as error:
        raise BuildError(
            f"No model of kind {spec.kind!r} can be made on the meta device: {describe_exception(error)}"
        ) from error


def _work(model: RecurrentModel, layers: list[Layer], time: int) -> tuple[dict[str, Work], str]:
    """The multiply-adds of each layer; or none, and why."""
    try:
        return count_work(model, layers, time), ""
    except Exception as error:  # noqa: BLE001  # a plugin's own operations may be for real devices only
        return (
            {},
            f"Multiply-adds are not known: the model does not run on the meta device ({describe_exception(error)})",
        )


def _summary(model: RecurrentModel, time: int) -> ModelSummary:
    layers = layers_of(model)
    work, note = _work(model, layers, time)
    parameters = list(model.parameters())
    trainable = [parameter for parameter in parameters if parameter.requires_grad]
    weight_bytes = _bytes([*parameters, *model.buffers()])
    state = [part for _, part in flatten_with_paths(model.initial_state(1, device="meta"))]
    in_backbone = [work[layer.name].step for layer in layers if work and layer.name != READOUT]
    return ModelSummary(
        kind=model.spec.kind,
        dtype=str(model.backbone.dtype).removeprefix("torch."),
        input_shape=shape_words(model.spec, model.spec.input_size),
        output_shape=shape_of(layers[-1], model.spec),
        layers=tuple(_layer_summary(layer, model.spec, work.get(layer.name)) for layer in layers),
        parameters=sum(parameter.numel() for parameter in parameters),
        trainable_parameters=sum(parameter.numel() for parameter in trainable),
        weight_bytes=weight_bytes,
        training_bytes=weight_bytes + 3 * _bytes(trainable),
        state_bytes=_bytes(state),
        time=time,
        multiply_adds_per_step=sum(in_backbone) if work else None,
        multiply_adds=sum(each.sequence for each in work.values()) if work else None,
        note=note,
    )


def _layer_summary(layer: Layer, spec: RecurrentSpec[Any], work: Work | None) -> LayerSummary:
    return LayerSummary(
        name=layer.name,
        what=layer.what,
        features=layer.features,
        shape=shape_of(layer, spec),
        parameters=layer.parameters,
        multiply_adds_per_step=None if work is None else work.step,
        multiply_adds=None if work is None else work.sequence,
    )


def _bytes(tensors: Iterable[Tensor]) -> int:
    return sum(tensor.numel() * tensor.element_size() for tensor in tensors)
