"""Every installed kind, a third party's included, keeps what the conformance kit asks of every plugin."""

from rnnkit import list_kinds
from rnnkit.testing import all_checks, parametrize_with_checks

EVERYTHING = len(all_checks())
TORCH = ["rnn", "gru", "lstm"]  # no sizes of layers, equation of a cell, fast way; nothing that torch has no rules for
CELLS = ["rnn_cell", "gru_cell", "lstm_cell"]
OTHERS = [kind for kind in list_kinds() if kind not in {*TORCH, *CELLS, "mixed"}]


@parametrize_with_checks(*TORCH, minimum=EVERYTHING - 6)
def test_torchs_own_modules_keep_a_promise(promise):
    promise.check()


@parametrize_with_checks(*CELLS, minimum=EVERYTHING)
def test_a_stack_of_cells_keeps_a_promise(promise):
    promise.check()


@parametrize_with_checks("mixed", *OTHERS, minimum=EVERYTHING - 2)
def test_any_other_kind_keeps_a_promise(promise):
    promise.check()
