"""The rule of kinds with heads."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from rnnkit import Problem, RecurrentSpec


def check_heads(spec: RecurrentSpec[Any]) -> Iterator[Problem]:
    """Yield a problem if the option `heads` does not divide the size of each layer."""
    heads, sizes = spec.options.heads, spec.hidden_sizes
    if any(size % heads for size in sizes):
        text = f"heads={heads} does not divide hidden_size={spec.hidden_size}; use heads=1 or a divisor"
        yield Problem("options.heads", text)
