"""The kinds equal the networks of torchrecurrent, and pass the conformance checks."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import torchrecurrent
from rnnkit_torchrecurrent import CELLS, ENTRIES
from torch import Tensor

from rnnkit import RecurrentSpec, build_model, get_kind, list_kinds
from rnnkit.testing import KindCheck, parametrize_with_checks

# One for each layout of the state; the checks of all kinds would take a quarter of an hour.
CHECKED = ["atr", "nas", "tlstm"]


@parametrize_with_checks(*[f"rnnkit-torchrecurrent/{name}" for name in CHECKED], minimum=63)
def test_conformance(check: KindCheck) -> None:
    check.run()


def test_every_cell_is_a_kind_of_rnnkit_or_of_this_package() -> None:
    cells = {name.removesuffix("Cell") for name in dir(torchrecurrent) if name.endswith("Cell")}
    ours = {entry.cell.removesuffix("Cell") for entry in ENTRIES.values()}
    of_rnnkit = {
        "AntisymmetricRNN": "antisymmetric",
        "CFN": "cfn",
        "coRNN": "cornn",
        "FastGRNN": "fastgrnn",
        "FastRNN": "fastrnn",
        "GatedAntisymmetricRNN": "antisymmetric",
        "IndRNN": "indrnn",
        "JANET": "janet",
        "LEM": "lem",
        "LiGRU": "ligru",
        "MGU": "mgu",
        "MinimalRNN": "minimalrnn",
        "NBR": "nbrc",  # of the example rnnkit-nbrc
        "PeepholeLSTM": "peephole_lstm",
        "RAN": "ran",
        "STAR": "star",
        "UGRNN": "ugrnn",
        "UnICORNN": "unicornn",
    }
    assert cells == ours | set(of_rnnkit)
    assert not ours & set(of_rnnkit)


def test_the_entry_points_are_the_entries() -> None:
    assert list_kinds("rnnkit-torchrecurrent/*") == sorted(f"rnnkit-torchrecurrent/{name}" for name in ENTRIES)


@pytest.mark.parametrize("name", sorted(ENTRIES))
def test_two_layers_equal_the_network_of_torchrecurrent(name: str) -> None:
    torch.manual_seed(0)
    spec = RecurrentSpec(kind=f"rnnkit-torchrecurrent/{name}", input_size=6, hidden_size=6, num_layers=2)
    backbone: Any = build_model(spec, dtype=torch.float64).backbone
    network_class = getattr(torchrecurrent, ENTRIES[name].cell.removesuffix("Cell"))
    theirs = network_class(6, 6, num_layers=2, batch_first=True).double()
    for cell, inner in zip(backbone.cells, theirs.cells, strict=True):
        cell.inner.load_state_dict(inner.state_dict())
    x = torch.randn(3, 5, 6, dtype=torch.float64)
    output, state = backbone(x)
    expected, expected_state = theirs(x)
    torch.testing.assert_close(output, expected)
    parts = expected_state if isinstance(expected_state, tuple) else (expected_state,)
    for layer, ours in enumerate(state):
        torch.testing.assert_close(list(ours)[: len(parts)], [part[layer] for part in parts])
    assert isinstance(output, Tensor)
    assert output.abs().max() > 0


def test_kinds_with_a_departure_say_so() -> None:
    assert any("TensorFlow" in note for note in get_kind("nas").notes)
    assert get_kind("nas").cell is CELLS["nas"]
