"""The changes that the import of a plugin makes in its process, beside adding modules."""

from __future__ import annotations

import builtins
import importlib.util
import logging
import os
import signal
import sys
import warnings
from collections.abc import Iterator
from importlib.abc import MetaPathFinder
from pathlib import Path
from types import ModuleType
from typing import Any

import click  # noqa: F401  # imported here, so that its attributes are known before a plugin is imported
import pydantic  # noqa: F401  # likewise

from rnnkit._messages import join_names
from rnnkit.catalog import current_catalog
from rnnkit.cli._doctor_runner import CHANGES

_PACKAGES = ("click", "json", "pluggy", "pydantic", "rnnkit")  # on which every command depends, as on the builtins
_LAZY = ("__doc__", "__signature__", "__abstractmethods__", "_abc_impl")  # and `__pydantic_`: set on first use
_HARMLESS = ("the environment", "the module search path", "the warning filters")
_Names = dict[str, Any]


class ImportChanges:
    """Compares the state of the process before and after plugins are imported; torch from the end of its own import."""

    def __init__(self) -> None:
        self._attributes, self._settings, self._modules = _attributes(), _settings(), dict(sys.modules)
        self._builtins, self._repaired = dict(vars(builtins)), set[str]()
        self._torch = _TorchFinder(self._settings)
        sys.meta_path.insert(0, self._torch)

    def found(self) -> list[str]:
        """Return the names of what has changed."""
        self.repair()
        attributes = [*_changed(self._attributes, _attributes()), *self._repaired]
        modules = [name for name, module in self._modules.items() if sys.modules.get(name) is not module]
        settings = _unequal(self._settings, _settings())
        if self._torch.before:
            torch_attributes, torch_settings = self._torch.before
            attributes += _changed(torch_attributes, _torch_attributes())
            settings += _unequal(torch_settings, _torch_settings())
        replaced = [f"sys.modules[{name!r}]" for name in modules]
        attributes = [each for each in attributes if not each.startswith(tuple(f"{name}." for name in modules))]
        return [*_without_parts(attributes), *replaced, *settings]

    def repair(self) -> None:
        """Give the builtins, which all code needs, their values again, and note which ones had others."""
        found = {**vars(builtins)}
        builtins.__dict__.update(self._builtins)
        self._repaired |= {f"builtins.{name}" for name in found if found[name] is not self._builtins.get(name)}


def describe_changes(changes: list[str]) -> dict[str, list[str]]:
    """Return the `problems` and the `notes` that changes are: many packages change what the notes name."""
    harmless = [each for each in changes if each in _HARMLESS]
    harmful = [each for each in changes if each not in _HARMLESS]
    texts = {"problems": harmful, "notes": harmless}
    return {name: [f"{CHANGES}{join_names(found)}"] if found else [] for name, found in texts.items()}


class _TorchFinder(MetaPathFinder):
    """Reads torch's state when it has been imported, and what its import changes in other settings.

    Args:
        settings: the settings before the plugin is imported, to which the changes of torch are added.
    """

    def __init__(self, settings: _Names) -> None:
        self.before: tuple[_Names, _Names] | None = None
        self._settings = settings

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> Any:  # noqa: ARG002
        if name != "torch":
            return None
        sys.meta_path.remove(self)
        spec: Any = importlib.util.find_spec("torch")
        if spec is not None:
            execute = spec.loader.exec_module

            def exec_module(module: ModuleType) -> None:
                before = _settings()
                execute(module)
                self._settings |= {name: value for name, value in _settings().items() if before[name] != value}
                self.before = _torch_attributes(), _torch_settings()

            spec.loader.exec_module = exec_module
        return spec


def _attributes() -> _Names:
    found = {name: module for name, module in [*sys.modules.items()] if name.partition(".")[0] in _PACKAGES}
    return {key: value for name, module in found.items() for key, value in _names_of(name, module)}


def _torch_attributes() -> _Names:
    names = ("torch", "torch.nn", "torch.nn.functional", "torch.nn.init", "torch.nn.modules.module")
    found = {name: sys.modules[name] for name in names}
    return {key: value for name, module in found.items() for key, value in _names_of(name, module)}


def _names_of(name: str, module: Any) -> Iterator[tuple[str, Any]]:
    """Yield the names in a module and in its own classes."""
    package = name.partition(".")[0]
    for key, value in [*vars(module).items()]:
        yield f"{name}.{key}", value
        if isinstance(value, type) and str(value.__module__).partition(".")[0] == package:
            for attribute, part in [*vars(value).items()]:
                if attribute not in _LAZY and not attribute.startswith("__pydantic_"):
                    yield f"{value.__module__}.{value.__qualname__}.{attribute}", part


def _without_parts(names: list[str]) -> list[str]:
    """Sort names, without those of the attributes of another, and what follows from the default dtype of torch."""
    changed = {name for name in names if not name.startswith("torch.Storage")}
    return sorted(name for name in changed if name.rpartition(".")[0] not in changed)


_missing = object()


def _changed(before: _Names, after: _Names) -> list[str]:
    """Return the names with other values, and those that are new in a class; imports add names to modules."""
    added = [name for name in after.keys() - before.keys() if f"{name.rpartition('.')[0]}.__module__" in before]
    return [*added, *(name for name, value in before.items() if after.get(name, _missing) is not value)]


def _unequal(before: _Names, after: _Names) -> list[str]:
    return sorted(f"the {name}" for name, value in before.items() if after[name] != value)


def _settings() -> _Names:
    return {
        "names in the catalog": current_catalog().names(),
        "working directory": str(Path.cwd()),
        "environment": dict(os.environ),
        "signal handlers": {number: signal.getsignal(number) for number in signal.valid_signals()},
        "exception hook": sys.excepthook,
        "standard output": sys.stdout,
        "standard error": sys.stderr,
        "module search path": list(sys.path),
        "recursion limit": sys.getrecursionlimit(),
        "level of the root logger": logging.getLogger().level,
        "warning filters": [*warnings.filters],
    }


def _torch_settings() -> _Names:
    import torch

    return {
        "default dtype of torch": torch.get_default_dtype(),
        "default device of torch": torch.get_default_device(),
        "threads of torch": torch.get_num_threads(),
        "gradient mode of torch": torch.is_grad_enabled(),
        "random numbers of torch": (torch.initial_seed(), torch.get_rng_state().tolist()),
        "deterministic mode of torch": torch.are_deterministic_algorithms_enabled(),
    }
