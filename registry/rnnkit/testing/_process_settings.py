"""The settings of the process that a model must leave as they are."""

from __future__ import annotations

import gc
import locale
import logging
import os
import signal
import sys
import threading
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np
import torch
from torch._tensor_str import PRINT_OPTS
from torch.nn.modules import module as torch_module


class _Setting(NamedTuple):
    read: Callable[[], Any]
    write: Callable[[Any], Any] | None = None  # None: it cannot be restored


def _attribute(owner: Any, name: str) -> _Setting:
    return _Setting(lambda: getattr(owner, name), lambda value: setattr(owner, name, value))


def _set_default_device(device: torch.device) -> None:
    # A default device, even the CPU, slows down every call of torch.
    torch.set_default_device(None if device == torch.device("cpu") else device)


def _set_environment(values: Mapping[str, str]) -> None:
    for name in os.environ.keys() - values.keys():
        del os.environ[name]
    os.environ.update(values)


def _signal_handlers() -> dict[int, Any]:
    return {number: signal.getsignal(number) for number in signal.valid_signals()}


def _set_signal_handlers(handlers: Mapping[int, Any]) -> None:
    if threading.current_thread() is not threading.main_thread():
        return  # Python refuses it in other threads
    for number, handler in handlers.items():
        if handler is not None and signal.getsignal(number) is not handler:
            signal.signal(number, handler)


def _set_warning_filters(filters: list[Any]) -> None:
    warnings.resetwarnings()  # it also invalidates what Python remembers of warnings
    warnings.filters[:] = filters  # type: ignore[index]  # a list, but typeshed has a sequence


_MODULE_HOOKS = (
    torch_module._global_forward_hooks,  # noqa: SLF001  # torch has no public list
    torch_module._global_forward_pre_hooks,  # noqa: SLF001  # torch has no public list
    torch_module._global_backward_hooks,  # noqa: SLF001  # torch has no public list
    torch_module._global_backward_pre_hooks,  # noqa: SLF001  # torch has no public list
)


def _set_module_hooks(values: list[Any]) -> None:
    for hooks, before in zip(_MODULE_HOOKS, values, strict=True):
        hooks.clear()
        hooks.update(before)


_SETTINGS: Mapping[str, _Setting] = {
    "default dtype": _Setting(torch.get_default_dtype, torch.set_default_dtype),
    "default device": _Setting(torch.get_default_device, _set_default_device),
    "gradient mode": _Setting(torch.is_grad_enabled, torch.set_grad_enabled),
    "anomaly mode": _Setting(torch.is_anomaly_enabled, torch.autograd.set_detect_anomaly),
    "autocast": _Setting(
        lambda: torch.is_autocast_enabled("cpu"), lambda value: torch.set_autocast_enabled("cpu", value)
    ),
    "use of deterministic algorithms": _Setting(
        torch.are_deterministic_algorithms_enabled, torch.use_deterministic_algorithms
    ),
    "precision of float32 products": _Setting(torch.get_float32_matmul_precision, torch.set_float32_matmul_precision),
    "number of threads": _Setting(torch.get_num_threads, torch.set_num_threads),
    "number of threads between operations": _Setting(torch.get_num_interop_threads),
    "use of oneDNN": _attribute(torch.backends.mkldnn, "enabled"),
    "use of cuDNN": _attribute(torch.backends.cudnn, "enabled"),
    "benchmark mode of cuDNN": _attribute(torch.backends.cudnn, "benchmark"),
    "deterministic mode of cuDNN": _attribute(torch.backends.cudnn, "deterministic"),
    "treatment of subnormal numbers": _Setting(
        lambda: bool((torch.tensor([1e-310], dtype=torch.float64, device="cpu") / 2).any()),
        lambda value: torch.set_flush_denormal(not value),
    ),
    "format of printed tensors": _Setting(lambda: dict(vars(PRINT_OPTS)), lambda value: vars(PRINT_OPTS).update(value)),
    "hooks of all modules": _Setting(lambda: [dict(hooks) for hooks in _MODULE_HOOKS], _set_module_hooks),
    "treatment of NumPy's floating-point errors": _Setting(np.geterr, lambda value: np.seterr(**value)),
    "format of printed arrays": _Setting(np.get_printoptions, lambda value: np.set_printoptions(**value)),
    "environment variables": _Setting(lambda: dict(os.environ), _set_environment),
    "working directory": _Setting(os.getcwd, os.chdir),
    "warning filters": _Setting(lambda: list(warnings.filters), _set_warning_filters),
    "signal handlers": _Setting(_signal_handlers, _set_signal_handlers),
    "locale": _Setting(lambda: locale.setlocale(locale.LC_ALL), lambda value: locale.setlocale(locale.LC_ALL, value)),
    "module search path": _Setting(lambda: list(sys.path), lambda value: sys.path.__setitem__(slice(None), value)),
    "recursion limit": _Setting(sys.getrecursionlimit, sys.setrecursionlimit),
    "exception hook": _attribute(sys, "excepthook"),
    "standard output": _attribute(sys, "stdout"),
    "standard error": _attribute(sys, "stderr"),
    "garbage collection": _Setting(gc.isenabled, lambda value: gc.enable() if value else gc.disable()),
    "level of the root logger": _Setting(
        lambda: logging.getLogger().level, lambda value: logging.getLogger().setLevel(value)
    ),
    "handlers of the root logger": _attribute(logging.getLogger(), "handlers"),
}


def read_settings() -> dict[str, Any]:
    """The settings of the process by name."""
    found = {name: setting.read() for name, setting in _SETTINGS.items()}
    return {name: list(value) if isinstance(value, list) else value for name, value in found.items()}


def changed_settings(before: Mapping[str, Any]) -> list[str]:
    """The names of the settings that differ from earlier ones."""
    return [name for name, value in read_settings().items() if value != before[name]]


def write_settings(values: Mapping[str, Any]) -> None:
    """Set those that have other values: setting some of them takes long, even to the same value."""
    for name, value in values.items():
        read, write = _SETTINGS[name]
        if write is not None and read() != value:
            write(value)


@contextmanager
def kept_settings() -> Iterator[None]:
    """Restore the settings at the end, so that a fault of a kind neither hides the next one nor outlives the kit."""
    with warnings.catch_warnings():
        before = read_settings()
        try:
            yield
        finally:
            write_settings(before)
