"""Every kind of the zoo passes all conformance checks that can apply to it."""

import pytest

from rnnkit.testing import all_checks, parametrize_with_checks
from tests.helpers.kinds import ZOO

NO_MATRIX_READS_THE_STATE = {"dropout_parts_are_only_multiplied", "orthogonal_init_acts_on_recurrence"}
NO_FORGET_GATE = {"forget_bias_opens_forget_gate"}
STATE_IS_NOT_READ_BY_PRODUCTS_ALONE = {"dropout_parts_are_only_multiplied"}
GATED = {"dropout_parts_are_only_multiplied"}
# The checks that do not apply to each kind; any other check that is skipped fails.
NOT_APPLICABLE = {
    "antisymmetric": STATE_IS_NOT_READ_BY_PRODUCTS_ALONE,
    "cfn": GATED,
    "cornn": STATE_IS_NOT_READ_BY_PRODUCTS_ALONE,
    "esn": NO_MATRIX_READS_THE_STATE,
    "hgrn": NO_MATRIX_READS_THE_STATE,
    "gated_deltanet": NO_MATRIX_READS_THE_STATE | NO_FORGET_GATE,
    "gla": NO_MATRIX_READS_THE_STATE,
    "indrnn": NO_MATRIX_READS_THE_STATE,
    "janet": GATED,
    "lem": STATE_IS_NOT_READ_BY_PRODUCTS_ALONE,
    "ligru": GATED,
    "lru": NO_MATRIX_READS_THE_STATE | NO_FORGET_GATE,
    "mingru": NO_MATRIX_READS_THE_STATE,
    "minlstm": NO_MATRIX_READS_THE_STATE,
    "peephole_lstm": set(),
    "ran": set(),
    "rglru": NO_MATRIX_READS_THE_STATE | NO_FORGET_GATE,
    "ugrnn": GATED,
    "xlstm_matrix": NO_MATRIX_READS_THE_STATE,
}


def test_every_kind_is_listed():
    assert sorted(NOT_APPLICABLE) == ZOO


@parametrize_with_checks(*ZOO)
def test_conformance(check):
    if check.name == "enough_checks_pass":  # would run all checks again
        return
    try:
        check.run()
    except pytest.skip.Exception:
        assert check.name in NOT_APPLICABLE[check.kind]
        raise


def test_names_of_checks_exist():
    assert set().union(*NOT_APPLICABLE.values()) <= {check.name for check in all_checks()}
