"""Loads plugins in separate processes, which may hang, exit or print without limit."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Thread
from typing import IO, TYPE_CHECKING, Any, cast

from rnnkit._messages import short_repr
from rnnkit.catalog import STRICT

if TYPE_CHECKING:
    from io import BufferedReader

_MAX_OUTPUT = 1_000_000  # bytes
_PROCESSES = 2  # at a time
# torch and pydantic search all entry points for their own plugins, unless these variables disable it
_IGNORE_ENTRY_POINTS = {"TORCH_DEVICE_BACKEND_AUTOLOAD": "0", "PYDANTIC_DISABLE_PLUGINS": "__all__"}


def examine(distributions: Iterable[str], timeout: float, *, ignore_entry_points: bool = False) -> list[dict[str, Any]]:
    """Loads the plugins of each distribution in a process.

    Args:
        distributions: normalized names of the distributions.
        timeout: seconds after which the process of a distribution is stopped.
        ignore_entry_points: whether torch and pydantic ignore entry points, which makes them work beside unreadable
            distributions.

    Returns:
        For each distribution the result of `load_plugins` as far as it came, with the `problems` of the process itself
        added, and the text that was `printed`.
    """
    extra = _IGNORE_ENTRY_POINTS if ignore_entry_points else {}
    processes = [_PluginProcess(distribution, timeout, extra) for distribution in distributions]
    with ThreadPoolExecutor(_PROCESSES) as pool:
        try:
            return list(pool.map(_PluginProcess.run, processes))
        finally:  # the processes have their own session, so an interrupt from the keyboard does not reach them
            pool.shutdown(wait=False, cancel_futures=True)
            for process in processes:
                process.stop("was interrupted")


def torch_import_error() -> str:
    """Imports torch in a process; returns the last line of the error, empty on success."""
    done = subprocess.run(  # this very Python
        [sys.executable, "-P", "-c", "import torch"],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        errors="replace",
        env=_environment({}),
        check=False,
    )
    if done.returncode == 0:
        return ""
    return (done.stderr.strip().splitlines() or [_exit_text(done.returncode)])[-1].removesuffix(".")


class _PluginProcess:
    """The process that loads the plugins of one distribution."""

    def __init__(self, distribution: str, timeout: float, environment: Mapping[str, str]) -> None:
        self._start = partial(_start, distribution, environment=environment)
        self._timeout = timeout
        self._process: subprocess.Popen[bytes] | None = None
        self._stop_reason = ""

    def run(self) -> dict[str, Any]:
        with TemporaryDirectory() as folder:
            result = Path(folder) / "result.json"
            self._process = process = self._start(result)
            if self._stop_reason:
                _kill(process)
            printed, errors = _Reader(process.stdout, self.stop), _Reader(process.stderr, self.stop)
            status = self._wait(process)
            found = _read_result(result)
        problems = [*found.pop("problems", []), *self._problem(status, errors.text(), loaded=bool(found))]
        return {**found, "problems": problems, "printed": printed.text()}

    def stop(self, reason: str) -> None:
        """Kills the process and its children, also if it starts later; does nothing if it has exited."""
        if self._process is None or self._process.poll() is None:
            self._stop_reason = self._stop_reason or reason
            if self._process is not None:
                _kill(self._process)

    def _problem(self, status: int, errors: str, *, loaded: bool) -> list[str]:
        if loaded and status == 0:
            return []
        when = "after loading" if loaded else "while loading"
        last = f": {short_repr(errors.splitlines()[-1])}" if errors.strip() and not self._stop_reason else ""
        return [f"its process {self._stop_reason or _exit_text(status)} {when}{last}"]

    def _wait(self, process: subprocess.Popen[bytes]) -> int:
        try:
            process.wait(self._timeout)
        except subprocess.TimeoutExpired:
            self.stop(f"was stopped at the timeout of {self._timeout:g} s")
        finally:
            _kill(process)  # the plugin may have left child processes behind
        return process.wait()


class _Reader(Thread):
    """Reads a pipe to its end, and stops a process that writes too much into it."""

    def __init__(self, pipe: IO[bytes] | None, stop: Callable[[str], None]) -> None:
        super().__init__(daemon=True)
        self._pipe = cast("BufferedReader", pipe)
        self._on_overflow = stop
        self._read = bytearray()
        self.start()

    def run(self) -> None:
        with self._pipe as pipe:
            while chunk := pipe.read1():
                self._read += chunk
                if len(self._read) > _MAX_OUTPUT:
                    self._on_overflow(f"was stopped after printing {_MAX_OUTPUT:,} bytes")
                    break  # only now: writing to a closed pipe is an error in the process

    def text(self) -> str:
        self.join(1)  # a child process in another group may keep the pipe open
        return self._read.decode(errors="replace")


def _start(distribution: str, result: Path, *, environment: Mapping[str, str]) -> subprocess.Popen[bytes]:
    return subprocess.Popen(  # noqa: S603  # this very Python
        [sys.executable, "-P", "-m", "rnnkit.cli._doctor_worker", distribution, str(result)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=_environment(environment),
        start_new_session=True,
    )


def _environment(extra: Mapping[str, str]) -> dict[str, str]:
    """Returns variables that give a process the same modules; without the strict policy, which loads all plugins."""
    path = os.pathsep.join(os.path.abspath(each) for each in sys.path)  # noqa: PTH100  # keeps symbolic links
    kept = {name: value for name, value in os.environ.items() if name != STRICT}
    return kept | {"PYTHONPATH": path, **extra}


def _kill(process: subprocess.Popen[bytes]) -> None:
    if not hasattr(os, "killpg"):  # Windows
        process.kill()
        return
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)


def _read_result(result: Path) -> dict[str, Any]:
    """Returns the result of the process; empty if it did not write one."""
    try:
        found: dict[str, Any] = json.loads(result.read_bytes())
    except (OSError, ValueError):
        return {}
    return found


def _exit_text(status: int) -> str:
    if status >= 0:
        return f"exited with status {status}"
    names = {each.value: each.name for each in signal.Signals}
    return f"was killed by {names.get(-status, f'signal {-status}')}"
