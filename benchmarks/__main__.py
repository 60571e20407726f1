"""Ratios of rnnkit's time to that of the same thing done by hand, measured in one run.

Run with `make bench`. The two sides of a ratio take turns, call by call, so that a machine that slows down slows both;
the figure of a side is the least process CPU time of all its calls, on one thread. The least time is the one that
other programs disturbed least.
"""

from __future__ import annotations

import argparse
import json
import platform
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

import torch
from rich.console import Console
from rich.table import Table
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from benchmarks import plugins
from rnnkit import RecurrentSpec, __version__, build_model
from tests.handwritten import HANDWRITTEN

OUTPUT_SIZE = 5
# What rnnkit itself imports of its dependencies; torch is not among them.
DEPENDENCIES = "import importlib.metadata, pluggy, pydantic, pydantic.dataclasses, typing_extensions"


class Shape(NamedTuple):
    batch: int
    time: int
    input_size: int
    hidden_size: int
    num_layers: int


SHAPES = {
    "seed": Shape(3, 4, 10, 20, 2),
    "medium": Shape(32, 128, 64, 128, 2),
    "long": Shape(8, 1024, 32, 64, 1),
    "large": Shape(64, 128, 256, 512, 2),
}
TARGETS = {
    "forward": 1.03,
    "training": 1.03,
    "build": 2.0,
    "import": 1.3,
    "list_kinds": 1.5,
    "first build": 1.0,
}
SEED_TARGETS = {"forward": 1.25, "training": 1.10}


@dataclass(frozen=True)
class Result:
    """One ratio: what was measured, on which kind and shape, in milliseconds."""

    what: str
    kind: str
    shape: str
    ours: float
    by_hand: float
    ratio: float
    target: float


def least_times(ours: Callable[[], float], by_hand: Callable[[], float], seconds: float) -> tuple[float, float]:
    """The least of what each returns, the two called in turn for so many seconds and at least 5 times each."""
    ours(), by_hand()
    times: tuple[list[float], list[float]] = ([], [])
    end = time.perf_counter() + seconds
    while len(times[0]) < 5 or time.perf_counter() < end:
        for side in (0, 1) if len(times[0]) % 2 else (1, 0):
            times[side].append((ours, by_hand)[side]())
    return min(times[0]), min(times[1])


def compare(what: str, kind: str, shape: str, times: tuple[float, float]) -> Result:
    ours, by_hand = times
    target = SEED_TARGETS.get(what, TARGETS[what]) if shape == "seed" else TARGETS[what]
    return Result(what, kind, shape, round(ours, 4), round(by_hand, 4), round(ours / by_hand, 3), target)


def cpu_milliseconds(call: Callable[[], object]) -> float:
    start = time.process_time_ns()
    call()
    return (time.process_time_ns() - start) / 1e6


def forward(model: nn.Module, x: Tensor, _target: Tensor) -> None:
    with torch.no_grad():
        model(x)


def training(model: nn.Module, x: Tensor, target: Tensor) -> None:
    model.zero_grad()
    cross_entropy(model(x), target).backward()


def spec_of(kind: str, shape: Shape) -> RecurrentSpec:
    sizes = {"input_size": shape.input_size, "hidden_size": shape.hidden_size, "num_layers": shape.num_layers}
    return RecurrentSpec.from_dict(
        {"kind": kind, "output_size": OUTPUT_SIZE, "options": HANDWRITTEN[kind].options, **sizes}
    )


def same_models(kind: str, shape: Shape) -> tuple[nn.Module, nn.Module]:
    """The kind's model and the handwritten one, with the same weights."""
    torch.manual_seed(0)
    ours = build_model(spec_of(kind, shape))
    torch.manual_seed(0)
    return ours, HANDWRITTEN[kind].build(*shape[2:], OUTPUT_SIZE)


def model_results(names: list[str], seconds: float) -> Iterator[Result]:
    for name in names:
        shape = SHAPES[name]
        for kind in HANDWRITTEN:
            ours, by_hand = same_models(kind, shape)
            data = torch.randn(shape.batch, shape.time, shape.input_size), torch.arange(shape.batch) % OUTPUT_SIZE
            for what, run in (("forward", forward), ("training", training)):
                of_ours = partial(cpu_milliseconds, partial(run, ours, *data))
                of_theirs = partial(cpu_milliseconds, partial(run, by_hand, *data))
                yield compare(what, kind, name, least_times(of_ours, of_theirs, seconds))


