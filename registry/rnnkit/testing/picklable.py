"""Which classes pickle can find again."""

from __future__ import annotations

import sys
from functools import reduce


def has_global_name(cls: type) -> bool:
    """Whether a class is what its module has under its name, unlike one that was made in a function."""
    try:
        found: object = reduce(getattr, cls.__qualname__.split("."), sys.modules[cls.__module__])
    except (AttributeError, KeyError):
        return False
    return found is cls
