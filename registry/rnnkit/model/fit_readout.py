"""Fit the linear layer of a readout by ridge regression, without gradients."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from numbers import Integral, Real
from typing import Any

import torch
from torch import Tensor, nn

from rnnkit._messages import short_repr
from rnnkit.errors import InputError
from rnnkit.model._input_checks import Lengths, check_targets, valid_lengths
from rnnkit.model.backbone import padding_mask
from rnnkit.model.readout import Readout
from rnnkit.model.recurrent_model import RecurrentModel


@torch.no_grad()
def fit_readout(
    model: RecurrentModel,
    x: Tensor,
    y: Tensor,
    *,
    ridge: float = 1e-6,
    washout: int = 0,
    lengths: Lengths | None = None,
    state: Any | None = None,
) -> None:
    """Set the linear layer of the readout to the ridge regression of `y` on what the layer reads.

    Solved in float64 on the CPU. The backbone stays as it is. It runs in evaluation mode. This is the training of an
    echo state network (Jaeger, 2001), and a strong baseline for any other kind.

    ```python
    model = build_model(RecurrentSpec(kind="esn", input_size=1, hidden_size=500, output_size=1, readout="all"))
    fit_readout(model, x[:, :-1], x[:, 1:], ridge=1e-6, washout=100)
    ```

    Args:
        model: a model with an `output_size`.
        x: the input of the model.
        y: the targets, in the shape of the output of the model: `(batch, time, output_size)` with a readout of each
            step, such as `"all"`, otherwise `(batch, output_size)`.
        ridge: the penalty of the squared weights, at least 0, as `alpha` in scikit-learn; the bias is not penalized.
        washout: number of steps at the start of each sequence that are left out, because the initial state shows in
            them; 0 unless the readout is one of each step.
        lengths: number of valid steps of each sequence, `(batch,)`; None: all are valid.
        state: the initial state; None: `initial_state`.

    Raises:
        InputError: the model is not a `RecurrentModel`, has no linear layer, ties it to its embedding, or computes its
            weight from other parameters; the targets have another shape, or are not real and finite; the washout leaves
            no steps; or an argument has a wrong type or is out of range.
    """
    linear = _linear_of(model)
    _check_numbers(ridge, washout, per_step=model.readout.per_step)
    check_targets(y)
    with _evaluation(model):
        features, output = _read_features(model, linear, x, state, lengths)
    if y.shape != output.shape:
        raise InputError(f"y must have the shape {tuple(output.shape)} of the output, but has {tuple(y.shape)}")
    if model.readout.per_step:
        y = y if model.spec.batch_first else y.transpose(0, 1)
        valid = _valid_steps(features, washout, lengths)
        features, y = features[valid], y[valid]
    features, y = (each.to("cpu", torch.float64) for each in (features, y))
    if len(y) == 0:
        raise InputError(f"No steps are left: washout={washout} is not less than the length of any sequence")
    for name, tensor in (("y", y), ("The output of the backbone", features)):
        if not tensor.isfinite().all():
            raise InputError(f"{name} has values that are not finite")
    weight, bias = _ridge_regression(features, y, ridge, has_bias=linear.bias is not None)
    linear.weight.copy_(weight)
    if linear.bias is not None:
        linear.bias.copy_(bias)


def _linear_of(model: RecurrentModel) -> nn.Linear:
    if not isinstance(getattr(model, "readout", None), Readout):  # a compiled model has the readout of its own
        raise InputError(
            f"model must be a RecurrentModel, as build_model returns it, but is a {type(model).__name__}: give the one "
            "inside of a wrapper, such as model[0] of an nn.Sequential or model.module of a DistributedDataParallel"
        )
    linear = model.readout.linear
    if linear is None:
        raise InputError("The model has no linear layer to fit: set output_size in its spec")
    if model.spec.tie_weights:
        raise InputError("tie_weights=True makes the linear layer share its weight with the embedding: set it to False")
    if "weight" not in dict(linear.named_parameters(recurse=False)):
        raise InputError(
            "The weight of the linear layer is computed from other parameters, by pruning or a parametrization: "
            "call fit_readout before it is added"
        )
    return linear


def _check_numbers(ridge: float, washout: int, *, per_step: bool) -> None:
    if not _is_number(ridge, Real) or not 0 <= ridge < float("inf"):
        raise InputError(f"ridge must be a finite number of at least 0, but is {short_repr(ridge)}")
    if not _is_number(washout, Integral) or washout < 0:
        raise InputError(f"washout must be an integer of at least 0, but is {short_repr(washout)}")
    if washout and not per_step:
        raise InputError(f"washout={washout} needs a readout of each step: set readout='all', or leave washout at 0")


def _is_number(value: object, number: type) -> bool:
    return isinstance(value, number) and not isinstance(value, bool)


@contextmanager
def _evaluation(model: nn.Module) -> Iterator[None]:
    """Set a model to evaluation mode, and each of its modules back to its own mode afterwards."""
    modes = {module: module.training for module in model.modules()}
    model.eval()
    try:
        yield
    finally:
        for module, mode in modes.items():
            module.training = mode


def _read_features(
    model: RecurrentModel, linear: nn.Linear, x: Tensor, state: Any | None, lengths: Lengths | None
) -> tuple[Tensor, Tensor]:
    """Return what the linear layer reads, `(batch, features)` or `(batch, time, features)`, and the output."""
    read: list[Tensor] = []
    hook = linear.register_forward_pre_hook(lambda _linear, inputs: read.append(inputs[0]))
    try:
        output = model(x, state, lengths)
    finally:
        hook.remove()
    return read[0], output


def _valid_steps(features: Tensor, washout: int, lengths: Lengths | None) -> Tensor:
    """Return the mask of the steps that are fitted, `(batch, time)`."""
    batch, time = features.shape[:2]
    valid = torch.arange(time, device=features.device) >= washout
    if lengths is None:
        return valid.expand(batch, time)
    tensor = valid_lengths(lengths, batch, time).to(features.device)
    return valid & ~padding_mask(tensor, time, batch_first=True).squeeze(-1)


def _ridge_regression(x: Tensor, y: Tensor, ridge: float, *, has_bias: bool) -> tuple[Tensor, Tensor]:
    """Return the weight, `(outputs, features)`, and the bias, `(outputs,)`."""
    # Not by the normal equations: they square the condition number, which is large for states of a reservoir.
    means = (x.mean(0), y.mean(0)) if has_bias else (x.new_zeros(x.shape[1]), y.new_zeros(y.shape[1]))
    penalty = ridge**0.5 * torch.eye(x.shape[1], dtype=x.dtype)
    rows, targets = torch.cat([x - means[0], penalty]), torch.cat([y - means[1], y.new_zeros(x.shape[1], y.shape[1])])
    weight = torch.linalg.lstsq(rows, targets, driver="gelsd").solution.T
    return weight, means[1] - weight @ means[0]
