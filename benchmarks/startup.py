"""One-time costs: importing rnnkit, the command line, listing kinds and building a model, with few and many plugins."""

from __future__ import annotations

import resource
import subprocess
import sys
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import torch

from benchmarks import plugins
from benchmarks.by_hand import COUNTERPARTS, LOOP
from benchmarks.figures import CELLS, Figure
from benchmarks.kinds import RNNKIT, spec_of
from benchmarks.shapes import OUTPUT_SIZE, SHAPES
from benchmarks.timing import CPU, in_turn, low, milliseconds
from rnnkit import build_model

# The dependencies that rnnkit imports; torch is not among them.
DEPENDENCIES = "import importlib.metadata, pluggy, pydantic, pydantic.dataclasses, typing_extensions"
# Libraries that commands are often written with; importing them is a lower bound of such a command.
COMMAND_LIBRARIES = "import typer, rich, pydantic"
COMMANDS = ("--help", "list", "why lstm")


def figures(kinds: Sequence[str], seconds: float) -> Iterator[Figure]:
    torch.set_num_threads(1)
    yield _import_figure(seconds)
    for command in COMMANDS:
        yield _command_figure(command, seconds)
    for kind in kinds:
        if COUNTERPARTS[kind]:
            yield _build_figure(kind, seconds)
    for count, folder in plugins.folders():
        yield _listing_figure(count, folder, seconds)
        yield _first_build_figure(count, folder, seconds)


def _figure(what: str, kind: str, shape: str, against: str, readings: dict[str, list[float]]) -> Figure:
    """Return the ratio of the first side to the sum of the others."""
    ours, *others = map(low, readings.values())
    calls = min(map(len, readings.values()))
    unit = f"ms of {CPU.name}"
    return Figure(
        what=what,
        kind=kind,
        shape=shape,
        against=against,
        unit=unit,
        threads=1,
        ours=ours,
        theirs=sum(others),
        calls=calls,
    )


def _import_figure(seconds: float) -> Figure:
    sides = {
        RNNKIT: partial(_process_milliseconds, "-c", "from rnnkit import RecurrentSpec, list_kinds"),
        "dependencies": partial(_process_milliseconds, "-c", DEPENDENCIES),
    }
    return _figure("import", "-", "-", "importing its dependencies", in_turn(sides, 4 * seconds))


def _command_figure(command: str, seconds: float) -> Figure:
    sides = {
        RNNKIT: partial(_process_milliseconds, "-m", "rnnkit", *command.split()),
        "libraries": partial(_process_milliseconds, "-c", COMMAND_LIBRARIES),
    }
    return _figure("command", "-", command, "importing typer, rich, pydantic", in_turn(sides, 2 * seconds))


def _process_milliseconds(*arguments: str) -> float:
    """Return the CPU time of a new interpreter with these arguments."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, *arguments], check=True, stdout=subprocess.DEVNULL)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return 1e3 * (after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)


def _build_figure(kind: str, seconds: float) -> Figure:
    """Compare `build_model` with the constructor; the first call loads the plugin and creates the spec."""
    shape = SHAPES["seed"]
    against = LOOP if kind in CELLS else next(iter(COUNTERPARTS[kind]))
    sizes = (shape.input_size, shape.hidden_size, shape.num_layers, OUTPUT_SIZE)
    sides = {
        RNNKIT: partial(milliseconds, CPU, partial(build_model, spec_of(kind, shape))),
        against: partial(milliseconds, CPU, partial(COUNTERPARTS[kind][against], *sizes)),
    }
    return _figure("build", kind, "seed", against, in_turn(sides, seconds))


def _listing_figure(count: int, folder: Path, seconds: float) -> Figure:
    sides = {RNNKIT: partial(plugins.list_kinds, folder), "scan": partial(plugins.scan, folder)}
    return _figure("list_kinds", "-", f"{count} plugins", "the bare scan", in_turn(sides, 2 * seconds))


def _first_build_figure(count: int, folder: Path, seconds: float) -> Figure:
    """Compare the first build among many plugins with the first build without plugins plus a scan."""
    with TemporaryDirectory() as empty:
        sides = {
            RNNKIT: partial(plugins.first_build, folder),
            "alone": partial(plugins.first_build, Path(empty)),
            "scan": partial(plugins.scan_beside_torch, folder),
        }
        return _figure("first build", "gru", f"{count} plugins", "alone, and a scan", in_turn(sides, 2 * seconds))
