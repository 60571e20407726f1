"""torch's own pool of threads, so that rnnkit and torch never run more threads than `torch.set_num_threads` allows."""

from __future__ import annotations

import ctypes
import functools
import os
from pathlib import Path

import torch

_state = {"forked": False}


def _after_fork() -> None:
    # The threads of the pool do not exist in the child, and waiting for them would never end.
    _state["forked"] = True


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


def parallel_for() -> int | None:
    """Return the address of torch's `parallel_for` in C; None in a forked process, and for a torch without it."""
    return None if _state["forked"] else _address()


@functools.cache
def _address() -> int | None:
    folder = Path(torch.__file__).parent / "lib"
    for file in sorted(folder.glob("*torch_cpu.*")):
        try:
            return ctypes.cast(ctypes.CDLL(str(file)).torch_parallel_for, ctypes.c_void_p).value
        except (OSError, AttributeError):
            continue
    return None
