"""Loads the plugins of one distribution and writes the result; `doctor` runs it in its own process."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

import rnnkit.catalog.loader  # noqa: F401  # its time and its modules must not count for the plugin
from rnnkit import PluginError, current_catalog
from rnnkit._messages import describe_exception
from rnnkit.catalog import Candidate, candidates_by_distribution
from rnnkit.cli._import_changes import ImportChanges, describe_changes


def load_plugins(distribution: str) -> dict[str, Any]:
    """Load all that a distribution provides, and return `seconds`, `modules`, `problems` and `notes`."""
    candidates = candidates_by_distribution()[distribution]
    changes = ImportChanges()
    modules, start = len(sys.modules), time.perf_counter()
    problems: dict[str, str] = {}
    for candidate in candidates:
        try:
            _load(candidate, problems)
        except Exception as error:  # noqa: BLE001  # the plugin may have replaced anything
            changes.repair()
            problems.setdefault("", f"Loading {candidate} raised {describe_exception(error)}.")
        finally:
            changes.repair()
    measured = {"seconds": time.perf_counter() - start, "modules": len(sys.modules) - modules}
    described = describe_changes(changes.found())
    return {**measured, "problems": [*problems.values(), *described["problems"]], "notes": described["notes"]}


def _load(candidate: Candidate, problems: dict[str, str]) -> None:
    """Load a kind, readout, command or executor, and add its error to the problems, one for each cause."""
    noun, name = candidate.category.noun, candidate.name
    try:
        current_catalog().indexes[noun].get(name)
        problem = _executor_problem(name) if noun == "executor" else None
    except PluginError as error:
        problems.setdefault(error.cause, str(error))
    else:
        if problem:
            problems[problem] = f"Executor {name!r} runs no cell here: {problem}."


def _executor_problem(name: str) -> str | None:
    from rnnkit.executors import executor_instance  # which imports torch, as the plugin has by now

    return executor_instance(name).problem()


if __name__ == "__main__":
    Path(sys.argv[2]).write_text(json.dumps(load_plugins(sys.argv[1])), encoding="utf-8")
