"""One step as a module with a flat state, and its exports."""

import warnings

import pytest
import torch
from torch.export import Dim

from docs.site.example_plugin import example_installed
from rnnkit import InputError, StepError, flatten_state
from tests.helpers.kinds import TESTED
from tests.helpers.models import BATCH, TIME, leaves, small_input, small_model

NEW_BATCH = 6


def test_steps_equal_the_whole_sequence(kind):
    model, x = small_model(kind, readout="all"), small_input()
    step = model.step_module()
    state = step.initial_state(BATCH)
    outputs = []
    for t in range(TIME):
        y_t, *state = step(x[:, t], *state)
        outputs.append(y_t)
    y, final = model(x, return_state=True)
    torch.testing.assert_close(torch.stack(outputs, 1), y)
    torch.testing.assert_close(state, leaves(final))


def test_names_are_those_of_flatten_state(kind):
    model = small_model(kind)
    step = model.step_module()
    named = dict(zip(step.state_names, step.initial_state(3), strict=True))
    flat = flatten_state(model.initial_state(3))
    assert {name: part.shape for name, part in named.items()} == {name: part.shape for name, part in flat.items()}
    assert [part.shape[axis] for part, axis in zip(named.values(), step.batch_axes, strict=True)] == [3] * len(flat)


def test_parameters_are_shared(kind):
    model = small_model(kind)
    step = model.step_module()
    assert {id(parameter) for parameter in step.parameters()} == {id(parameter) for parameter in model.parameters()}


def test_gradients_flow_through_steps():
    model, x = small_model("lstm_cell"), small_input().requires_grad_()
    step = model.step_module()
    _, *state = step(x[:, 0], *step.initial_state(BATCH))
    step(x[:, 1], *state)[0].sum().backward()
    assert x.grad[:, 0].abs().min() > 0


def test_models_without_steps_are_refused():
    with pytest.raises(StepError, match="no meaning with bidirectional=True"):
        small_model("lstm", bidirectional=True).step_module()
    with pytest.raises(StepError, match="pools over all steps"):
        small_model("lstm", readout="mean").step_module()


def test_wrong_states_are_refused():
    step = small_model("lstm_cell").step_module()
    x_t, state = small_input()[:, 0], step.initial_state(BATCH)
    with pytest.raises(InputError) as caught:
        step(x_t, *state[:3])
    assert str(caught.value) == "The state has 4 tensors, 0.h, 0.c, 1.h, 1.c, but got 3"
    with pytest.raises(InputError, match=r"state\[0\].h must be a tensor of shape \(4, 6\)"):
        step(x_t, *step.initial_state(3))


# The kinds of the examples are exported as well.
KINDS = [*TESTED, "rnnkit-nbrc/nbrc"]


def example(kind):
    """Return the step of a model, its arguments, and the dynamic batch axes of these."""
    with example_installed():
        step = small_model(kind, dtype=torch.float32).eval().step_module()
    batch = Dim("batch")
    dynamic_shapes = {"x_t": {0: batch}, "state": tuple({axis: batch} for axis in step.batch_axes)}
    return step, arguments(step, BATCH), dynamic_shapes


def arguments(step, batch):
    return torch.randn(batch, 3), *(torch.randn_like(part) for part in step.initial_state(batch))


@pytest.mark.parametrize("exported", KINDS)
def test_export_with_a_dynamic_batch(exported):
    step, args, dynamic_shapes = example(exported)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch's own, about the weights of torch.nn.RNN
        program = torch.export.export(step, args, dynamic_shapes=dynamic_shapes).module()
    others = arguments(step, NEW_BATCH)
    torch.testing.assert_close(program(*others), step(*others))
