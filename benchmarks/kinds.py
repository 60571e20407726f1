"""The models of both sides of a ratio."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from benchmarks.by_hand import COUNTERPARTS
from benchmarks.shapes import OUTPUT_SIZE, Shape
from rnnkit import RecurrentSpec, build_model

RNNKIT = "rnnkit"
OPTIONS = {"rnn": {"nonlinearity": "relu"}}  # as in the handwritten class


def spec_of(kind: str, shape: Shape) -> RecurrentSpec[Any]:
    return RecurrentSpec.from_dict(
        {
            "kind": kind,
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
