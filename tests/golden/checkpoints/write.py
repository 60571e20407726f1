"""Writes the golden checkpoints: `python -m tests.golden.checkpoints.write`, from the root of the repository.

Run it only for a new version of the format, into a new folder: the old files stay readable.
"""

from pathlib import Path

import torch

from rnnkit import RecurrentSpec, build_model
from rnnkit.files.checkpoint.checkpoint_file import save_model

FOLDER = Path(__file__).parent
VERSIONS = ["v1", "v2"]
SIZES = {"input_size": 2, "hidden_size": 3, "num_layers": 2, "output_size": 2}
# One for each kind, each with another feature that a file can hold.
SPECS = {
    "gru": RecurrentSpec(kind="gru", **SIZES, bidirectional=True),
    "gru_cell": RecurrentSpec(kind="gru_cell", **SIZES, options={"layer_norm": "output"}),
    "lstm": RecurrentSpec(kind="lstm", **SIZES, dropout=0.5, options={"proj_size": 2}),
    "lstm_cell": RecurrentSpec(kind="lstm_cell", **SIZES | {"hidden_size": (3, 4)}, options={"zoneout": 0.1}),
    "mixed": RecurrentSpec(kind="mixed", **SIZES, options={"cells": ["rnn_cell", "gru_cell"]}),
    "rnn": RecurrentSpec(kind="rnn", **SIZES, readout="all", batch_first=False, options={"nonlinearity": "relu"}),
    "rnn_cell": RecurrentSpec(kind="rnn_cell", **SIZES, options={"learn_initial_state": True}),
}
DTYPES = {"gru": torch.float64, "gru_cell": torch.bfloat16, "mixed": torch.float16}


def golden_model(kind):
    model = build_model(SPECS[kind], dtype=DTYPES.get(kind, torch.float32))
    if kind == "rnn":
        model.backbone.rnn.weight_hh_l1 = model.backbone.rnn.weight_hh_l0
    return model


def main():
    folder = FOLDER / VERSIONS[-1]
    folder.mkdir(exist_ok=True)
    for kind in SPECS:
        torch.manual_seed(0)
        save_model(golden_model(kind), folder / f"{kind}.safetensors")


if __name__ == "__main__":
    main()
