"""Paths of cards and measurements; reads and writes measurements."""

from __future__ import annotations

import json
import os
from pathlib import Path

from pydantic import ValidationError

from rnnkit import InputError
from rnnkit_cards.measurements import Measurements

FOLDER = "measured"


def card_path(folder: str | os.PathLike[str], kind: str) -> Path:
    """The card of a kind in a folder: `docs/kinds/nbrc.md` for `rnnkit-nbrc/nbrc`."""
    return Path(folder) / f"{_bare_name(kind)}.md"


def measurements_path(folder: str | os.PathLike[str], kind: str) -> Path:
    """The measurements of a kind in a folder: `docs/kinds/measured/nbrc.json` for `rnnkit-nbrc/nbrc`."""
    return Path(folder) / FOLDER / f"{_bare_name(kind)}.json"


def load_measurements(path: str | os.PathLike[str]) -> Measurements:
    """Read a file that `save_measurements` wrote.

    Raises:
        OSError: the file cannot be opened.
        InputError: the file does not contain measurements in today's format.
    """
    data = Path(path).read_bytes()
    try:
        return Measurements.from_json(data.decode())
    except (ValidationError, UnicodeDecodeError) as error:
        raise InputError(
            f"{os.fspath(path)} does not contain measurements of this version of rnnkit-cards: measure again. {error}"
        ) from error


def save_measurements(measurements: Measurements, path: str | os.PathLike[str]) -> None:
    """Write measurements as JSON; create the folder if it is missing."""
    write_text(path, json.dumps(measurements.to_dict(), indent=1, ensure_ascii=False) + "\n")


def write_text(path: str | os.PathLike[str], text: str) -> None:
    """Write a text file; create the folder if it is missing."""
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    Path(path).write_text(text, encoding="utf-8", newline="\n")


def _bare_name(kind: str) -> str:
    return kind.rpartition("/")[2]
