"""Parity of bits separates nonlinear cells from linear recurrences with positive decays (Grazzi et al., 2024).

A state that only decays cannot switch between even and odd (arXiv 2411.12537). The models are trained on up to 40 steps
and tested on the second half of 256.
"""

import pytest

from rnnkit.compare import compare, tasks


@pytest.mark.parametrize(
    ("name", "solves"), [("mgu", True), ("mingru", False), ("rglru", False), ("xlstm_matrix", False)]
)
def test_only_nonlinear_cells_learn_parity(name, solves):
    [result] = compare([name], [tasks.parity()], seeds=1, steps=300, engine="here", progress=False).results
    assert result.score > 0.95 if solves else result.score < 0.6
