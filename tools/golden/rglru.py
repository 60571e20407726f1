"""Golden values of `rglru` from recurrentgemma 1.0.1, the authors' code, without its rule for the first step."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import torch

from tools.golden.record import BATCH, HIDDEN_SIZE, INPUT_SIZE, TIME, draw, write


def layers() -> Any:
    """Return the module of layers, whose packages would import JAX."""
    # pip install --no-deps recurrentgemma==1.0.1 einops jaxtyping wadler-lindig
    spec = importlib.util.find_spec("recurrentgemma")
    if spec is None or spec.origin is None:
        raise ImportError("recurrentgemma is not installed")
    folder = Path(spec.origin).parent
    for name, path in [("recurrentgemma", folder), ("recurrentgemma.torch", folder / "torch")]:
        package = ModuleType(name)
        package.__path__ = [str(path)]
        sys.modules[name] = package
    return importlib.import_module("recurrentgemma.torch.layers")


HEADS = 2
SIZE = HIDDEN_SIZE // HEADS
linear, w_r, w_i = draw(1, HIDDEN_SIZE, INPUT_SIZE), draw(2, HEADS, SIZE, SIZE), draw(3, HEADS, SIZE, SIZE)
b_r, b_i, decay = draw(4, HIDDEN_SIZE), draw(5, HIDDEN_SIZE), draw(6, HIDDEN_SIZE)
x, h = draw(7, BATCH, TIME, INPUT_SIZE), draw(8, BATCH, HIDDEN_SIZE)

theirs = layers().RGLRU(HIDDEN_SIZE, HEADS).double()
values = {"a_param": -decay, "a_gate.w": w_r, "a_gate.b": b_r, "input_gate.w": w_i, "input_gate.b": b_i}
parameters = dict(theirs.named_parameters())
with torch.no_grad():
    for name, value in values.items():
        parameters[name].copy_(torch.from_numpy(value).reshape(parameters[name].shape))
    theirs.forward.__globals__["rnn_scan"].__defaults__ = (torch.float64,)  # float32 by default
    # positions from 1: the first input of a segment, at position 0, is not scaled
    positions = torch.arange(1, TIME + 1).expand(BATCH, TIME)
    output, last = theirs(torch.from_numpy(x @ linear.T), positions, torch.from_numpy(h))

write(
    "rglru",
    computed_by="recurrentgemma 1.0.1 (torch.layers.RGLRU, in float64, segment_pos from 1)",
    parameters={
        "weight_ih": linear,
        # theirs multiply from the right
        "weight_gates": np.concatenate([w.transpose(0, 2, 1).reshape(HIDDEN_SIZE, SIZE) for w in (w_r, w_i)]),
        "bias": np.concatenate([b_r, b_i]),
        "decay": decay,
    },
    x=x,
    state={"h": h},
    output=output.numpy(),
    final_state={"h": last.numpy()},
    hidden_size=HIDDEN_SIZE,
    options={"heads": HEADS},
)
