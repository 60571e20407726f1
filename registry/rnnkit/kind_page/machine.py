"""What something was measured on, when, and with what."""

from __future__ import annotations

import os
import platform
import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import torch

from rnnkit._version import __version__
from rnnkit.kind_page.measurements import Machine
from rnnkit.specs import plugin_of


def this_machine() -> Machine:
    """The machine that this runs on."""
    return Machine(processor=_processor(), cores=os.cpu_count(), system=platform.system())


def today() -> str:
    """The day in UTC, as `2026-01-31`."""
    return datetime.now(UTC).date().isoformat()


def versions(kind: str) -> dict[str, str | None]:
    """What takes part in a measurement of a kind, and in which version."""
    return {
        "rnnkit": __version__,
        "plugin": plugin_of(kind),
        "torch": str(torch.__version__),
        "python": platform.python_version(),
    }


@contextmanager
def one_thread() -> Iterator[None]:
    """Let torch compute on one thread."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    found = re.search(r"^model name\s*:\s*(.+)$", info.read_text(), re.MULTILINE) if info.exists() else None
    return found[1] if found else platform.processor() or platform.machine()
