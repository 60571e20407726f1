"""The models of the benchmark in JAX, with the weights of a model of torch.nn."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from torch import Tensor, nn

block_until_ready: Callable[[Any], Any] = jax.block_until_ready
Weights = tuple[Any, ...]  # weight_ih, weight_hh, bias_ih, bias_hh


def _rnn(weights: Weights, carry: Any, x: Any) -> Any:
    (h,) = carry
    return (jnp.tanh(x + h @ weights[1].T + weights[3]),)


def _gru(weights: Weights, carry: Any, x: Any) -> Any:
    (h,) = carry
    x_r, x_z, x_n = jnp.split(x, 3, axis=-1)
    h_r, h_z, h_n = jnp.split(h @ weights[1].T + weights[3], 3, axis=-1)
    r, z = jax.nn.sigmoid(x_r + h_r), jax.nn.sigmoid(x_z + h_z)
    return ((1 - z) * jnp.tanh(x_n + r * h_n) + z * h,)


def _lstm(weights: Weights, carry: Any, x: Any) -> Any:
    h, c = carry
    i, f, g, o = jnp.split(x + h @ weights[1].T + weights[3], 4, axis=-1)
    c = jax.nn.sigmoid(f) * c + jax.nn.sigmoid(i) * jnp.tanh(g)
    return jax.nn.sigmoid(o) * jnp.tanh(c), c


STEPS: dict[str, tuple[Callable[..., Any], int]] = {"rnn": (_rnn, 1), "gru": (_gru, 1), "lstm": (_lstm, 2)}
"""The step of each kind, and the number of parts of its state."""


def _layer(kind: str, weights: Weights, x: Any) -> Any:
    """Return the outputs of all steps, `(time, batch, hidden_size)`; the input is projected for all steps at once."""
    step, parts = STEPS[kind]

    def advance(carry: Any, projected: Any) -> Any:
        carry = step(weights, carry, projected)
        return carry, carry[0]

    initial = (jnp.zeros((x.shape[1], weights[1].shape[1]), x.dtype),) * parts
    return jax.lax.scan(advance, initial, x @ weights[0].T + weights[2])[1]


def _model(kind: str, parameters: Any, x: Any) -> Any:
    layers, (weight, bias) = parameters
    x = jnp.swapaxes(x, 0, 1)
    for weights in layers:
        x = _layer(kind, weights, x)
    return x[-1] @ weight.T + bias


def _loss(kind: str, parameters: Any, x: Any, target: Any) -> Any:
    scores = jax.nn.log_softmax(_model(kind, parameters, x))
    return -jnp.take_along_axis(scores, target[:, None], 1).mean()


def array(tensor: Tensor) -> Any:
    return jnp.asarray(tensor.detach().numpy())


def parameters_of(rnn: nn.RNNBase, linear: nn.Linear) -> Any:
    return [tuple(map(array, layer)) for layer in rnn.all_weights], (array(linear.weight), array(linear.bias))


def forward(kind: str, parameters: Any, x: Any) -> Callable[[], Any]:
    run = jax.jit(partial(_model, kind))
    return lambda: block_until_ready(run(parameters, x))


def training(kind: str, parameters: Any, x: Any, target: Any) -> Callable[[], Any]:
    run = jax.jit(jax.value_and_grad(partial(_loss, kind)))
    return lambda: block_until_ready(run(parameters, x, target))
