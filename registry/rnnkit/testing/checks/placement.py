"""What a kind promises of dtypes and devices."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from rnnkit import RecurrentModel, build_model, move_state
from rnnkit.testing.check import CheckFailedError, check
from rnnkit.testing.check_context import LENGTHS, Case, CheckContext, random_state, with_gradients
from rnnkit.testing.comparison import leaves

_DTYPES = (torch.float64, torch.float32, torch.bfloat16)
# What may have a tensor of the CPU beside one of another device.
_MIXING = {"copy_", "_to_copy", "index", "index_put", "index_put_", "_index_put_impl_", "_unsafe_index"}


@check("numerics")
def dtype_is_consistent(context: CheckContext) -> None:
    """Parameters, outputs and states are of the dtype that the model was built in, or moved to since.

    A tensor is made without `dtype=`, and so of torch's default, or is kept where `to` does not find it.
    """
    for dtype in _DTYPES:
        for case in context.cases():
            default = torch.float64 if dtype != torch.float64 else torch.float32
            with _default_dtype(context, default):
                _check_dtype(context, case, case.model(dtype=dtype, moved=False), dtype, "built in")
                _check_dtype(context, case, case.model(dtype=default, moved=False).to(dtype), dtype, "moved to")


@check("numerics")
def float32_is_close_to_float64(context: CheckContext) -> None:
    """Outputs, states and gradients in float32 are those in float64, but for rounding.

    Something is computed in a narrower dtype, or small numbers are taken from large ones.
    """
    for case in context.cases():
        narrow, wide = case.model(dtype=torch.float32), case.model(dtype=torch.float32).double()
        x, state = case.input(dtype=torch.float32), random_state(narrow)
        found = {name: move_state(each, dtype=torch.float64) for name, each in _results(narrow, x, state).items()}
        expected = _results(wide, x.double(), move_state(state, dtype=torch.float64))
        for name, each in found.items():
            rounding = 1e-4 if "gradient" not in name else 1e-3  # a gradient may be a sum that nearly cancels
            context.same(each, expected[name], f"in float32, the {name}", relative=rounding, absolute=rounding / 10)


@check("numerics")
def device_is_consistent(context: CheckContext) -> None:
    """The model is made, moved and run on any device, and makes tensors of no other: on `meta`, and on what there is.

    A tensor is made without `device=`, or is neither a parameter nor a buffer, so that `to` does not find it.
    """
    for case in context.cases():
        _check_meta(context, case)
        for device, dtype in _accelerators().items():
            _check_device(context, case, device, dtype)
    context.figures["devices"] = ", ".join(["meta", *_accelerators()])


def _check_meta(context: CheckContext, case: Case) -> None:
    """Hold a model to make nothing beside a device without memory, which every machine has, and to follow it there."""
    with _NothingElsewhere():  # type: ignore[no-untyped-call]  # torch's own
        built = build_model(case.spec, device="meta")
    moved = case.model(dtype=torch.float32, moved=False).to("meta")
    for model, how in ((built, "built on"), (moved, "moved to")):
        left = [name for name, each in _kept(model) if not each.is_meta]
        context.that(not left, f"of a model {how} the device meta, {', '.join(left)} is on another")
    y, final = _run_on_meta(context, moved, case.input(time=2, dtype=torch.float32).to("meta"))
    stay = all(each.is_meta for each in leaves((y, final)))
    context.that(stay, "the output or state of a model on the device meta is on another")


def _check_dtype(context: CheckContext, case: Case, model: RecurrentModel, dtype: torch.dtype, how: str) -> None:
    # not every function of torch is there in bfloat16, which is no fault of the kind
    with context.capability(f"computing in {dtype}") if dtype == torch.bfloat16 else nullcontext():
        y, final = model(case.input(dtype=dtype), lengths=torch.tensor(LENGTHS), return_state=True)
    named = [*_kept(model), ("the output", y), *(("the state", part) for part in leaves(final))]
    wrong = {name: part.dtype for name, part in named if part.is_floating_point() and part.dtype != dtype}
    said = ", ".join(f"{name} is {found}" for name, found in wrong.items())
    context.that(not wrong, f"with torch's default {torch.get_default_dtype()}, in a model {how} {dtype}: {said}")


def _kept(model: RecurrentModel) -> list[tuple[str, Tensor]]:
    """What a model moves along, under its name."""
    return [*model.named_parameters(), *model.named_buffers()]


@contextmanager
def _default_dtype(context: CheckContext, dtype: torch.dtype) -> Iterator[None]:
    """Another default of torch's within the block, which must leave it alone."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        yield
        context.that(torch.get_default_dtype() == dtype, "torch's default dtype is changed")
    finally:
        torch.set_default_dtype(before)


