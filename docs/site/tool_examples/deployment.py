"""Compilation, quantization and files: torch.compile, torch.ao, torchao, the Hub, safetensors."""

# No `from __future__ import annotations`: PyTorchModelHubMixin does not find the coder of a type that is a string.

from functools import partial
from typing import Any

import torch
from huggingface_hub import PyTorchModelHubMixin
from safetensors.torch import load_model, save_model
from torch import nn
from torchao.quantization import Int8WeightOnlyConfig, quantize_

from docs.site.tool_examples.example import Example, batch
from rnnkit import RecurrentModel, RecurrentSpec, build_model

Spec = RecurrentSpec[Any]


def compile_and_train(spec: Spec) -> None:
    torch.compiler.reset()
    model, (x, _, _) = build_model(spec), batch()
    y = torch.compile(model, backend="aot_eager", dynamic=False)(x)
    torch.testing.assert_close(y, model(x))
    y.sum().backward()


def compile_step(spec: Spec) -> None:
    torch.compiler.reset()
    model, (x, _, _) = build_model(spec).eval(), batch()
    step = model.step_module()
    arguments = (x[:, 0], *step.initial_state(len(x)))
    with torch.no_grad():
        outputs = torch.compile(step, backend="aot_eager", fullgraph=True)(*arguments)
        torch.testing.assert_close(outputs, step(*arguments))


def quantize_recurrence(spec: Spec) -> None:
    model, (x, lengths, _) = build_model(spec).eval(), batch()
    quantized = torch.ao.quantization.quantize_dynamic(model, {nn.Linear, nn.LSTM, nn.GRU}, dtype=torch.qint8)
    torch.testing.assert_close(quantized(x, lengths=lengths), model(x, lengths=lengths), atol=0.05, rtol=0)
    if not any("quantized" in type(module).__module__ for module in quantized.backbone.modules()):
        raise ValueError("only the readout is quantized")


def quantize_with_torchao(spec: Spec) -> None:
    model, (x, lengths, _) = build_model(spec).eval(), batch()
    expected = model(x, lengths=lengths)
    quantize_(model, Int8WeightOnlyConfig())
    torch.testing.assert_close(model(x, lengths=lengths), expected, atol=0.05, rtol=0)


class HubModel(  # type: ignore[call-arg]  # the mixin has no types here
    RecurrentModel,
    PyTorchModelHubMixin,
    coders={RecurrentSpec: (RecurrentSpec.to_dict, RecurrentSpec.from_dict)},
):
    def __init__(self, spec: RecurrentSpec) -> None:
        model = build_model(spec)
        super().__init__(spec, model.backbone, model.readout, model.embedding)


def save_for_the_hub(spec: Spec) -> None:
    x, _, _ = batch()
    model: Any = HubModel(spec).eval()
    model.save_pretrained("model")
    torch.testing.assert_close(HubModel.from_pretrained("model").eval()(x), model(x))


def save_with_safetensors(spec: Spec) -> None:
    model, other, (x, _, _) = build_model(spec), build_model(spec), batch()
    save_model(model, "model.safetensors")
    load_model(other, "model.safetensors")
    torch.testing.assert_close(other(x), model(x))


READOUT_ONLY = "torch has no quantized `RNN`, and replaces no cells: only the readout becomes int8."
compilation = partial(Example, page="compile")
quantization = partial(Example, page="quantization")
EXAMPLES = [
    compilation(title="`torch.compile`: a sequence, trained", run=compile_and_train),
    compilation(title="`torch.compile(model.step_module(), fullgraph=True)`", run=compile_step),
    quantization(title="`quantize_dynamic`: recurrent weights", run=quantize_recurrence, limit=READOUT_ONLY),
    quantization(tool="torchao", title="torchao: weights of the readout", run=quantize_with_torchao),
    Example(
        tool="huggingface_hub",
        title="Hugging Face Hub: `PyTorchModelHubMixin`",
        page="hub",
        run=save_for_the_hub,
        adapter=HubModel,
    ),
    Example(
        tool="safetensors", title="safetensors: `save_model`, `load_model`", page="composite", run=save_with_safetensors
    ),
]