def build_results(seconds: float) -> Iterator[Result]:
    """`build_model` against the constructor: the plugin is loaded, and the spec is made, by the first call."""
    shape = SHAPES["seed"]
    for kind in HANDWRITTEN:
        ours = partial(cpu_milliseconds, partial(build_model, spec_of(kind, shape)))
        by_hand = partial(cpu_milliseconds, partial(HANDWRITTEN[kind].build, *shape[2:], OUTPUT_SIZE))
        yield compare("build", kind, "seed", least_times(ours, by_hand, seconds))


def process_milliseconds(code: str) -> float:
    """CPU time of a fresh interpreter that runs the code."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, "-c", code], check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return 1e3 * (after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)


def import_result(seconds: float) -> Result:
    times = least_times(
        partial(process_milliseconds, "import rnnkit"), partial(process_milliseconds, DEPENDENCIES), seconds
    )
    return compare("import", "-", "-", times)


def plugin_results(seconds: float) -> Iterator[Result]:
    """Listing against the bare scan of entry points; the first build among many against one alone and a scan."""
    with TemporaryDirectory() as nothing:
        for count, folder in plugins.folders():
            listing = least_times(partial(plugins.list_kinds, folder), partial(plugins.scan, folder), seconds)
            yield compare("list_kinds", "-", f"{count} plugins", listing)
            alone = partial(plugins.first_build, Path(nothing))
            among, by_itself = least_times(partial(plugins.first_build, folder), alone, seconds)
            scans = least_times(partial(plugins.scan_beside_torch, folder), alone, seconds)
            yield compare("first build", "gru", f"{count} plugins", (among, by_itself + scans[0]))


def print_table(results: list[Result], console: Console) -> None:
    table = Table(title="CPU time, rnnkit / by hand, one thread")
    for heading in ("what", "kind", "shape"):
        table.add_column(heading, no_wrap=True)
    for heading in ("rnnkit, ms", "by hand, ms", "ratio", "target"):
        table.add_column(heading, justify="right")
    for result in results:
        ratio = f"{result.ratio:.3f}" if result.ratio <= result.target else f"[bold red]{result.ratio:.3f} missed[/]"
        figures = (f"{result.ours:.3f}", f"{result.by_hand:.3f}", ratio, f"{result.target}")
        table.add_row(result.what, result.kind, result.shape, *figures)
    console.print(table)
    for name, shape in SHAPES.items():
        console.print(f"{name}: {', '.join(f'{field} {size}' for field, size in shape._asdict().items())}")


def save(results: list[Result], path: Path) -> None:
    machine = {"processor": platform.processor() or platform.machine(), "system": platform.system(), "threads": 1}
    versions = {"rnnkit": __version__, "torch": torch.__version__, "python": platform.python_version()}
    date = datetime.now(UTC).date().isoformat()
    record = {"date": date, **machine, **versions, "shapes": {name: shape._asdict() for name, shape in SHAPES.items()}}
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({**record, "results": [asdict(result) for result in results]}, indent=1) + "\n")


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__.splitlines()[0])
    parser.add_argument("--shapes", nargs="+", choices=SHAPES, default=list(SHAPES))
    parser.add_argument("--seconds", type=float, default=4.0, help="how long to measure each ratio (default: 4)")
    parser.add_argument("--json", type=Path, default=Path("build/bench.json"))
    arguments = parser.parse_args()

    torch.set_num_threads(1)
    # Gradients that vanish over many steps become denormal numbers, which some processors compute a hundred times
    # slower: the figures would tell more of the random weights than of the code.
    torch.set_flush_denormal(True)
    results = []
    console = Console()
    with console.status("measuring"):
        results += [import_result(4 * arguments.seconds), *build_results(arguments.seconds)]
        results += plugin_results(4 * arguments.seconds)
        results += model_results(arguments.shapes, arguments.seconds)
    print_table(results, console)
    save(results, arguments.json)
    console.print(f"Written to {arguments.json}")


if __name__ == "__main__":
    main()
