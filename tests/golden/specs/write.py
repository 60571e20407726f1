"""Writes the golden spec files: `python -m tests.golden.specs.write`, from the root of the repository.

Run it only for a new version of the format, or for new fields, into a new folder: the old files stay readable.
"""

from pathlib import Path

from rnnkit import RecurrentSpec
from rnnkit.files.spec import save_spec
from rnnkit.specs import UnresolvedOptions

OLD_FOLDERS = [
    Path(__file__).parent / "v1",  # without the fields from `readout_dropout` to `tie_weights`
    Path(__file__).parent / "v1.1",  # without the options `chrono_length` and `time_feature`
]
FOLDER = Path(__file__).parent / "v1.2"
SUFFIXES = [".json", ".toml", ".yaml"]
SIZES = {"input_size": 8, "hidden_size": 16}
# Options of a kind that is not installed: text that YAML could read as another type, and nulls in every place.
ANYTHING = {
    "periods": [1, 2.5, None, 1e-07],
    "gate": {"bias": None, "names": ["no", "1e-3", "ä\n", ""], "a.b": True},
    "nothing": None,
}
# One for each kind, each with another feature that a file can hold.
SPECS = {
    "gru": RecurrentSpec(kind="gru", **SIZES, bidirectional=True, bias=False),
    "gru_cell": RecurrentSpec(kind="gru_cell", **SIZES, options={"layer_norm": "gates"}),
    "lstm": RecurrentSpec(kind="lstm", **SIZES, num_layers=2, dropout=1e-05, options={"proj_size": 5}),
    "lstm_cell": RecurrentSpec(
        kind="lstm_cell",
        input_size=8,
        hidden_size=(16, 12),
        num_layers=2,
        output_size=3,
        options={"forget_bias": 1.0, "zoneout": (0.05, 0.5)},
    ),
    "mixed": RecurrentSpec(kind="mixed", **SIZES, num_layers=2, options={"cells": ["rnn_cell", "gru_cell"]}),
    "rnn": RecurrentSpec(kind="rnn", **SIZES, readout="all", batch_first=False, options={"nonlinearity": "relu"}),
    "rnn_cell": RecurrentSpec(
        kind="rnn_cell", **SIZES, options={"learn_initial_state": True, "recurrent_dropout": 0.25}
    ),
    "unresolved": RecurrentSpec(
        kind="rnnkit-absent/clockwork", **SIZES, options=UnresolvedOptions.of(ANYTHING, plugin="rnnkit-absent==1.2.3")
    ),
}


def main():
    FOLDER.mkdir(exist_ok=True)
    for name, spec in SPECS.items():
        for suffix in SUFFIXES:
            save_spec(spec, FOLDER / f"{name}{suffix}")


if __name__ == "__main__":
    main()
