"""Dtypes and devices."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from rnnkit import RecurrentModel, build_model, move_state
from rnnkit._messages import join_names
from rnnkit.testing._check import CheckFailedError, NotApplicableError, check
from rnnkit.testing._comparison import leaves
from rnnkit.testing._context import LENGTHS, Case, CheckContext, random_state, with_gradients

_DTYPES = (torch.float64, torch.float32, torch.bfloat16)
# Operations that accept CPU tensors together with tensors of another device.
_MIXED_DEVICES = {"copy_", "_to_copy", "index", "index_put", "index_put_", "_index_put_impl_", "_unsafe_index"}


@check("numerics")
def dtype_is_consistent(context: CheckContext) -> None:
    """Parameters, outputs and states have the dtype that the model was built with or moved to.

    A tensor is created without `dtype=`, or is neither a parameter nor a buffer, so that `to` does not convert it.
    """
    for dtype in _DTYPES:
        for case in context.cases():
            default = torch.float64 if dtype != torch.float64 else torch.float32
            with _default_dtype(context, default):
                with _optional_in_bfloat16(context, "building", dtype):
                    built = case.model(dtype=dtype, perturb=False)
                _check_dtype(context, case, built, dtype, "built with")
                _check_dtype(context, case, case.model(dtype=default, perturb=False).to(dtype), dtype, "moved to")


@check("numerics")
def float32_is_close_to_float64(context: CheckContext) -> None:
    """Outputs, states and gradients in float32 equal those in float64 up to rounding.

    A value is computed in a narrower dtype, or cancellation loses digits.
    """
    for case in context.cases():
        narrow, wide = case.model(dtype=torch.float32), case.model(dtype=torch.float32).double()
        x, state = case.input(dtype=torch.float32), random_state(narrow)
        found = {name: move_state(each, dtype=torch.float64) for name, each in _results(narrow, x, state).items()}
        expected = _results(wide, x.double(), move_state(state, dtype=torch.float64))
        for name, each in found.items():
            rounding = 1e-4 if "gradient" not in name else 1e-3  # a gradient may be a sum with cancellation
            what, absolute = f"in float32, the {name}", rounding / 10
            context.assert_close(each, expected[name], what, relative=rounding, absolute=absolute)


@check("numerics")
def device_is_consistent(context: CheckContext) -> None:
    """The model can be built on, moved to and run on `meta` and available accelerators, without tensors elsewhere.

    A tensor is created without `device=`, or is neither a parameter nor a buffer, so that `to` does not move it.
    """
    for case in context.cases():
        _check_meta(context, case)
        for device, dtype in _accelerators().items():
            _check_device(context, case, device, dtype)
    context.figures["devices"] = ", ".join(["meta", *_accelerators()])


def _check_meta(context: CheckContext, case: Case) -> None:
    with _MetaMode(building=True):
        built = build_model(case.spec, device="meta")
    moved = case.model(dtype=torch.float32, perturb=False).to("meta")
    for model, how in ((built, "built on"), (moved, "moved to")):
        left = [name for name, each in _named_tensors(model) if not each.is_meta]
        context.assert_true(not left, f"in a model {how} the meta device, {join_names(left)} is on another device")
    y, final = _run_on_meta(context, moved, case.input(time=2, dtype=torch.float32).to("meta"))
    stay = all(each.is_meta for each in leaves((y, final)))
    context.assert_true(stay, "the output or state of a model on the meta device is on another device")


def _check_dtype(context: CheckContext, case: Case, model: RecurrentModel, dtype: torch.dtype, how: str) -> None:
    with _optional_in_bfloat16(context, "computing", dtype):
        y, final = model(case.input(dtype=dtype), lengths=torch.tensor(LENGTHS), return_state=True)
    named = [*_named_tensors(model), ("the output", y), *(("the state", part) for part in leaves(final))]
    wrong = {name: part.dtype for name, part in named if part.is_floating_point() and part.dtype != dtype}
    dtypes = join_names(f"{name} is {found}" for name, found in wrong.items())
    default = torch.get_default_dtype()
    context.assert_true(not wrong, f"with the default dtype {default}, in a model {how} {dtype}, {dtypes}")


def _optional_in_bfloat16(context: CheckContext, doing: str, dtype: torch.dtype) -> AbstractContextManager[None]:
    """Skip the check if the block raises in bfloat16, in which torch does not implement every function."""
    return context.optional_feature(f"{doing} in {dtype}") if dtype == torch.bfloat16 else nullcontext()


def _named_tensors(model: RecurrentModel) -> list[tuple[str, Tensor]]:
    return [*model.named_parameters(), *model.named_buffers()]


@contextmanager
def _default_dtype(context: CheckContext, dtype: torch.dtype) -> Iterator[None]:
    """Set torch's default dtype within the block, which must not change it."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        yield
        context.assert_true(torch.get_default_dtype() == dtype, "a call changes torch's default dtype")
    finally:
        torch.set_default_dtype(before)


def _results(model: RecurrentModel, x: Tensor, state: Any) -> dict[str, Any]:
    return with_gradients(model, *model(x, state, lengths=torch.tensor(LENGTHS, device=x.device), return_state=True))


class _MetaMode(TorchDispatchMode):
    """Fails if an operation mixes `meta` with other tensors or, while building, creates others; scalars are allowed."""

    def __init__(self, *, building: bool) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # missing in torch's stubs
        self._building = building

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        given = _tensors((args, kwargs or {}))
        if any(each.is_meta for each in given) and function.overloadpacket.__name__ not in _MIXED_DEVICES:
            _require_meta(given, f"on the meta device, {function} gets")
        result = function(*args, **(kwargs or {}))
        if self._building:
            _require_meta(_tensors(result), f"while building on the meta device, {function} creates")
        return result


def _require_meta(tensors: list[Tensor], what: str) -> None:
    for each in tensors:
        if not each.is_meta and each.dim() > 0:
            raise CheckFailedError(f"{what} a tensor of shape {tuple(each.shape)} on the device {each.device}")


def _tensors(value: Any) -> list[Tensor]:
    if isinstance(value, Tensor):
        return [value]
    parts = value.values() if isinstance(value, dict) else value if isinstance(value, tuple | list) else ()
    return [each for part in parts for each in _tensors(part)]


def _run_on_meta(context: CheckContext, model: RecurrentModel, x: Tensor) -> Any:
    with context.optional_feature("a call on the meta device, which has no values,"):
        try:
            with _MetaMode(building=False):
                return model(x, return_state=True)
        except RuntimeError as error:
            if "same device" in str(error):  # some functions of torch check the devices themselves
                raise CheckFailedError(f"on the meta device: {error}") from error
            raise


def _accelerators() -> dict[str, torch.dtype]:
    """The available accelerators, each with its widest floating-point dtype."""
    found = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    return {name: torch.float64 if name == "cuda" else torch.float32 for name, there in found.items() if there}


def _check_device(context: CheckContext, case: Case, device: str, dtype: torch.dtype) -> None:
    x, model = case.input(dtype=dtype), case.model(dtype=dtype)
    state = random_state(model)
    expected = _results(model, x, state)
    try:
        build_model(case.spec, device=device, dtype=dtype)(x.to(device))
        found = _results(case.model(dtype=dtype).to(device), x.to(device), move_state(state, device))
    except NotImplementedError as error:  # torch does not implement every function on every device
        raise NotApplicableError(f"on the device {device}, {error}") from error
    relative, absolute = (1e-6, 1e-8) if dtype == torch.float64 else (1e-3, 1e-4)
    context.assert_each_close(found, expected, f"on the device {device},", relative=relative, absolute=absolute)
