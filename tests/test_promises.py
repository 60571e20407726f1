"""Every installed kind, a third party's included, keeps what the conformance kit asks of every plugin."""

from rnnkit import list_kinds
from rnnkit.testing import all_promises, each_promise

EVERYTHING = len(all_promises())
TORCH = ["rnn", "gru", "lstm"]  # no sizes of layers, equation of a cell, fast way; nothing that torch has no rules for
CELLS = ["rnn_cell", "gru_cell", "lstm_cell"]
OTHERS = [kind for kind in list_kinds() if kind not in {*TORCH, *CELLS, "mixed"}]


@each_promise(*TORCH, minimum=EVERYTHING - 6)
def test_torchs_own_modules_keep_a_promise(promise):
    promise.check()


@each_promise(*CELLS, minimum=EVERYTHING)
def test_a_stack_of_cells_keeps_a_promise(promise):
    promise.check()


@each_promise("mixed", *OTHERS, minimum=EVERYTHING - 2)
def test_any_other_kind_keeps_a_promise(promise):
    promise.check()
