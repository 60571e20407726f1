"""Layers, parameters, memory and multiply-adds of a model, computed on the meta device."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from rnnkit._messages import describe_exception, short_repr
from rnnkit.build import build_on_meta, require_spec
from rnnkit.errors import BuildError, InputError
from rnnkit.introspection._multiply_adds import Work, count_work
from rnnkit.introspection.model_layers import EMBEDDING, READOUT, Layer, input_shape, layers_of, shape_of
from rnnkit.introspection.summary_text import summary_text
from rnnkit.model import RecurrentModel, state_tensors
from rnnkit.specs import RecurrentSpec

MOST_LAYERS = 1_000


@dataclass(frozen=True, kw_only=True)
class LayerSummary:
    """One layer of a model, or its embedding or readout.

    Attributes:
        name: `embedding`, `layer 0`, `readout`, or the path of a module such as `backbone.conv` in a backbone that is
            not a stack.
        module: class of its module, such as `LSTMCell, bidirectional`.
        features: number of output features; None if unknown.
        shape: shape of its output, such as `(batch, time, 40)`; empty if the features are unknown.
        parameters: number of elements of its parameters.
        multiply_adds_per_step: multiply-adds of one more step of one sequence; None if the model does not run on the
            meta device.
        multiply_adds: multiply-adds of one whole sequence; None likewise.
    """

    name: str
    module: str
    features: int | None
    shape: str
    parameters: int
    multiply_adds_per_step: int | None
    multiply_adds: int | None


@dataclass(frozen=True, kw_only=True)
class ModelSummary:
    """Layers, parameters, memory and multiply-adds of a model.

    Attributes:
        kind: canonical name of its kind.
        dtype: dtype of its parameters, such as `float32`.
        input_dtype: dtype of the input: `dtype`, or `int64` for token ids.
        input_shape: shape of the input, such as `(batch, time, 10)`, or `(batch, time)` for token ids.
        output_shape: shape of the output, such as `(batch, 5)`.
        layers: the layers in order, the readout last.
        parameters: number of elements of all parameters, frozen ones included.
        trainable_parameters: number of elements of the parameters that require gradients.
        weight_bytes: size of parameters and buffers.
        training_bytes: size of these plus, for each trainable parameter, its gradient and the two moments of Adam.
            Activations saved for the backward pass are not included; they depend on batch size and time.
        state_bytes: size of the state of one sequence.
        time: number of steps of the sequence for which multiply-adds are counted.
        multiply_adds_per_step: multiply-adds of one more step of one sequence in the backbone; None if the model does
            not run on the meta device.
        multiply_adds: multiply-adds of one whole sequence in the whole model; None likewise.
        note: why a value is unknown; empty if all are known.
    """

    kind: str
    dtype: str
    input_dtype: str
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

    def __str__(self) -> str:
        """Return the lines that `rnnkit summary` prints."""
        return summary_text(self)


def summarize_spec(spec: RecurrentSpec[Any], *, time: int = 100, dtype: torch.dtype | None = None) -> ModelSummary:
    """Return the layers, parameters, memory and multiply-adds of a model, without allocating its weights.

    Multiply-adds (MACs) of matrix products and convolutions are counted while the model runs on the meta device.
    Element-wise operations, such as gates, are not counted.

    Args:
        spec: configuration of the model.
        time: number of steps of the sequence for which multiply-adds are counted.
        dtype: dtype of the parameters; None: torch's default.

    Raises:
        InputError: `time` is not a positive integer.
        BuildError: `spec` is not a RecurrentSpec, has more than 1,000 layers, or cannot be built on the meta device.
        UnresolvedKindError: the plugin of its kind is not installed.
        PluginError: the plugin of its kind is broken.
    """
    require_spec(spec, "summarize_spec")
    if type(time) is not int or time < 1:
        raise InputError(f"time must be an integer of at least 1, but is {short_repr(time)}")
    if spec.num_layers > MOST_LAYERS:
        raise BuildError(
            f"num_layers={spec.num_layers} is too many for a summary, which has a line for each layer; "
            f"use at most {MOST_LAYERS}"
        )
    # a builder may ignore `device` for a small buffer; on mixed devices the model would not run
    model = build_on_meta(spec, dtype).to("meta").eval()
    return _summary(model, time)


def count_spec_parameters(spec: RecurrentSpec[Any]) -> int:
    """Return the number of elements of all parameters of a model, without allocating them or running the model.

    Raises:
        BuildError: the model cannot be built on the meta device.
    """
    return sum(parameter.numel() for parameter in build_on_meta(spec).parameters())


def _work(model: RecurrentModel, layers: list[Layer], time: int) -> tuple[dict[str, Work], str]:
    """Return the multiply-adds of each layer; or nothing, and the reason."""
    try:
        return count_work(model, layers, time), ""
    except Exception as error:  # noqa: BLE001  # a plugin's own operators may lack a meta implementation
        reason = describe_exception(error)
        return {}, f"Multiply-adds are unknown: the model does not run on the meta device ({reason})"


def _summary(model: RecurrentModel, time: int) -> ModelSummary:
    layers, dtype = layers_of(model), str(model.dtype).removeprefix("torch.")
    work, note = _work(model, layers, time)
    parameters = list(model.parameters())
    trainable = [parameter for parameter in parameters if parameter.requires_grad]
    weight_bytes = _bytes([*parameters, *model.buffers()])
    state = state_tensors(model.initial_state(1, device="meta"))
    in_backbone = [work[layer.name].step for layer in layers if work and layer.name not in {EMBEDDING, READOUT}]
    return ModelSummary(
        kind=model.spec.kind,
        dtype=dtype,
        input_dtype="int64" if model.spec.num_embeddings is not None else dtype,
        input_shape=input_shape(model.spec),
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
    per_step, whole = (None, None) if work is None else work
    return LayerSummary(
        name=layer.name,
        module=layer.module,
        features=layer.features,
        shape=shape_of(layer, spec),
        parameters=layer.parameters,
        multiply_adds_per_step=per_step,
        multiply_adds=whole,
    )


def _bytes(tensors: Iterable[Tensor]) -> int:
    return sum(tensor.numel() * tensor.element_size() for tensor in tensors)
