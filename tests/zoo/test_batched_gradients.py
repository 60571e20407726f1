"""Batched gradients (`is_grads_batched=True`) of cells that are parallel over time equal those of a loop."""

import pytest
import torch

from tests.helpers.kinds import ZOO
from tests.helpers.models import leaves, small_model

LENGTHS = torch.tensor([70, 2, 0, 33])


def is_parallel(name):
    return any(cell.parallel_over_time for cell in getattr(small_model(name, hidden_size=3).backbone, "cells", ()))


PARALLEL = [name for name in ZOO if is_parallel(name)]


def test_the_parallel_kinds_are_found():
    assert {"gated_deltanet", "lru", "mingru", "selective_ssm", "xlstm_matrix"} <= set(PARALLEL)


@pytest.mark.parametrize("lengths", [None, LENGTHS], ids=["no_lengths", "lengths"])
@pytest.mark.parametrize("bidirectional", [False, True], ids=["forward", "bidirectional"])
@pytest.mark.parametrize("name", PARALLEL)
def test_batched_gradients_equal_a_loop(name, bidirectional, lengths):
    model = small_model(name, bidirectional=bidirectional, readout="all")
    x = torch.randn(4, 70, 3, dtype=torch.float64, requires_grad=True)
    y, state = model(x, lengths=lengths, return_state=True)
    outputs, inputs = [y, *leaves(state)], [x, *model.parameters()]
    weights = [torch.randn(2, *each.shape, dtype=each.dtype) for each in outputs]
    options = {"retain_graph": True, "materialize_grads": True}
    found = torch.autograd.grad(outputs, inputs, weights, is_grads_batched=True, **options)
    each = [torch.autograd.grad(outputs, inputs, one, **options) for one in zip(*weights, strict=True)]
    torch.testing.assert_close(found, tuple(map(torch.stack, zip(*each, strict=True))))
