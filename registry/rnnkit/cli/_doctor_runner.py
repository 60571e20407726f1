"""Loads plugins in separate processes, which may hang, exit or print without limit."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Event
from typing import Any

from rnnkit._messages import short_repr
from rnnkit.catalog import STRICT
from rnnkit.catalog.policy import BLOCK

_WORKER = [sys.executable, "-P", "-X", "importtime", "-m", "rnnkit.cli._doctor_worker"]
_MAX_OUTPUT = 1_000_000  # bytes
_PROCESSES = 2  # at a time
CHANGES = "importing it changes "  # the start of a problem, of what the plugin changes
ENDS = "its process "  # likewise, of a process that ended before the plugin was loaded, as by `os._exit(0)`
_POLLING = 0.02  # seconds
# torch and pydantic search all entry points for their own plugins, unless these variables disable it
_IGNORE_ENTRY_POINTS = {"TORCH_DEVICE_BACKEND_AUTOLOAD": "0", "PYDANTIC_DISABLE_PLUGINS": "__all__"}
_IMPORT_TIME = re.compile(r"^import time: .*\n?", re.MULTILINE)  # a line that `-X importtime` writes
_TORCH_TIME = re.compile(r"^import time: .*\| +(\d+) \| +torch$", re.MULTILINE)  # the second number is cumulative


def examine(distributions: Iterable[str], timeout: float, *, ignore_entry_points: bool = False) -> list[dict[str, Any]]:
    """Load the plugins of each distribution in a process.

    Args:
        distributions: normalized names of the distributions.
        timeout: seconds after which the process of a distribution is stopped.
        ignore_entry_points: whether torch and pydantic ignore entry points, which makes them work beside unreadable
            distributions.

    Returns:
        For each distribution the result of `load_plugins` as far as it came, with `torch_seconds` (None if torch is not
        imported), the `problems` of the process itself added, and the text that was `printed`.
    """
    environment = _environment(_IGNORE_ENTRY_POINTS if ignore_entry_points else {})
    interrupted = Event()
    load = partial(_load_in_process, environment=environment, timeout=timeout, interrupted=interrupted)
    with ThreadPoolExecutor(_PROCESSES) as pool:
        try:
            return list(pool.map(load, distributions))
        finally:  # the processes have their own session, so an interrupt from the keyboard does not reach them
            interrupted.set()
            pool.shutdown(wait=False, cancel_futures=True)


def harmful_changes(distributions: Sequence[str], timeout: float = 60) -> list[str]:
    """Return a message for each distribution whose import harms others, or ends the process."""
    found = zip(distributions, examine(distributions, timeout), strict=True)
    return [
        f"The plugin {distribution} can break others: {problem}. To block it, add {distribution} to {BLOCK}."
        for distribution, result in found
        for problem in result["problems"]
        if problem.startswith((CHANGES, ENDS))
    ]


def torch_import_error() -> str:
    """Import torch in a process, and return the last line of the error, empty on success."""
    done = subprocess.run(  # this very Python
        [sys.executable, "-P", "-c", "import torch"],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        encoding="locale",
        errors="replace",
        env=_environment({}),
        check=False,
    )
    if done.returncode == 0:
        return ""
    return (done.stderr.strip().splitlines() or [_exit_text(done.returncode)])[-1].removesuffix(".")


def _load_in_process(
    distribution: str, *, environment: Mapping[str, str], timeout: float, interrupted: Event
) -> dict[str, Any]:
    # Windows does not remove files that a process of the plugin still has open
    with TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        result, output, errors = (Path(folder) / name for name in ("result.json", "output", "errors"))
        with output.open("wb") as stdout, errors.open("wb") as stderr:
            process = subprocess.Popen(  # noqa: S603  # this very Python
                [*_WORKER, distribution, str(result)],
                stdin=subprocess.DEVNULL,
                stdout=stdout,
                stderr=stderr,
                env=environment,
                start_new_session=True,
            )
        try:
            stopped = _wait(process, [output, errors], timeout, interrupted)
        finally:
            _kill(process)  # the plugin may have left child processes behind
            status = process.wait()
        found, printed, written = _read_result(result), _read_text(output), _read_text(errors)
    problem = _problem(stopped, status, _IMPORT_TIME.sub("", written), loaded=bool(found))
    torch_time = _TORCH_TIME.search(written)
    return {
        **found,
        "torch_seconds": torch_time and int(torch_time[1]) / 1e6,
        "problems": [*found.get("problems", []), *problem],
        "printed": printed,
    }


def _wait(process: subprocess.Popen[bytes], outputs: list[Path], timeout: float, interrupted: Event) -> str:
    """Wait for a process, and return why it has to be stopped, empty if it has exited."""
    end = time.monotonic() + timeout
    while process.poll() is None:
        if time.monotonic() > end:
            return f"was stopped at the timeout of {timeout:g} s"
        if any(output.stat().st_size > _MAX_OUTPUT for output in outputs):
            return f"was stopped after printing {_MAX_OUTPUT:,} bytes"
        if interrupted.wait(_POLLING):
            return "was interrupted"
    return ""


def _problem(stopped: str, status: int, errors: str, *, loaded: bool) -> list[str]:
    if loaded and status == 0:
        return []
    when = "after loading" if loaded else "while loading"
    last = f": {short_repr(errors.splitlines()[-1])}" if errors.strip() and not stopped else ""
    return [f"{ENDS}{stopped or _exit_text(status)} {when}{last}"]


def _environment(extra: Mapping[str, str]) -> dict[str, str]:
    """Return variables that give a process the same modules; without the strict policy, which loads all plugins."""
    path = os.pathsep.join(os.path.abspath(each) for each in sys.path)  # noqa: PTH100  # keeps symbolic links
    kept = {name: value for name, value in os.environ.items() if name != STRICT}
    return kept | {"PYTHONPATH": path, **extra}


def _kill(process: subprocess.Popen[bytes]) -> None:
    if sys.platform == "win32":  # which has no process groups: child processes of the plugin go on
        process.kill()
        return
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)


def _read_result(result: Path) -> dict[str, Any]:
    """Return the result of the process; empty if it did not write one."""
    try:
        found: dict[str, Any] = json.loads(result.read_bytes())
    except (OSError, ValueError):
        return {}
    return found


def _read_text(output: Path) -> str:
    with output.open("rb") as file:
        return file.read(_MAX_OUTPUT).decode(errors="replace")


def _exit_text(status: int) -> str:
    if status >= 0:
        return f"exited with status {status}"
    names = {each.value: each.name for each in signal.Signals}
    return f"was killed by {names.get(-status, f'signal {-status}')}"
