"""A compiled step, as in a stream: the cheapest test of a compiled model."""

import pytest
import torch

from tests.helpers.models import small_input, small_model


@pytest.mark.skipif(not hasattr(torch.compiler, "is_exporting"), reason="torch 2.6 may fail: docs/how_to/export.md")
@torch.no_grad()
def test_compiled_steps_equal_the_sequence():
    torch.compiler.reset()
    model, x = small_model("gru", bidirectional=False), small_input()
    step = torch.compile(model.step, backend="eager", fullgraph=True)
    state = model.initial_state(len(x))
    for x_t in x.unbind(1):
        y, state = step(x_t, state)
    torch.testing.assert_close((y, state), model(x, return_state=True))
