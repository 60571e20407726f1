"""Tools that look into a module or change its weights: Captum, pruning, parametrizations, averaging."""

from __future__ import annotations

from typing import Any

import torch
from captum.attr import DeepLift, IntegratedGradients, LayerGradientXActivation
from torch import Tensor, nn
from torch.nn.utils import prune
from torch.nn.utils.parametrizations import weight_norm
from torch.optim.swa_utils import AveragedModel

from docs.site.tool_examples.example import Example, batch
from rnnkit import RecurrentSpec, build_model

Spec = RecurrentSpec[Any]


def integrated_gradients(spec: Spec) -> None:
    model, (x, lengths, _) = build_model(spec).eval(), batch()

    def scores(x: Tensor, lengths: Tensor) -> Tensor:
        y: Tensor = model(x, lengths=lengths)
        return y

    attributions = IntegratedGradients(scores).attribute(x, target=1, additional_forward_args=lengths, n_steps=5)
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


EXAMPLES = [
    Example(tool="captum", title="Captum: IntegratedGradients, with lengths", page="captum", run=integrated_gradients),
    Example(tool="captum", title="Captum: DeepLift", page="captum", run=deep_lift),
    Example(
        tool="captum",
        title="Captum: a layer attribution of the backbone",
        page="captum",
        run=layer_attribution,
        limit="The output of a backbone is a tuple, as that of `torch.nn.LSTM` is: choose `model.readout`.",
    ),
    Example(tool="", title="`torch.nn.utils.prune`", page="captum", run=prune_weights),
    Example(tool="", title="`parametrizations.weight_norm`", page="captum", run=normalize_weights),
    Example(tool="", title="`AveragedModel`", page="captum", run=average),
    Example(tool="", title="`torch.autocast` in bfloat16", page="quantization", run=train_in_bfloat16),
]
