"""The making of messages: what was meant, what was said, what came instead."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

_LONGEST = 200
_UNITS = ("bytes", "kB", "MB", "GB", "TB", "PB")


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """`" Did you mean 'lstm'?"`, or an empty string where nothing is close; upper and lower case count the same."""
    import difflib  # only where something is wrong

    originals = {each.lower(): each for each in known}
    close = difflib.get_close_matches(word.lower(), originals, n=1)
    return f" Did you mean {originals[close[0]]!r}?" if close else ""


def short_repr(value: object) -> str:
    """A value for a message: its `repr`, cut short, whatever its `repr` does."""
    try:
        text = repr(value)
    except Exception:  # noqa: BLE001  # a message must come about all the same
        text = f"<{type(value).__name__} object>"
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}..."


def describe_exception(error: BaseException) -> str:
    """An exception for a message: its class and what it says, if it says anything."""
    try:
        text = str(error)
    except Exception:  # noqa: BLE001  # a message must come about all the same
        text = ""
    text = " ".join(text.split()).removesuffix(".")
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def join_quoted(names: Sequence[str]) -> str:
    """`'a', 'b' and 'c'`, or `none`."""
    quoted = [repr(name) for name in names]
    return " and ".join(filter(None, [", ".join(quoted[:-1]), *quoted[-1:]])) or "none"


def format_bytes(size: float) -> str:
    """A number of bytes as `1.2 MB`, in powers of 1000."""
    power = 0
    while size >= 999.95 and power < len(_UNITS) - 1:  # what would be rounded to 1000.0
        size, power = size / 1000, power + 1
    return f"{size:,.1f} {_UNITS[power]}" if power else f"{size} bytes"
