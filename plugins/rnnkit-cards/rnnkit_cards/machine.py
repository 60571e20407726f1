"""The machine, the date and the versions of a measurement."""

from __future__ import annotations

import os
import platform
from datetime import UTC, datetime

import torch

from rnnkit import __version__, resolve_kind
from rnnkit.compare import processor_name
from rnnkit_cards.measurements import Machine


def this_machine() -> Machine:
    """The machine on which this process runs."""
    return Machine(processor=processor_name(), cores=os.cpu_count(), system=platform.system())


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


def _plugin(kind: str) -> str | None:
    """The distribution that provides a kind, as `rnnkit-nbrc==0.1.0`; None for a kind of this process."""
    candidate = resolve_kind(kind).require()
    if candidate.distribution == "local":
        return None
    version = __version__ if candidate.distribution == "rnnkit" else candidate.version
    return f"{candidate.distribution}=={version}" if version else candidate.distribution
