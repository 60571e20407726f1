"""Tools that look into a module or change its weights: Captum, pruning, parametrizations, averaging."""

from __future__ import annotations

from functools import partial
from typing import Any

import torch
from captum.attr import DeepLift, IntegratedGradients, LayerGradientXActivation
from torch import nn
from torch.nn.utils import prune
from torch.nn.utils.parametrizations import weight_norm
from torch.optim.swa_utils import AveragedModel

from docs.site.tool_examples.example import Example, batch
from rnnkit import RecurrentSpec, build_model

Spec = RecurrentSpec[Any]


def integrated_gradients(spec: Spec) -> None:
    model, (x, lengths, _) = build_model(spec).eval(), batch()
    state_and_lengths = (None, lengths)
    attributions = IntegratedGradients(model).attribute(
        x, target=1, additional_forward_args=state_and_lengths, n_steps=5
    )
    padding = torch.arange(x.shape[1]) >= lengths[:, None]
    torch.testing.assert_close(attributions[padding], torch.zeros_like(attributions[padding]))


def deep_lift(spec: Spec) -> None:
    DeepLift(build_model(spec).eval()).attribute(batch()[0], target=1)


def layer_attribution(spec: Spec) -> None:
    model = build_model(spec).eval()
    LayerGradientXActivation(model, model.backbone).attribute(batch()[0], target=1)


def recurrent_weights(model: nn.Module) -> list[tuple[nn.Module, str]]:
    """Return the modules and names of all weights that multiply a state."""
    return [
        (module, name)
        for module in model.modules()
        for name, _ in list(module.named_parameters(recurse=False))
        if name.startswith("weight_h")
    ]


def prune_weights(spec: Spec) -> None:
    model, (x, _, _) = build_model(spec).eval(), batch()
    before = model(x)
    for module, name in recurrent_weights(model):
        prune.l1_unstructured(module, name, 0.5)
    if torch.equal(model(x), before):
        raise ValueError("pruning has no effect")


def normalize_weights(spec: Spec) -> None:
    model, (x, _, _) = build_model(spec), batch()
    for module, name in recurrent_weights(model):
        weight_norm(module, name)
    model(x).sum().backward()
    if missing := [name for name, parameter in model.named_parameters() if parameter.grad is None]:
        raise ValueError(f"no gradient for {missing}")


def average(spec: Spec) -> None:
    model, (x, _, _) = build_model(spec), batch()
    averaged = AveragedModel(model)
    averaged.update_parameters(model)
    torch.testing.assert_close(averaged(x), model(x))


def train_in_bfloat16(spec: Spec) -> None:
    x, lengths, _ = batch()
    with torch.autocast("cpu", torch.bfloat16):
        y = build_model(spec)(x, lengths=lengths)
    y.float().sum().backward()


TUPLE = "The output of a backbone is a tuple, as that of `torch.nn.LSTM` is: choose `model.readout`."
inspection = partial(Example, page="captum")
EXAMPLES = [
    inspection(tool="captum", title="Captum: IntegratedGradients, with lengths", run=integrated_gradients),
    inspection(tool="captum", title="Captum: DeepLift", run=deep_lift),
    inspection(tool="captum", title="Captum: a layer attribution of the backbone", run=layer_attribution, limit=TUPLE),
    inspection(title="`torch.nn.utils.prune`", run=prune_weights),
    inspection(title="`parametrizations.weight_norm`", run=normalize_weights),
    inspection(title="`AveragedModel`", run=average),
    Example(title="`torch.autocast` in bfloat16", page="quantization", run=train_in_bfloat16),
]
