"""Loads the plugins of one distribution and writes the result; `doctor` runs it in its own process."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

import rnnkit.catalog.loader  # noqa: F401  # its time and its modules must not count for the plugin
from rnnkit import PluginError, current_catalog
from rnnkit.catalog import Candidate, candidates_by_distribution


def load_plugins(distribution: str) -> dict[str, Any]:
    """Load all that a distribution provides, and return `seconds`, `modules` and `problems`."""
    candidates = candidates_by_distribution()[distribution]
    modules, start = len(sys.modules), time.perf_counter()
    problems: dict[str, str] = {}
    for candidate in candidates:
        _load(candidate, problems)
    return {
        "seconds": time.perf_counter() - start,
        "modules": len(sys.modules) - modules,
        "problems": list(problems.values()),
    }


def _load(candidate: Candidate, problems: dict[str, str]) -> None:
    """Load a kind, readout, command or executor, and add its error to the problems, one for each cause."""
    try:
        current_catalog().indexes[candidate.category.noun].get(candidate.name)
    except PluginError as error:
        problems.setdefault(error.cause, str(error))


if __name__ == "__main__":
    Path(sys.argv[2]).write_text(json.dumps(load_plugins(sys.argv[1])), encoding="utf-8")
