"""Loads the plugins of one distribution and writes the result; `doctor` runs it in its own process."""

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

import rnnkit.catalog.loader  # noqa: F401  # its time and its modules must not count for the plugin
from rnnkit import PluginError, current_catalog
from rnnkit.catalog import Candidate, candidates_by_distribution


class _TorchClock(MetaPathFinder):
    """Measures the first import of torch; `seconds` is None if torch is not imported."""

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


def load_plugins(distribution: str) -> dict[str, Any]:
    """Loads all that a distribution provides; returns `seconds`, `torch_seconds`, `modules` and `problems`."""
    candidates = candidates_by_distribution()[distribution]
    clock, modules, start = _TorchClock(), len(sys.modules), time.perf_counter()
    sys.meta_path.insert(0, clock)
    problems: dict[str, str] = {}
    for candidate in candidates:
        _load(candidate, problems)
    return {
        "seconds": time.perf_counter() - start,
        "torch_seconds": clock.seconds,
        "modules": len(sys.modules) - modules,
        "problems": list(problems.values()),
    }


def _load(candidate: Candidate, problems: dict[str, str]) -> None:
    """Loads a kind, readout or command; adds its error to the problems, one for each cause."""
    try:
        current_catalog().indexes[candidate.category.noun].get(candidate.name)
    except PluginError as error:
        problems.setdefault(error.cause, str(error))


if __name__ == "__main__":
    Path(sys.argv[2]).write_text(json.dumps(load_plugins(sys.argv[1])), encoding="utf-8")
