"""Where the page of a kind and its measurements lie, and how measurements are read and written."""

from __future__ import annotations

import json
import os
from pathlib import Path

from pydantic import ValidationError

from rnnkit.errors import InputError
from rnnkit.files import atomic_write
from rnnkit.kind_page.measurements import Measurements

FOLDER = "measured"


def page_path(folder: str | os.PathLike[str], kind: str) -> Path:
    """The page of a kind in a folder of pages: `docs/kinds/mgu.md` of `rnnkit-mgu/mgu`."""
    return Path(folder) / f"{_bare(kind)}.md"


def measurements_path(folder: str | os.PathLike[str], kind: str) -> Path:
    """The file with what was measured of a kind: `docs/kinds/measured/mgu.json` of `rnnkit-mgu/mgu`."""
    return Path(folder) / FOLDER / f"{_bare(kind)}.json"


def load_measurements(path: str | os.PathLike[str]) -> Measurements:
    """What `save_measurements` wrote.

    Raises:
        OSError: as from opening the file.
        InputError: there is something else in it.
    """
    text = Path(path).read_bytes()
    try:
        return Measurements.from_json(text.decode())
    except (ValidationError, UnicodeDecodeError) as error:
        raise InputError(f"{os.fspath(path)} has no measurements of this rnnkit: measure again. {error}") from error


def save_measurements(measurements: Measurements, path: str | os.PathLike[str]) -> None:
    """Write measurements as JSON, into a folder that is made where it is missing."""
    write_text(path, json.dumps(measurements.to_dict(), indent=1, ensure_ascii=False) + "\n")


def write_text(path: str | os.PathLike[str], text: str) -> None:
    """Write a file, wholly or not at all, into a folder that is made where it is missing."""
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    with atomic_write(path) as file:
        file.write_text(text, encoding="utf-8", newline="\n")


def _bare(kind: str) -> str:
    return kind.rpartition("/")[2]
