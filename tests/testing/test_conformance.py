"""The core's kinds and third-party kinds pass the conformance checks; `tests/zoo` tests the others."""

import pytest

from rnnkit.testing import all_checks, parametrize_with_checks
from tests.helpers.kinds import THIRD_PARTY

TORCH = ["rnn", "gru", "lstm"]
CELLS = ["rnn_cell", "gru_cell", "lstm_cell"]
NOT_FOR_TORCH = {
    "hidden_size_per_layer",
    "step_matches_equation",  # there is no cell to compare
    "executors_equal_step_loop",  # there is no fused path of rnnkit
    "executors_at_many_sizes",
    "vmap_equals_loop",
    "per_sample_gradients",
    "forward_mode_gradients",
    "dropout_parts_are_only_multiplied",
    "forget_bias_opens_forget_gate",  # `rnn` and `gru` have no forget gate
    "constraints_bound_large_steps",
}
NOT_FOR_MIXED = {
    "step_matches_equation",  # it has no equation of its own
    "constraints_bound_large_steps",
}
NOT_FOR_CELLS = {
    "dropout_parts_are_only_multiplied",
    "forget_bias_opens_forget_gate",  # as `gru_cell`
    "constraints_bound_large_steps",
}


def run(check, not_applicable):
    """Run a check that applies, except for known ones: counting the passed checks would run all of them again."""
    if check.name == "enough_checks_pass":
        return
    try:
        check.run()
    except pytest.skip.Exception:
        assert check.name in not_applicable
        raise


@parametrize_with_checks(*TORCH)
def test_kinds_of_torch_modules(check):
    run(check, NOT_FOR_TORCH)


@parametrize_with_checks(*CELLS)
def test_stacks_of_cells(check):
    run(check, NOT_FOR_CELLS)


@parametrize_with_checks("mixed", *THIRD_PARTY, minimum=len(all_checks()) - 5)
def test_other_kinds(check):
    run(check, NOT_FOR_MIXED) if check.kind == "mixed" else check.run()
