"""Every installed kind passes the conformance checks, including third-party kinds."""

from rnnkit import list_kinds
from rnnkit.testing import all_checks, parametrize_with_checks

ALL = len(all_checks())
TORCH = [
    "rnn",
    "gru",
    "lstm",
]  # no sizes per layer, no cell to compare, no fused path of rnnkit, no rules for some transforms
CELLS = ["rnn_cell", "gru_cell", "lstm_cell"]
OTHERS = [kind for kind in list_kinds() if kind not in {*TORCH, *CELLS, "mixed"}]


@parametrize_with_checks(*TORCH, minimum=ALL - 6)
def test_kinds_of_torch_modules(check):
    check.run()


@parametrize_with_checks(*CELLS, minimum=ALL)
def test_stacks_of_cells(check):
    check.run()


@parametrize_with_checks("mixed", *OTHERS, minimum=ALL - 2)
def test_other_kinds(check):
    check.run()
