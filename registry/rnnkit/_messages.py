"""Helpers for error messages and terminal output."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice

MAX_LISTED = 20  # names, or lines, in one message
_MAX_LENGTH = 200
_MAX_MESSAGE = 2_000  # of the message of another package, or of a plugin
_MAX_KEY = 100
_UNITS = ("bytes", "kB", "MB", "GB", "TB", "PB")


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Return `" Did you mean 'lstm'?"`, or an empty string if no known word is similar. Ignores case."""
    import difflib  # slow to import, and needed for errors only

    originals = {each.lower(): each for each in known}
    close = difflib.get_close_matches(word.lower(), originals, n=1)
    return f" Did you mean {originals[close[0]]!r}?" if close else ""


def short_repr(value: object) -> str:
    """Return the `repr` of a value, truncated; a `repr` that raises is replaced by the name of the class."""
    try:
        text = repr(value)
    except Exception:  # noqa: BLE001  # must not hide the error that the message is about
        text = f"<{type(value).__name__} object>"
    return shorten(text, _MAX_LENGTH)


def shorten(text: str, length: int = _MAX_MESSAGE) -> str:
    """Return the beginning of a text that is longer than some characters."""
    return text if len(text) <= length else f"{text[:length]}..."


def on_one_line(text: str) -> str:
    """Return a text without line breaks, and only the beginning of a long one."""
    return shorten(" ".join(text.split()))


def printable_line(text: str) -> str:
    """Return a text that others wrote as `on_one_line`, with escape sequences in place of control characters."""
    return escape_control_chars(on_one_line(text))


def describe_exception(error: BaseException) -> str:
    """Return the class and the message of an exception on one line."""
    try:
        text = str(error)
    except Exception:  # noqa: BLE001  # must not hide the error that the message is about
        text = ""
    text = on_one_line(text).removesuffix(".")
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def notes_of(error: BaseException) -> list[str]:
    """Return the notes of an exception, or the first twenty and the number of the others."""
    return [*first_lines(map(shorten, map(str, getattr(error, "__notes__", []))), "note")]


def end_sentence(text: str) -> str:
    """Return a text with a period at its end, unless it ends with a punctuation mark."""
    return text if text.endswith((".", "!", "?")) else f"{text}."


def first_lines(lines: Iterable[str], noun: str = "") -> Iterator[str]:
    """Yield the first twenty lines, and a line with the number of the others, as `and 2,000 more problems`."""
    lines = iter(lines)
    yield from islice(lines, MAX_LISTED)
    if left := sum(1 for _ in lines):  # without keeping them: a hostile file may have millions
        yield f"and {counted(left, f'more {noun}') if noun else f'{left:,} more'}"


def dotted(path: Iterable[int | str]) -> str:
    """Join the texts of the keys of a path with dots."""
    return ".".join(key_text(str(key)) for key in path)


def key_text(key: str) -> str:
    """Return a key, or its short `repr` if it is long or has control characters, which could control the terminal."""
    return key if key.isprintable() and len(key) <= _MAX_KEY else short_repr(key)


def join_names(names: Iterable[str], separator: str = ", ") -> str:
    """Return `a, b, c`; of more than twenty names the first ones, and how many there are beside."""
    names = list(names)
    shown, left = separator.join(names[:MAX_LISTED]), len(names) - MAX_LISTED
    return f"{shown} and {left:,} more" if left > 0 else shown


def join_quoted(names: Sequence[str]) -> str:
    """Return `'a', 'b' and 'c'`, or `none`; of more than twenty names the first ones, as `join_names`."""
    if len(names) > MAX_LISTED:
        return join_names(map(short_repr, names))
    quoted = [short_repr(name) for name in names]
    return " and ".join(filter(None, [", ".join(quoted[:-1]), *quoted[-1:]])) or "none"


def counted(count: int, noun: str) -> str:
    """Return a number with a noun, as `1 run` or `2,000 runs`."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def format_bytes(size: float) -> str:
    """Return a number of bytes as `1.2 MB`, in powers of 1000."""
    power = 0
    while size >= 999.95 and power < len(_UNITS) - 1:  # 999.95 would be rounded to 1000.0
        size, power = size / 1000, power + 1
    return f"{size:,.1f} {_UNITS[power]}" if power else f"{size} bytes"


def as_text(value: object) -> str:
    """Return a string unchanged, and the `repr` of anything else that a plugin gives in its place."""
    return value if isinstance(value, str) else short_repr(value)


def escape_control_chars(text: str) -> str:
    """Replace control characters, which could control the terminal, by escape sequences, and keep line breaks."""
    return "".join(each if each.isprintable() or each == "\n" else _escape(each) for each in text)


def _escape(character: str) -> str:
    return character.encode("unicode_escape").decode("ascii")
