"""What a model gives for an input that is the same everywhere: numbers that its file can be held to."""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from contextlib import AbstractContextManager
from itertools import chain
from typing import Any

import torch
from torch import Tensor, nn

from rnnkit._messages import describe_exception
from rnnkit.build import build_model
from rnnkit.files.checkpoint.record import Fingerprint, Number
from rnnkit.model import RecurrentModel, flatten_with_paths

ROWS, STEPS = 2, 4
_MOST = 256  # values of the output, and of the state


def fingerprint_of(model: RecurrentModel, twin: RecurrentModel) -> Fingerprint:
    """The fingerprint of a model, which is left as it is, on the CPU, where it is the same whatever device it is on.

    A twin with its tensors runs in its place, without its hooks. Where that cannot be, because the kind runs on one
    device only, or has tensors that are neither parameters nor buffers, one that is built where the model is.

    Args:
        model: whose outputs.
        twin: the model of the same spec on the meta device; takes its tensors.
    """
    fingerprint = run_fingerprint(_with_tensors(twin, model, torch.device("cpu")))
    if fingerprint.reason:
        device = device_of(model)
        with seed_kept(device):
            twin = build_model(model.spec, device=device, dtype=model.backbone.dtype)
        fingerprint = run_fingerprint(_with_tensors(twin, model, device))
    return fingerprint


def run_fingerprint(model: RecurrentModel) -> Fingerprint:
    """The fingerprint of a model that nobody else uses; leaves it in evaluation mode, and requiring no gradients.

    On those hangs which of two kernels torch takes, which differ by a rounding.
    """
    device = device_of(model)
    try:
        with torch.no_grad(), torch.autocast(device.type, enabled=False), seed_kept(device), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # they are for who runs the model
            y, state = model.eval().requires_grad_(False)(fixed_input(model, device), return_state=True)
        return Fingerprint(output=_sample([y]), state=_sample(_parts(state)))
    except Exception as error:  # noqa: BLE001  # whatever keeps it from running is the answer
        return Fingerprint(reason=describe_exception(error))


def fixed_input(model: RecurrentModel, device: torch.device) -> Tensor:
    """Numbers in [-1, 1) that look random, of exact integer arithmetic: no version of torch draws others."""
    axes = (ROWS, STEPS) if model.spec.batch_first else (STEPS, ROWS)
    places = torch.arange(1, ROWS * STEPS * model.spec.input_size + 1, dtype=torch.int64, device="cpu")
    scattered = places * 2654435761 % 2**32  # Knuth's multiplicative hash
    return (scattered.double() / 2**31 - 1).reshape(*axes, -1).to(device, model.backbone.dtype)


def device_of(model: nn.Module) -> torch.device:
    """Where the tensors of a model are; the CPU if it has none."""
    return next(chain(model.parameters(), model.buffers()), torch.empty(0, device="cpu")).device


def _with_tensors(twin: RecurrentModel, model: RecurrentModel, device: torch.device) -> RecurrentModel:
    """The twin with the tensors of a model in the place of its own, not copied if they are on the device already."""
    for name, parameter in model.named_parameters(remove_duplicate=False):
        _put(twin, name, nn.Parameter(parameter.detach().to(device), requires_grad=False))
    for name, buffer in model.named_buffers(remove_duplicate=False):
        _put(twin, name, buffer.detach().to(device))
    return twin


def _put(model: nn.Module, name: str, tensor: Tensor) -> None:
    owner, _, attribute = name.rpartition(".")
    setattr(model.get_submodule(owner), attribute, tensor)


def _parts(state: Any) -> list[Tensor]:
    """The tensors of a state; a kind without one may have anything in its place."""
    return [part for _, part in flatten_with_paths(state) if isinstance(part, Tensor)]


def _sample(tensors: Sequence[Tensor]) -> tuple[Number, ...]:
    """At most `_MOST` of the values, evenly strided over all of them."""
    values = torch.cat(
        [torch.empty(0, dtype=torch.float64, device="cpu"), *(_real(tensor).flatten() for tensor in tensors)]
    )
    return tuple(_number(value) for value in values[:: max(1, -(-len(values) // _MOST))].tolist())


def _real(tensor: Tensor) -> Tensor:
    return (torch.view_as_real(tensor) if tensor.is_complex() else tensor).to("cpu", torch.float64)


def _number(value: float) -> Number:
    return value if math.isfinite(value) else str(value)  # type: ignore[return-value]  # the three names of Python


def seed_kept(device: torch.device | str | None = None) -> AbstractContextManager[None]:
    """A block after which the CPU and one device draw the random numbers that they would have drawn without it.

    Args:
        device: None: torch's default.
    """
    place = torch.get_default_device() if device is None else torch.device(device)
    if place.type in ("cuda", "xpu"):  # each of these devices has a generator that can be asked for its state
        return torch.random.fork_rng([place], device_type=place.type)
    return torch.random.fork_rng([])
