"""Every kind of the zoo passes all conformance checks that can apply to it."""

import pytest

from rnnkit import Cell, get_kind
from rnnkit.testing import all_checks, parametrize_with_checks
from tests.helpers.kinds import ZOO

NO_MATRIX_READS_THE_STATE = {"dropout_parts_are_only_multiplied", "orthogonal_init_acts_on_recurrence"}
NO_FORGET_GATE = {"forget_bias_opens_forget_gate"}
STATE_IS_NOT_READ_BY_PRODUCTS_ALONE = {"dropout_parts_are_only_multiplied"}
LEARNS_SLOWLY = {"loss_decreases"}
NO_TRAINABLE_WEIGHTS = {"output_depends_on_every_layer", "loss_decreases"}
NO_BIAS = {"bias_false_removes_every_bias"}
NO_READABLE_EQUATION = {"step_matches_equation"}
NO_CONSTRAINT = {"constraints_bound_large_steps"}
CONSTRAINED = {"indrnn"}  # all others have no constraint
PRODUCTS_ARE_DIVIDED_BY_THE_SIZE = {"wide_layers_equal_narrow_layers"}
PRODUCTS_INSIDE_THE_STEP = {"orthogonal_init_acts_on_recurrence"}
# The checks that do not apply to each kind; any other check that is skipped fails.
NOT_APPLICABLE = {
    "antisymmetric": STATE_IS_NOT_READ_BY_PRODUCTS_ALONE | NO_FORGET_GATE,
    "cfc": NO_FORGET_GATE,
    "cfn": STATE_IS_NOT_READ_BY_PRODUCTS_ALONE,
    "cornn": STATE_IS_NOT_READ_BY_PRODUCTS_ALONE | NO_FORGET_GATE,
    "esn": NO_MATRIX_READS_THE_STATE | NO_FORGET_GATE | NO_TRAINABLE_WEIGHTS,
    "exprnn": NO_MATRIX_READS_THE_STATE | NO_FORGET_GATE | NO_BIAS,
    "fastgrnn": STATE_IS_NOT_READ_BY_PRODUCTS_ALONE,
    "fastrnn": STATE_IS_NOT_READ_BY_PRODUCTS_ALONE | NO_FORGET_GATE | LEARNS_SLOWLY,
    "gated_deltanet": NO_MATRIX_READS_THE_STATE | NO_FORGET_GATE | PRODUCTS_ARE_DIVIDED_BY_THE_SIZE,
    "gla": NO_MATRIX_READS_THE_STATE | PRODUCTS_ARE_DIVIDED_BY_THE_SIZE,
    "hgrn": NO_MATRIX_READS_THE_STATE,
    "indrnn": NO_MATRIX_READS_THE_STATE | NO_FORGET_GATE,
    "janet": STATE_IS_NOT_READ_BY_PRODUCTS_ALONE,
    "lem": STATE_IS_NOT_READ_BY_PRODUCTS_ALONE | NO_FORGET_GATE,
    "ligru": STATE_IS_NOT_READ_BY_PRODUCTS_ALONE,
    "lmu": NO_FORGET_GATE | NO_BIAS,
    "lru": NO_MATRIX_READS_THE_STATE | NO_FORGET_GATE,
    "mgu": STATE_IS_NOT_READ_BY_PRODUCTS_ALONE,
    "mingru": NO_MATRIX_READS_THE_STATE,
    "minimalrnn": STATE_IS_NOT_READ_BY_PRODUCTS_ALONE,
    "minlstm": NO_MATRIX_READS_THE_STATE,
    "mogrifier_lstm": set(),
    "peephole_lstm": set(),
    "qrnn": NO_MATRIX_READS_THE_STATE,
    "ran": set(),
    "rglru": NO_MATRIX_READS_THE_STATE | NO_FORGET_GATE,
    "rhn": STATE_IS_NOT_READ_BY_PRODUCTS_ALONE | NO_READABLE_EQUATION | PRODUCTS_INSIDE_THE_STEP,
    "s5": NO_MATRIX_READS_THE_STATE | NO_FORGET_GATE,
    "selective_ssm": NO_MATRIX_READS_THE_STATE | NO_FORGET_GATE,
    "slstm": set(),
    "sru": NO_MATRIX_READS_THE_STATE,
    "star": STATE_IS_NOT_READ_BY_PRODUCTS_ALONE,
    "ugrnn": STATE_IS_NOT_READ_BY_PRODUCTS_ALONE,
    "unicornn": NO_MATRIX_READS_THE_STATE | NO_FORGET_GATE,
    "xlstm_matrix": NO_MATRIX_READS_THE_STATE | PRODUCTS_ARE_DIVIDED_BY_THE_SIZE,
}

# Processes take seconds to start. These kinds cover every sort of parameter: trained, frozen, constrained, read through
# a function at each call, and buffers beside them.
TRAINED_IN_PROCESSES = {"esn", "exprnn", "indrnn", "lmu", "s5", "ugrnn"}

# These checks compile and export models, or build dozens of them.
EXPENSIVE = {
    "checkpoint_round_trip",
    "compiles_in_one_graph",
    "double_backward",
    "executors_at_many_sizes",
    "executors_equal_step_loop",
    "exports_with_free_sizes",
    "large_batches_equal_sequences",
    "loss_decreases",
    "numbers_of_options_differ",
    "onnx_file_equals_model",
    "onnx_steps_equal_forward",
    "options_take_effect",
    "reset_parameters_equals_new_model",
    "restarts_equal_pieces",
    "valid_specs_build_and_run",
}
# They run for these kinds in `make test-slow`, and for all others in `make test-nightly`.
EVERY_CHECK = {
    "esn", "gated_deltanet", "hgrn", "lmu", "lru", "qrnn", "selective_ssm", "slstm", "ugrnn", "xlstm_matrix",
}  # fmt: skip


def test_every_kind_is_listed():
    assert sorted(NOT_APPLICABLE) == ZOO
    assert set(ZOO) >= TRAINED_IN_PROCESSES
    assert set(ZOO) >= EVERY_CHECK


def test_expensive_checks_run_for_each_class_of_cells():
    """A kind of another base class, or of another family, adds a kind to `EVERY_CHECK`."""
    assert {base_and_family(kind) for kind in ZOO} == {base_and_family(kind) for kind in EVERY_CHECK}


def base_and_family(kind_name):
    kind = get_kind(kind_name)
    bases = [base for base in kind.cell.__mro__ if base.__module__.startswith("rnnkit.")]
    return bases[0], kind.family


@parametrize_with_checks(*ZOO)
def test_conformance(check):
    if check.name == "enough_checks_pass":  # would run all checks again
        return
    if check.name == "ddp_equals_single_process" and check.kind not in TRAINED_IN_PROCESSES:
        pytest.skip("processes train other kinds")
    try:
        check.run()
    except pytest.skip.Exception:
        assert check.name in NOT_APPLICABLE[check.kind] | unbounded(check.kind)
        assert check.name in NOT_APPLICABLE[check.kind] | (set() if check.kind in CONSTRAINED else NO_CONSTRAINT)
        raise


def unbounded(kind_name):
    """Return the checks that do not apply to a kind whose parameters have no bounds."""
    has_bounds = get_kind(kind_name).cell.constrain_ is not Cell.constrain_
    return set() if has_bounds else {"constraints_bound_large_steps"}


def test_names_of_checks_exist():
    assert EXPENSIVE.union(NO_CONSTRAINT, *NOT_APPLICABLE.values()) <= {check.name for check in all_checks()}