def _results(model: RecurrentModel, x: Tensor, state: Any) -> dict[str, Any]:
    return with_gradients(model, *model(x, state, lengths=torch.tensor(LENGTHS, device=x.device), return_state=True))


class _NothingElsewhere(TorchDispatchMode):
    """Within its block, no tensor with more than one number is made on another device than `meta`."""

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = function(*args, **(kwargs or {}))
        found = [each for each in _tensors(result) if not each.is_meta and each.dim() > 0]
        if found:
            made = f"a tensor of shape {tuple(found[0].shape)} on the device {found[0].device}"
            raise CheckFailedError(f"to be built on the device meta, the model makes {made}, by {function}")
        return result


class _NothingMixed(TorchDispatchMode):
    """Within its block, no operation has tensors of `meta` and of another device; single numbers are no matter."""

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        given = _tensors((args, kwargs or {}))
        found = [each for each in given if not each.is_meta and each.dim() > 0]
        mixed = found and any(each.is_meta for each in given)
        if mixed and function.overloadpacket.__name__ not in _MIXING:
            other = f"a tensor of shape {tuple(found[0].shape)} of the device {found[0].device}"
            raise CheckFailedError(f"on the device meta, {function} is given {other}")
        return function(*args, **(kwargs or {}))


def _tensors(value: Any) -> list[Tensor]:
    """The tensors among the arguments or results of an operation."""
    if isinstance(value, Tensor):
        return [value]
    parts = value.values() if isinstance(value, dict) else value if isinstance(value, tuple | list) else ()
    return [each for part in parts for each in _tensors(part)]


def _run_on_meta(context: CheckContext, model: RecurrentModel, x: Tensor) -> Any:
    with context.capability("a call on the device meta, where no values are known,"):
        try:
            with _NothingMixed():  # type: ignore[no-untyped-call]  # torch's own
                return model(x, return_state=True)
        except RuntimeError as error:
            if "same device" in str(error):  # some of torch's functions look by themselves, and first
                raise CheckFailedError(f"on the device meta: {error}") from error
            raise


def _accelerators() -> dict[str, torch.dtype]:
    """The devices that this machine has beside its CPU, each with the widest dtype that it has."""
    found = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    return {name: torch.float64 if name == "cuda" else torch.float32 for name, there in found.items() if there}


def _check_device(context: CheckContext, case: Case, device: str, dtype: torch.dtype) -> None:
    """Hold a model on a device to what it gives on the CPU."""
    x, model = case.input(dtype=dtype), case.model(dtype=dtype)
    state = random_state(model)
    expected = _results(model, x, state)
    with _not_there(context, device):
        build_model(case.spec, device=device, dtype=dtype)(x.to(device))
        found = _results(case.model(dtype=dtype).to(device), x.to(device), move_state(state, device))
    relative, absolute = (1e-6, 1e-8) if dtype == torch.float64 else (1e-3, 1e-4)
    context.each_same(found, expected, f"on the device {device},", relative=relative, absolute=absolute)


@contextmanager
def _not_there(context: CheckContext, device: str) -> Iterator[None]:
    """Not every function of torch is there on every device, which is no fault of the kind."""
    try:
        yield
    except NotImplementedError as error:
        context.needs(False, f"on the device {device}, {error}")
