"""Loads the plugins of one distribution and writes down what that took; `doctor` runs it in a process of its own."""

from __future__ import annotations

import json
import sys
import time
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import Any

import rnnkit.catalog.loader  # noqa: F401  # here, since its time and its modules are not the plugin's
from rnnkit import PluginError, current_catalog
from rnnkit.catalog import canonical, entry_points_by_distribution


class TorchClock(MetaPathFinder):
    """Measures how long the import of torch takes, within whatever imports it first.

    Attributes:
        seconds: None: nothing has imported it.
    """

    seconds: float | None = None

    def find_spec(self, fullname: str, _path: object, _target: object = None) -> ModuleSpec | None:
        if fullname != "torch":
            return None
        sys.meta_path.remove(self)
        spec = find_spec("torch")
        if spec is not None and spec.loader is not None:
            self._measure(spec.loader)
        return spec

    def _measure(self, loader: Loader) -> None:
        execute = loader.exec_module

        def measured(module: ModuleType) -> None:
            start = time.perf_counter()
            try:
                execute(module)
            finally:
                self.seconds = time.perf_counter() - start

        loader.exec_module = measured  # type: ignore[method-assign]  # of this one object


def trial(distribution: str) -> dict[str, Any]:
    """Load all the kinds of a distribution.

    Returns:
        What it took: `seconds`, `seconds_of_torch` and `modules`, and the `problems`.
    """
    names = [canonical(distribution, entry.name) for entry in entry_points_by_distribution()[distribution]]
    clock, modules, start = TorchClock(), len(sys.modules), time.perf_counter()
    sys.meta_path.insert(0, clock)
    problems: dict[str, str] = {}
    for name in names:
        _try(name, problems)
    return {
        "seconds": time.perf_counter() - start,
        "seconds_of_torch": clock.seconds,
        "modules": len(sys.modules) - modules,
        "problems": list(problems.values()),
    }


def _try(name: str, problems: dict[str, str]) -> None:
    """Load a kind; what is wrong goes to the problems, by their causes, each of which is told once."""
    try:
        current_catalog().get(name)
    except PluginError as error:
        problems.setdefault(error.cause, str(error))


if __name__ == "__main__":
    Path(sys.argv[2]).write_text(json.dumps(trial(sys.argv[1])), encoding="utf-8")
