"""Measures the figures of the pictures in the tutorials, by running the tutorials.

It runs the code of the pages. `python -m docs.pictures.measure_tutorials` takes a minute and writes `tutorials.json`.
"""

from __future__ import annotations

import json
import re
from contextlib import redirect_stdout
from hashlib import sha256
from io import StringIO
from pathlib import Path
from typing import Any

import torch

from benchmarks import machine

FILE = Path(__file__).with_name("tutorials.json")
TUTORIALS = Path(__file__).parents[1] / "tutorials"
SHOWN = slice(340, 740)  # of the held-out part of the recording


def code_of(tutorial: str) -> list[str]:
    """Return the Python blocks above the last picture of a tutorial."""
    text = (TUTORIALS / f"{tutorial}.md").read_text(encoding="utf-8").rpartition("--8<--")[0]
    return re.findall(r"^```python\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)


def digest_of(tutorial: str) -> str:
    """Return a digest of the code, by which a test detects that the figures are out of date."""
    return sha256("".join(code_of(tutorial)).encode()).hexdigest()[:16]


def names_of(tutorial: str) -> dict[str, Any]:
    """Run the code of a tutorial and return its global variables."""
    names: dict[str, Any] = {"__name__": tutorial}
    for code in code_of(tutorial):
        with redirect_stdout(StringIO()):
            exec(compile(code, tutorial, "exec"), names)  # noqa: S102  # our own pages
    return names


def digits() -> dict[str, Any]:
    names = names_of("digits")
    return {"accuracies": rounded(names["curves"]), "confusion": names["confusion"].tolist()}


def lengths() -> dict[str, Any]:
    names = names_of("variable_lengths")
    return {
        "batch_sizes": names["batch_sizes"],
        "shares": rounded(names["shares"]),
        "other": names["classes"].count("other") / len(names["classes"]),
    }


def streaming() -> dict[str, Any]:
    return {"after_row": rounded(names_of("streaming")["after"])}


def truncated() -> dict[str, Any]:
    names = names_of("truncated_bptt")
    voltage, change, start = names["voltage"], names["change"], names["TRAINING"]
    ahead = names["AHEAD"]
    in_mv = {name: voltage[:-ahead] + change * each[:, 0] for name, each in names["predictions"].items()}
    forecasts = {name: forecast[start - ahead :][SHOWN].tolist() for name, forecast in in_mv.items()}
    return {
        "errors": rounded(names["errors"], 2),
        "series": rounded({"measured": voltage[start:][SHOWN].tolist(), **forecasts}, 1),
    }


def rounded(value: Any, digits: int = 4) -> Any:
    if isinstance(value, dict):
        return {name: rounded(each, digits) for name, each in value.items()}
    return [rounded(each, digits) for each in value] if isinstance(value, (list, tuple)) else round(value, digits)


MEASURES = {"digits": digits, "variable_lengths": lengths, "streaming": streaming, "truncated_bptt": truncated}


def main() -> None:
    torch.set_num_threads(1)
    measured = {name: {"code": digest_of(name), **measure()} for name, measure in MEASURES.items()}
    FILE.write_text(json.dumps({"measured_on": machine.describe(), **measured}) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
