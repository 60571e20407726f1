"""How the time to save, load and verify a model grows with its number of layers: `python -m benchmarks.growth`."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

import torch

from rnnkit import RecurrentSpec, build_model, load_model, save_model, verify_model

LAYERS = (1000, 2000, 4000)
KINDS = ("lstm", "gru_cell")


def seconds_of(kind: str, layers: int, folder: Path) -> dict[str, float]:
    """Return the CPU time of each function for a model of one feature."""
    path = folder / "model.safetensors"
    spec = RecurrentSpec(kind=kind, input_size=1, hidden_size=1, num_layers=layers)
    model = build_model(spec)
    actions: dict[str, Callable[[], object]] = {
        "build": lambda: build_model(spec),
        "save": lambda: save_model(model, path),
        "load": lambda: load_model(path),
        "verify": lambda: verify_model(path),
    }
    return {name: _seconds(action) for name, action in actions.items()}


def _seconds(action: Callable[[], object]) -> float:
    started = time.process_time()
    action()
    return time.process_time() - started


def main() -> None:
    """Print, for each function, its time relative to that with the fewest layers."""
    torch.set_num_threads(1)
    with TemporaryDirectory() as folder:
        seconds_of("lstm", 2, Path(folder))  # imports
        for kind in KINDS:
            times = [seconds_of(kind, layers, Path(folder)) for layers in LAYERS]
            for name, first in times[0].items():
                ratios = ", ".join(
                    f"{layers:,}: {each[name] / first:.2f}" for layers, each in zip(LAYERS, times, strict=True)
                )
                sys.stdout.write(f"{kind} {name}, time by layers: {ratios}\n")


if __name__ == "__main__":
    main()
