"""The declarations of a class of cells that name parts of its state."""

from __future__ import annotations

from typing import Any

from rnnkit._messages import join_names

_DECLARATIONS = ("recurrent_dropout_parts", "bookkeeping", "shared_zoneout_mask")


def require_valid_parts(cell: Any, parts: tuple[str, ...]) -> None:
    """Raise TypeError if a class of cells names a part that its state does not have, or declares opposites.

    Args:
        cell: the class.
        parts: the names of the parts of its state.
    """
    for declaration in _DECLARATIONS:
        names = getattr(cell, declaration)
        if not isinstance(names, tuple) or not all(isinstance(name, str) for name in names):
            raise TypeError(f"{cell.__name__}.{declaration} must be a tuple of names, as in `({parts[0]!r},)`")
        unknown = [name for name in names if name not in parts]
        if unknown:
            raise TypeError(
                f"{cell.__name__}.{declaration} names {unknown[0]!r}, but the parts of its state are "
                f"{join_names(parts)}: correct the name, or set State"
            )
    for declaration in ("recurrent_dropout_parts", "shared_zoneout_mask"):
        both = [name for name in getattr(cell, declaration) if name in cell.bookkeeping]
        if both:
            raise TypeError(
                f"{cell.__name__} names {both[0]!r} in bookkeeping, which is never changed at random, and in "
                f"{declaration}: leave it out of one of them"
            )
