"""The machine, the date and the versions of a measurement."""

from __future__ import annotations

import os
import platform
import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import torch

from rnnkit import __version__, resolve_kind
from rnnkit_cards.measurements import Machine


def this_machine() -> Machine:
    """The machine on which this process runs."""
    return Machine(processor=_processor(), cores=os.cpu_count(), system=platform.system())


def today() -> str:
    """The date in UTC, as `2026-01-31`."""
    return datetime.now(UTC).date().isoformat()


def versions(kind: str) -> dict[str, str | None]:
    """The versions of rnnkit, of the plugin that provides a kind, of torch and of Python."""
    return {
        "rnnkit": __version__,
        "plugin": _plugin(kind),
        "torch": str(torch.__version__),
        "python": platform.python_version(),
    }


@contextmanager
def single_thread() -> Iterator[None]:
    """Let torch compute on one thread."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def _plugin(kind: str) -> str | None:
    """The distribution that provides a kind, as `rnnkit-nbrc==0.1.0`; None for a kind of this process."""
    candidate = resolve_kind(kind).require()
    if candidate.distribution == "local":
        return None
    version = __version__ if candidate.distribution == "rnnkit" else candidate.version
    return f"{candidate.distribution}=={version}" if version else candidate.distribution


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    found = re.search(r"^model name\s*:\s*(.+)$", info.read_text(), re.MULTILINE) if info.exists() else None
    return found[1] if found else platform.processor() or platform.machine()
