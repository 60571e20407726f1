"""Fingerprints: outputs of a model for an input that is the same on every machine."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import chain
from typing import Any

import torch
from torch import Tensor, nn

from rnnkit._messages import describe_exception, printable_line
from rnnkit._random_numbers import LocalRandomNumbers
from rnnkit.build import build_model
from rnnkit.files.checkpoint._record import Fingerprint, Number
from rnnkit.files.checkpoint._state_dict import set_tensors
from rnnkit.model import RecurrentModel, flatten_with_paths

_BATCH_SIZE, _STEPS = 2, 4
_MAX_VALUES = 256  # of the output, and of the state


def fingerprint_of(model: RecurrentModel, twin: RecurrentModel) -> Fingerprint:
    """Return the fingerprint of a model without running its hooks or changing it.

    A twin with the model's tensors runs on the CPU, so that the fingerprint does not depend on the device. If the kind
    runs on one device only, or has tensors that are neither parameters nor buffers, a twin is built on that device.

    Args:
        model: the model.
        twin: a model of the same spec on the meta device, which takes the model's tensors.
    """
    dtype = twin.backbone.dtype  # a model in float8 can be neither built nor run: it is built in another dtype
    fingerprint = run_fingerprint(_with_tensors(twin, model, torch.device("cpu")))
    if fingerprint.reason:
        device = device_of(model)
        with LocalRandomNumbers():
            twin = build_model(model.spec, device=device, dtype=dtype)
        fingerprint = run_fingerprint(_with_tensors(twin, model, device))
    return fingerprint


def run_fingerprint(model: RecurrentModel) -> Fingerprint:
    """Return the fingerprint of a model; leaves it in evaluation mode and without `requires_grad`.

    Both decide which of two kernels torch runs, and the kernels differ by rounding.

    Warnings of the model are shown, since hiding them would hide those of other threads too.
    """
    device = device_of(model)
    try:
        with torch.no_grad(), torch.autocast(device.type, enabled=False), LocalRandomNumbers():
            y, state = model.eval().requires_grad_(False)(_fixed_input(model, device), return_state=True)
        return Fingerprint(output=_sample([y]), state=_sample(_tensors_of(state)))
    except Warning:  # which a filter makes an error
        raise
    except Exception as error:  # noqa: BLE001  # the reason is recorded
        return Fingerprint(reason=printable_line(describe_exception(error)))


def device_of(model: nn.Module) -> torch.device:
    """Return the device of a model; the CPU if it has no tensors."""
    return next(chain(model.parameters(), model.buffers()), torch.empty(0, device="cpu")).device


def _fixed_input(model: RecurrentModel, device: torch.device) -> Tensor:
    """Numbers in [-1, 1), or token ids, from integer arithmetic: torch's random numbers may change between versions."""
    spec = model.spec
    axes = (_BATCH_SIZE, _STEPS) if spec.batch_first else (_STEPS, _BATCH_SIZE)
    if spec.num_embeddings is not None:
        return (_scattered(_BATCH_SIZE * _STEPS) % spec.num_embeddings).reshape(axes).to(device)
    scattered = _scattered(_BATCH_SIZE * _STEPS * spec.input_size)
    return (scattered.double() / 2**31 - 1).reshape(*axes, -1).to(device, model.backbone.dtype)


def _scattered(count: int) -> Tensor:
    places = torch.arange(1, count + 1, dtype=torch.int64, device="cpu")
    return places * 2654435761 % 2**32  # Knuth's multiplicative hash


def _with_tensors(twin: RecurrentModel, model: RecurrentModel, device: torch.device) -> RecurrentModel:
    """Replace the twin's tensors with the model's, without a copy if they are on the device already."""
    parameters = model.named_parameters(remove_duplicate=False)
    buffers = model.named_buffers(remove_duplicate=False)
    moved = {name: nn.Parameter(each.detach().to(device), requires_grad=False) for name, each in parameters}
    set_tensors(twin, moved | {name: each.detach().to(device) for name, each in buffers})
    return twin


def _tensors_of(state: Any) -> list[Tensor]:
    """The tensors of a state; a stateless kind may return anything."""
    return [part for _, part in flatten_with_paths(state) if isinstance(part, Tensor)]


def _sample(tensors: Sequence[Tensor]) -> tuple[Number, ...]:
    """At most `_MAX_VALUES` evenly spaced values."""
    values = torch.cat(
        [torch.empty(0, dtype=torch.float64, device="cpu"), *(_as_real(tensor).flatten() for tensor in tensors)]
    )
    return tuple(_json_number(value) for value in values[:: max(1, -(-len(values) // _MAX_VALUES))].tolist())


def _as_real(tensor: Tensor) -> Tensor:
    return (torch.view_as_real(tensor) if tensor.is_complex() else tensor).to("cpu", torch.float64)


def _json_number(value: float) -> Number:
    return value if math.isfinite(value) else str(value)  # type: ignore[return-value]  # "nan", "inf" or "-inf"
