"""`reset_parameters` of a model and of each of its modules: the values of a newly built model, copied in place."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.parametrize import is_parametrized

from rnnkit.errors import BuildError


class ResettableModule(nn.Module):
    """Base class of models, backbones, cells and readouts, which `build_model` gives their `reset_parameters`."""

    def reset_parameters(self) -> None:
        """Initialize all parameters and buffers, in place, as `build_model` does.

        Use it after `to_empty`, which leaves the memory of a model that was built on `meta` uninitialized. Every other
        module of the model that has parameters or buffers has this method too, so that calling it for all modules, in
        any order, initializes the model, with its initialization options and the hooks `after_build`. A parameter that
        is sharded (a `DTensor`) gets its shard of the values of the first process.

        Raises:
            BuildError: the module was not built by `build_model`, or no longer has the parameters that it was built
                with.
        """
        raise BuildError(
            f"reset_parameters builds the model again, but this {type(self).__name__} was not built by build_model: "
            "initialize its parameters directly"
        )


class _Reset:
    """The `reset_parameters` of one module: an attribute of the object, so that its class stays that of torch.

    Args:
        module: the module.
        path: its path in the model.
        build: builds the model, given `device` and `dtype`.
    """

    def __init__(self, module: nn.Module, path: str, build: Callable[..., nn.Module]) -> None:
        # Weak, because a module that refers to itself keeps its memory until the garbage collector runs.
        self._module = weakref.ref(module)
        self._path = path
        self._build = build

    def __call__(self) -> None:
        module: Any = self._module()
        where = _device_and_dtype(module)
        if where is not None:
            _copy_values(self._build(**where).get_submodule(self._path), module)

    def __reduce__(self) -> Any:  # for `deepcopy` too: the module of a copy is the copy of the module
        return _Reset, (self._module(), self._path, self._build)


def add_resets(model: nn.Module, build: Callable[..., nn.Module]) -> None:
    """Give each module of a model that has parameters or buffers its `reset_parameters`.

    Args:
        model: the model.
        build: builds the same model again, given `device` and `dtype`.
    """
    for path, module in model.named_modules():
        if isinstance(module, ResettableModule) or module._parameters or module._buffers:  # noqa: SLF001  # fastest
            module.__dict__["reset_parameters"] = _Reset(module, path, build)


def _tensors(module: nn.Module, *, recurse: bool) -> Iterator[tuple[str, Tensor]]:
    # with duplicates, since `to_empty` separates the tensors that modules share
    yield from module.named_parameters(recurse=recurse, remove_duplicate=False)
    yield from module.named_buffers(recurse=recurse, remove_duplicate=False)


def _device_and_dtype(module: nn.Module) -> dict[str, Any] | None:
    """Return where to build the model again; None if there is nothing to initialize."""
    tensors = [each for _, each in _tensors(module, recurse=True) if not each.is_meta]
    if not tensors:
        return None
    dtype = next((each.dtype for each in tensors if each.is_floating_point()), None)
    return {"device": tensors[0].device, "dtype": dtype}


@torch.no_grad()
def _copy_values(source: nn.Module, target: nn.Module) -> None:
    for name, value in _tensors(source, recurse=True):
        path, _, leaf = name.rpartition(".")
        _copy_value(value, target, path, leaf)


def _copy_value(value: Tensor, target: nn.Module, path: str, name: str) -> None:
    try:
        owner = target.get_submodule(path)
    except AttributeError as error:
        raise _changed_error(path, name) from error
    current = dict(_tensors(owner, recurse=False)).get(name)
    if is_parametrized(owner, name):
        setattr(owner, name, value.detach())  # by the inverse of the parametrization
    elif current is None or current.shape != value.shape:
        raise _changed_error(path, name)
    else:
        current.copy_(_distributed_like(value, current))


def _changed_error(path: str, name: str) -> BuildError:
    full = f"{path}.{name}".strip(".")
    return BuildError(
        f"reset_parameters finds no {full} of the shape that the model was built with: "
        "call reset_parameters before modules are replaced or pruned"
    )


def _distributed_like(value: Tensor, current: Tensor) -> Tensor:
    """Return the value as a `DTensor` if `current` is one."""
    if not hasattr(current, "device_mesh"):
        return value
    from torch.distributed.tensor import distribute_tensor  # late: slow to import

    # from the first process, since each process draws other random values
    return distribute_tensor(value.detach(), current.device_mesh, current.placements)  # type: ignore[attr-defined]
