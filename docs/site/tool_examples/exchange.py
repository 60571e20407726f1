"""Weights from Keras, Flax and ONNX, loaded into one layer and compared with the source."""

from __future__ import annotations

import os
from typing import Any

os.environ.setdefault("KERAS_BACKEND", "torch")

import jax.numpy as jnp
import keras
import numpy as np
import onnx
import torch
from flax import nnx
from onnx import numpy_helper
from torch import Tensor, nn

from docs.site.tool_examples.example import Example, batch, example_spec
from rnnkit import RecurrentModel, RecurrentSpec, build_model, reorder_gates

Spec = RecurrentSpec[Any]
KINDS = ("rnn", "lstm", "gru", "rnn_cell", "lstm_cell", "gru_cell")
CELL_KINDS = ("rnn_cell", "lstm_cell", "gru_cell")
HIDDEN_SIZE = 8
KERAS = {"rnn": (keras.layers.SimpleRNN, "n", "n"), "lstm": (keras.layers.LSTM, "ifgo", "ifgo")}
KERAS |= {"gru": (keras.layers.GRU, "zrn", "rzn")}
FLAX = {"rnn_cell": nnx.SimpleCell, "lstm_cell": nnx.OptimizedLSTMCell, "gru_cell": nnx.GRUCell}
ONNX = {"rnn": (nn.RNN, "n", "n"), "lstm": (nn.LSTM, "iofg", "ifgo"), "gru": (nn.GRU, "zrn", "rzn")}


def one_layer(kind: str) -> RecurrentModel:
    return build_model(example_spec(kind, num_layers=1, output_size=None, readout="all"))


def load(model: RecurrentModel, weight_ih: Tensor, weight_hh: Tensor, bias_ih: Tensor, bias_hh: Tensor) -> None:
    """Load the weights of the only layer of a stack of cells or of a module of torch."""
    backbone: Any = model.backbone
    module, suffix = (backbone.rnn, "_l0") if hasattr(backbone, "rnn") else (backbone.cells[0], "")
    weights = {"weight_ih": weight_ih, "weight_hh": weight_hh, "bias_ih": bias_ih, "bias_hh": bias_hh}
    module.load_state_dict({name + suffix: weight for name, weight in weights.items()})


def tensor(value: Any) -> Tensor:
    return torch.from_numpy(np.array(value))


def family(kind: str) -> str:
    return kind.removesuffix("_cell")


def load_keras(spec: Spec) -> None:
    layer_class, order, new_order = KERAS[family(spec.kind)]
    layer, model, (x, _, _) = layer_class(HIDDEN_SIZE, return_sequences=True), one_layer(spec.kind), batch()
    expected = layer(x)
    kernel, recurrent, bias = map(tensor, layer.get_weights())
    biases = bias if bias.dim() == 2 else (bias, torch.zeros_like(bias))
    load(model, *(reorder_gates(weight, order, new_order) for weight in (kernel.t(), recurrent.t(), *biases)))
    torch.testing.assert_close(model(x), expected, atol=1e-5, rtol=1e-4)


def load_flax(spec: Spec) -> None:
    cell, model, (x, _, _) = (
        FLAX[spec.kind](spec.input_size, HIDDEN_SIZE, rngs=nnx.Rngs(0)),
        one_layer(spec.kind),
        batch(),
    )
    layers = (cell.dense_i, cell.dense_h)
    zeros = torch.zeros(layers[0].kernel[...].shape[1])
    biases = [zeros if layer.bias is None else tensor(layer.bias[...]) for layer in layers]
    load(model, *(tensor(layer.kernel[...]).t() for layer in layers), *biases)
    expected = tensor(nnx.RNN(cell)(jnp.asarray(x.numpy())))
    torch.testing.assert_close(model(x), expected, atol=1e-5, rtol=1e-4)


def load_onnx(spec: Spec) -> None:
    module, order, new_order = ONNX[family(spec.kind)]
    source, model, (x, _, _) = module(spec.input_size, HIDDEN_SIZE), one_layer(spec.kind), batch()
    torch.onnx.export(source, (x.transpose(0, 1),), "source.onnx", dynamo=False)
    graph = onnx.load("source.onnx").graph
    [node] = [node for node in graph.node if node.op_type in {"RNN", "LSTM", "GRU"}]
    tensors = {each.name: tensor(numpy_helper.to_array(each)) for each in graph.initializer}
    weight_ih, weight_hh, bias = (tensors[name][0] for name in node.input[1:4])
    load(model, *(reorder_gates(each, order, new_order) for each in (weight_ih, weight_hh, *bias.chunk(2))))
    torch.testing.assert_close(model(x), source(x.transpose(0, 1))[0].transpose(0, 1))


EXAMPLES = [
    Example(tool="keras", title="Keras: weights", page="weights", run=load_keras, kinds=KINDS),
    Example(tool="flax", title="Flax: weights", page="weights", run=load_flax, kinds=CELL_KINDS),
    Example(tool="onnx", title="ONNX: weights", page="weights", run=load_onnx, kinds=KINDS),
]
