"""Time to save and load a model, compared with `torch.save` and `torch.load`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from torch import nn

from benchmarks.figures import Figure
from benchmarks.timing import CPU, in_turn, low, milliseconds
from rnnkit import RecurrentSpec, build_model, load_model, save_model

SIZES = {"0.1 MB": 64, "50 MB": 1440}
"""By size of the weights, the hidden size of an `lstm` with two layers."""


def figures(seconds: float) -> Iterator[Figure]:
    torch.set_num_threads(1)
    for name, hidden_size in SIZES.items():
        spec = RecurrentSpec(kind="lstm", input_size=64, hidden_size=hidden_size, num_layers=2, output_size=10)
        with TemporaryDirectory() as folder:
            yield from _figures_of(name, spec, Path(folder), seconds)


def _figures_of(name: str, spec: RecurrentSpec, folder: Path, seconds: float) -> Iterator[Figure]:
    model, ours, theirs = build_model(spec), folder / "ours.safetensors", folder / "theirs.pt"
    runs: dict[str, dict[str, Callable[[], object]]] = {
        "save": {"ours": partial(save_model, model, ours), "theirs": partial(_torch_save, model, theirs)},
        "load": {"ours": partial(load_model, ours), "theirs": partial(_torch_load, spec, theirs)},
    }
    for what, calls in runs.items():
        readings = in_turn({side: partial(milliseconds, CPU, call) for side, call in calls.items()}, seconds)
        yield Figure(
            what=what,
            kind=spec.kind,
            shape=name,
            against=f"torch.{what}",
            unit=f"ms of {CPU.name}",
            threads=1,
            ours=low(readings["ours"]),
            theirs=low(readings["theirs"]),
            calls=len(readings["theirs"]),
        )


def _torch_save(model: nn.Module, path: Path) -> None:
    torch.save(model.state_dict(), path)


def _torch_load(spec: RecurrentSpec, path: Path) -> nn.Module:
    model = build_model(spec)
    model.load_state_dict(torch.load(path))
    return model
