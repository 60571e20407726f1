"""The kind `ltc` passes the conformance checks and equals ncps."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from ncps.torch import LTC
from ncps.wirings import AutoNCP, FullyConnected, Wiring
from pydantic import ValidationError

from rnnkit import CellState, RecurrentSpec, build_model, constrain_
from rnnkit.testing import KindCheck, parametrize_with_checks

ON_CPU = {"device_is_consistent": "ncps creates its wiring from NumPy arrays, on the CPU"}


# The solver repeats the same code, which takes long to trace: two steps in place of six.
@parametrize_with_checks("rnnkit-ncps/ltc", spec={"options": {"ode_unfolds": 2}}, minimum=60, expected_failures=ON_CPU)
def test_conformance(check: KindCheck) -> None:
    check.run()


def model_of(**options: Any) -> Any:
    spec = RecurrentSpec(kind="ltc", input_size=3, hidden_size=9, output_size=2, options=options)
    return build_model(spec, dtype=torch.float64)


def theirs(wiring: Wiring, unfolds: int, state_dict: dict[str, Any]) -> LTC:
    # its cell constrains its parameters after each optimizer step by default, and the network by softplus
    network = LTC(3, wiring, ode_unfolds=unfolds, implicit_param_constraints=False).double()
    network.rnn_cell.load_state_dict(state_dict)
    return network


@pytest.mark.parametrize(
    ("options", "wiring"),
    [
        ({"ode_unfolds": 4}, FullyConnected(9, 9)),
        ({"wiring": "ncp", "motor_neurons": 2, "sparsity": 0.3, "ode_unfolds": 4}, AutoNCP(9, 2, sparsity_level=0.3)),
    ],
    ids=["full", "ncp"],
)
def test_outputs_and_states_equal_ncps(options: dict[str, Any], wiring: Wiring) -> None:
    torch.manual_seed(0)
    model = model_of(time_feature=None, **options)
    x, h = torch.randn(4, 6, 3, dtype=torch.float64), torch.rand(4, 9, dtype=torch.float64)
    output, (state,) = model.backbone(x, (CellState(h),))
    network = theirs(wiring, options["ode_unfolds"], model.backbone.cells[0].inner.state_dict())
    expected, expected_state = network(x, h)
    torch.testing.assert_close(output, expected)
    torch.testing.assert_close(state.h, expected_state)


def test_elapsed_times_equal_ncps() -> None:
    torch.manual_seed(0)
    spec = RecurrentSpec(kind="ltc", input_size=4, hidden_size=9, options={"time_feature": 1})
    backbone: Any = build_model(spec, dtype=torch.float64).backbone
    x, times = torch.randn(1, 6, 3, dtype=torch.float64), torch.rand(6, dtype=torch.float64) + 0.1
    output, _ = backbone(torch.cat([x[..., :1], times[None, :, None], x[..., 1:]], -1))
    network = theirs(FullyConnected(9, 9), 6, backbone.cells[0].inner.state_dict())
    expected, _ = network(x, torch.zeros(1, 9, dtype=torch.float64), timespans=times[None])
    torch.testing.assert_close(output, expected)


def test_constrain_makes_conductances_positive() -> None:
    model = model_of()
    inner = model.backbone.cells[0].inner
    with torch.no_grad():
        for parameter in inner.parameters():
            parameter.sub_(2)
    assert inner.w.min() < 0
    constrain_(model)
    assert min(parameter.min() for parameter in (inner.w, inner.sensory_w, inner.cm, inner.gleak)) >= 0


def test_a_wiring_with_too_few_neurons_is_refused() -> None:
    with pytest.raises(ValidationError, match=r"(?m)^options.motor_neurons\n.*needs hidden_size >= 11, but it is 9"):
        model_of(wiring="ncp", motor_neurons=8)
