"""How the time of functions grows with the number of layers: `python -m benchmarks.growth`."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import torch

from rnnkit import (
    RecurrentSpec,
    SpecFileError,
    build_model,
    load_model,
    load_spec,
    save_model,
    save_spec,
    summarize_spec,
    verify_model,
)

LAYERS = (1000, 2000, 4000)
KINDS = ("lstm", "gru_cell")
SUFFIXES = (".json", ".toml", ".yaml")


Actions = dict[str, Callable[[], object]]


def model_actions(kind: str, layers: int, folder: Path) -> Actions:
    """Return functions of a model of one feature; each uses the results of those before it."""
    path = folder / "model.safetensors"
    spec = RecurrentSpec(kind=kind, input_size=1, hidden_size=1, num_layers=layers)
    model = build_model(spec)
    quarter = replace(spec, num_layers=max(layers // 4, 1))  # a summary has at most 1000 layers
    return {
        "build": lambda: build_model(spec),
        "save": lambda: save_model(model, path),
        "load": lambda: load_model(path),
        "verify": lambda: verify_model(path),
        "summarize a quarter": lambda: summarize_spec(quarter, time=1),
    }


def file_actions(layers: int, folder: Path) -> Actions:
    """Return functions of spec files that have an entry for each layer, and of one that is wrong in each."""
    spec = RecurrentSpec(kind="gru_cell", input_size=1, hidden_size=(1,) * layers, num_layers=layers)
    wrong = folder / "wrong.toml"
    wrong.write_text("[[cells]]\nkind = 'gru_cell'\n" * layers, encoding="utf-8")
    actions: Actions = {"load a wrong .toml": partial(_load_wrong, wrong)}
    for suffix in SUFFIXES:
        path = folder / f"spec{suffix}"
        actions[f"save {suffix}"] = partial(save_spec, spec, path)
        actions[f"load {suffix}"] = partial(load_spec, path)
    return actions


MEASURED: dict[str, Callable[[int, Path], Actions]] = {
    **{kind: partial(model_actions, kind) for kind in KINDS},
    "specs": file_actions,
}


def _load_wrong(path: Path) -> None:
    with suppress(SpecFileError):
        load_spec(path)


def seconds_of(actions: Actions) -> dict[str, float]:
    """Return the CPU time of each function."""
    return {name: _seconds(action) for name, action in actions.items()}


def _seconds(action: Callable[[], object]) -> float:
    started = time.process_time()
    action()
    return time.process_time() - started


def main() -> None:
    """Print, for each function, its time relative to that with the fewest layers."""
    torch.set_num_threads(1)
    with TemporaryDirectory() as folder:
        for name, actions_of in MEASURED.items():
            seconds_of(actions_of(2, Path(folder)))  # imports
            times = [seconds_of(actions_of(layers, Path(folder))) for layers in LAYERS]
            for action, first in times[0].items():
                ratios = ", ".join(
                    f"{layers:,}: {each[action] / first:.2f}" for layers, each in zip(LAYERS, times, strict=True)
                )
                sys.stdout.write(f"{name} {action}, time by layers: {ratios}\n")


if __name__ == "__main__":
    main()
