"""The processor of a measurement, and the number of threads that it uses."""

from __future__ import annotations

import platform
import re
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import torch


@cache
def processor_name() -> str:
    """Return the name of this machine's processor, such as `AMD EPYC 7763`; its architecture where it has none."""
    info = Path("/proc/cpuinfo")
    text = info.read_text("utf-8", "replace") if info.exists() else ""
    found = re.search(r"^model name\s*:\s*(.+)$", text, re.MULTILINE)
    return found[1] if found else platform.processor() or platform.machine()


@contextmanager
def single_thread() -> Iterator[None]:
    """Let torch compute on one thread, so that measurements side by side do not share processors."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
