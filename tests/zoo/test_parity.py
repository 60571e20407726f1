"""Parity of bits separates nonlinear cells from linear recurrences with positive decays (Grazzi et al., 2024).

A state that only decays cannot switch between even and odd (arXiv 2411.12537). The models are trained on up to 40 steps
and tested on the second half of 256.
"""

import pytest
import torch

from benchmarks.tasks import TASKS, score, trained


@pytest.mark.parametrize(
    ("name", "solves"), [("slstm", True), ("mingru", False), ("rglru", False), ("xlstm_matrix", False)]
)
def test_only_nonlinear_cells_learn_parity(name, solves):
    torch.set_num_threads(1)
    accuracy = score(trained(name, TASKS["parity"], steps=300, seed=0), TASKS["parity"])
    assert accuracy > 0.95 if solves else accuracy < 0.6
