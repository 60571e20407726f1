"""The versions of what a model was made with: those in its file, and those that are installed."""

from __future__ import annotations

from typing import NamedTuple

import torch

from rnnkit._version import __version__
from rnnkit.files.checkpoint.record import Lock
from rnnkit.specs import plugin_of


class LockDifference(NamedTuple):
    """Something that had another version where a model was saved than it has here.

    Attributes:
        name: `rnnkit`, `plugin` or `torch`.
        saved: what the file says; of the plugin its distribution too, None: the kind was a local one.
        installed: what is here; None: the kind is a local one.
    """

    name: str
    saved: str | None
    installed: str | None


def installed_lock(kind: str) -> Lock:
    """The versions that are installed here."""
    return Lock(rnnkit=__version__, plugin=plugin_of(kind), torch=torch.__version__.partition("+")[0])


def lock_differences(saved: Lock, installed: Lock) -> tuple[LockDifference, ...]:
    """What is not the same."""
    pairs = [
        LockDifference(name, getattr(saved, name), getattr(installed, name)) for name in ("rnnkit", "plugin", "torch")
    ]
    return tuple(pair for pair in pairs if pair.saved != pair.installed)
