"""Loads plugins in processes of their own, which may hang, die or flood without harm to this one."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Thread
from typing import IO, TYPE_CHECKING, Any, cast

from rnnkit._messages import short_repr
from rnnkit.catalog import STRICT

if TYPE_CHECKING:
    from io import BufferedReader

_FLOOD = 1_000_000  # bytes, more of which no plugin has to print
_AT_A_TIME = 2


def examine(distributions: Iterable[str], timeout: float) -> list[dict[str, Any]]:
    """What loading the plugins of each distribution takes, and all that goes wrong with it.

    Args:
        distributions: their normalised names.
        timeout: after how many seconds the process of a distribution is stopped.

    Returns:
        For each what `trial` found, as far as it came, with the `problems` of the process itself, and what it `prints`.
    """
    trials = [_Trial(distribution, timeout) for distribution in distributions]
    with ThreadPoolExecutor(_AT_A_TIME) as pool:
        try:
            return list(pool.map(_Trial.run, trials))
        finally:  # an interrupt from the keyboard comes to this process alone
            pool.shutdown(wait=False, cancel_futures=True)
            for trial in trials:
                trial.stop("was interrupted")


class _Trial:
    """The process that loads the plugins of one distribution."""

    def __init__(self, distribution: str, timeout: float) -> None:
        self._distribution = distribution
        self._timeout = timeout
        self._process: subprocess.Popen[bytes] | None = None
        self._stopped = ""  # why, if it was

    def run(self) -> dict[str, Any]:
        """What it finds, and what is wrong with how it ends."""
        with TemporaryDirectory() as folder:
            result = Path(folder) / "result.json"
            self._process = process = _start(self._distribution, result)
            if self._stopped:
                _kill(process)
            printed, errors = _Reader(process.stdout, self.stop), _Reader(process.stderr, self.stop)
            status = self._status(process)
            found = _found(result)
        problems = [*found.pop("problems", []), *self._problem(status, errors.text(), loaded=bool(found))]
        return {**found, "problems": problems, "prints": printed.text()}

    def stop(self, why: str) -> None:
        """End the process and all that it has started, as soon as it begins; nothing, if it has ended already."""
        if self._process is None or self._process.poll() is None:
            self._stopped = self._stopped or why
            if self._process is not None:
                _kill(self._process)

    def _problem(self, status: int, errors: str, *, loaded: bool) -> list[str]:
        """What is wrong with how it ended, if something is."""
        if loaded and status == 0:
            return []
        when = "when it had been loaded" if loaded else "while it was being loaded"
        last = f": {short_repr(errors.splitlines()[-1])}" if errors.strip() and not self._stopped else ""
        return [f"its process {self._stopped or _end(status)} {when}{last}"]

    def _status(self, process: subprocess.Popen[bytes]) -> int:
        try:
            process.wait(self._timeout)
        except subprocess.TimeoutExpired:
            self.stop(f"was stopped after {self._timeout:g} s")
        finally:
            _kill(process)  # that is, what the plugin itself has started and left behind
        return process.wait()


class _Reader(Thread):
    """Reads a pipe to its end, and stops a process that writes too much into it."""

    def __init__(self, pipe: IO[bytes] | None, stop: Callable[[str], None]) -> None:
        super().__init__(daemon=True)
        self._pipe = cast("BufferedReader", pipe)
        self._on_flood = stop
        self._read = bytearray()
        self.start()

    def run(self) -> None:
        with self._pipe as pipe:
            while chunk := pipe.read1():
                self._read += chunk
                if len(self._read) > _FLOOD:
                    self._on_flood(f"was stopped after it had printed {_FLOOD:,} bytes")
                    break  # and not before: a pipe that is closed is an error to who writes

    def text(self) -> str:
        """What has come."""
        self.join(1)  # a process that has left the group may keep the pipe open
        return self._read.decode(errors="replace")


def _start(distribution: str, result: Path) -> subprocess.Popen[bytes]:
    """A process that finds the same modules as this one, in which no strict policy loads any other plugin."""
    path = os.pathsep.join(os.path.abspath(each) for each in sys.path)  # noqa: PTH100  # which keeps links as they are
    environment = {name: value for name, value in os.environ.items() if name != STRICT}
    return subprocess.Popen(  # noqa: S603  # this very Python
        [sys.executable, "-P", "-m", "rnnkit.cli.doctor_worker", distribution, str(result)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environment | {"PYTHONPATH": path},
        start_new_session=True,
    )


def _kill(process: subprocess.Popen[bytes]) -> None:
    if not hasattr(os, "killpg"):  # on Windows
        process.kill()
        return
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)


def _found(result: Path) -> dict[str, Any]:
    """What the process has written; nothing, if it did not come so far."""
    try:
        found: dict[str, Any] = json.loads(result.read_bytes())
    except (OSError, ValueError):
        return {}
    return found


def _end(status: int) -> str:
    """How a process has ended by itself."""
    if status >= 0:
        return f"ended with exit status {status}"
    names = {each.value: each.name for each in signal.Signals}
    return f"was killed by {names.get(-status, f'signal {-status}')}"
