"""The measured kinds, including the example plugin, and the models of both sides of a ratio."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any

import torch
from torch import nn

from benchmarks.by_hand import COUNTERPARTS
from benchmarks.shapes import OUTPUT_SIZE, Shape
from rnnkit import Kind, RecurrentSpec, build_model, register_kind

RNNKIT = "rnnkit"
EXAMPLE = Path(__file__).parents[1] / "docs/examples/rnnkit-mgu/rnnkit_mgu.py"
NAMES = {"mgu": "local/mgu"}  # even if the example is installed as well
OPTIONS = {"rnn": {"nonlinearity": "relu"}}  # as in the handwritten class


@contextmanager
def example_registered() -> Iterator[None]:
    """Register the kind of the example plugin."""
    found: list[Kind] = []
    origin = spec_from_file_location(EXAMPLE.stem, EXAMPLE)
    if origin is None or origin.loader is None:
        raise FileNotFoundError(EXAMPLE)
    module = module_from_spec(origin)
    sys.modules[origin.name] = module  # torch's compiler imports the modules of the functions that it traces
    origin.loader.exec_module(module)
    module.register_kinds(found.append)
    with register_kind(found[0]):
        yield


def spec_of(kind: str, shape: Shape) -> RecurrentSpec[Any]:
    return RecurrentSpec.from_dict(
        {
            "kind": NAMES.get(kind, kind),
            "input_size": shape.input_size,
            "hidden_size": shape.hidden_size,
            "num_layers": shape.num_layers,
            "output_size": OUTPUT_SIZE,
            "options": OPTIONS.get(kind, {}),
        }
    )


def build(side: str, kind: str, shape: Shape) -> nn.Module:
    """Build the model of one side after a fixed seed."""
    torch.manual_seed(0)
    if side == RNNKIT:
        return build_model(spec_of(kind, shape))
    return COUNTERPARTS[kind][side](shape.input_size, shape.hidden_size, shape.num_layers, OUTPUT_SIZE)
