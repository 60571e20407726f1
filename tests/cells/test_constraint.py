"""`constrain_` bounds parameters after a step of an optimizer."""

import copy

import pytest
import torch
from torch import nn
from torch.nn.utils import parametrizations, parametrize, prune, weight_norm

from rnnkit import Cell, CellState, InputError, RecurrentSpec, build_model, constrain_
from rnnkit.testing import check_kind
from tests.helpers.planted import assert_fails, assert_passes, record_of, result_of

CHECK = "constraints_bound_large_steps"
INDRNN = RecurrentSpec(
    kind="indrnn", input_size=2, hidden_size=8, num_layers=2, output_size=1, options={"max_length": 10}
)
BOUND = 2**0.1  # of the paper, arXiv 1803.04831


def large_step(model, *, hook):
    optimizer = torch.optim.SGD(model.parameters(), lr=1e3)
    if hook:
        optimizer.register_step_post_hook(lambda *_: constrain_(model))
    model(torch.randn(3, 20, 2)).sum().backward()
    optimizer.step()


def recurrent(model):
    return [each for name, each in model.named_parameters() if "weight_hh" in name]


@pytest.mark.parametrize("hook", [False, True], ids=["call", "hook"])
def test_an_optimizer_step_is_bounded(hook):
    inner = build_model(INDRNN)
    model = nn.Sequential(inner)
    unbounded = copy.deepcopy(model)
    torch.manual_seed(3)
    large_step(unbounded, hook=False)
    torch.manual_seed(3)
    large_step(model, hook=hook)
    if not hook:
        constrain_(model)
    assert max(each.abs().max() for each in recurrent(unbounded)) > 2 * BOUND
    for actual, free in zip(recurrent(model), recurrent(unbounded), strict=True):
        torch.testing.assert_close(actual.detach(), free.detach().clamp(-BOUND, BOUND))
        assert actual.requires_grad
        assert actual.grad_fn is None
    others = {name for name, _ in model.named_parameters() if "weight_hh" not in name}
    assert others
    for name in others:
        torch.testing.assert_close(model.get_parameter(name), unbounded.get_parameter(name), rtol=0, atol=0)


def test_cells_without_bounds_stay_as_they_are():
    model = build_model(RecurrentSpec(kind="lstm_cell", input_size=2, hidden_size=3))
    before = copy.deepcopy(model.state_dict())
    constrain_(model)
    torch.testing.assert_close(dict(model.state_dict()), dict(before), rtol=0, atol=0)
    assert result_of(record_of(Diagonal), CHECK).outcome == "not applicable"


class Halved(nn.Module):
    def forward(self, weight):
        return weight / 2


COMPUTED = {
    "pruned": lambda cell, name: prune.l1_unstructured(cell, name, amount=1),
    "parametrized": lambda cell, name: parametrize.register_parametrization(cell, name, Halved()),
    "normalized": weight_norm,
    "normalized by a parametrization": parametrizations.weight_norm,
}


@pytest.mark.parametrize("computed", COMPUTED)
@pytest.mark.filterwarnings("ignore:`torch.nn.utils.weight_norm` is deprecated")
def test_a_bounded_weight_that_is_computed_is_refused(computed):
    model = nn.Sequential(build_model(INDRNN))
    COMPUTED[computed](model[0].backbone.cells[1], "weight_hh")
    with pytest.raises(InputError, match=r"constrain_ cannot bound 0\.backbone\.cells\.1\.weight_hh.*: remove its"):
        constrain_(model)


@pytest.mark.parametrize("computed", COMPUTED)
@pytest.mark.filterwarnings("ignore:`torch.nn.utils.weight_norm` is deprecated")
def test_other_weights_may_be_computed(computed):
    model = build_model(INDRNN)
    for cell in model.backbone.cells:
        COMPUTED[computed](cell, "weight_ih")
        nn.init.constant_(cell.weight_hh, 5.0)
    constrain_(model)
    assert all((cell.weight_hh <= BOUND).all() for cell in model.backbone.cells)


def test_a_parameter_inside_a_computed_weight_is_refused_by_its_values():
    """Writing to `data` does not count as a change in torch."""

    class WritesData(Clamped):
        def constrain_(self):
            self.u.data.clamp_(-1, 1)

    cell = WritesData(2, 3)
    nn.init.constant_(cell.u, 5.0)
    parametrize.register_parametrization(cell, "u", Halved())
    with pytest.raises(InputError, match="cannot bound u, which is computed"):
        constrain_(cell)


class Diagonal(Cell):
    def __init__(self, input_size, hidden_size, *, device=None, dtype=None):
        super().__init__(input_size, hidden_size, device=device, dtype=dtype)
        self.u = self.new_parameter(hidden_size)

    def step(self, projected_t, state):
        h = self.u * state.h + projected_t.sum(-1, keepdim=True)
        return h, CellState(h)


class Clamped(Diagonal):
    def constrain_(self):
        self.u.clamp_(-1, 1)


class Positive(Diagonal):
    """A bound on one side, as of the leak of an LTC."""

    def __init__(self, *sizes, **where):
        super().__init__(*sizes, **where)
        nn.init.ones_(self.u)

    def constrain_(self):
        self.u.clamp_(min=0)


class Normalized(Diagonal):
    def __init__(self, *sizes, **where):
        super().__init__(*sizes, **where)
        nn.init.constant_(self.u, 1 / self.hidden_size)

    def constrain_(self):
        self.u.div_(self.u.abs().sum().clamp(min=1))


class StartsOutside(Diagonal):
    def constrain_(self):
        self.u.clamp_(0.9, 1)


class Shrinks(Diagonal):
    """It halves large values, again at each call."""

    def constrain_(self):
        self.u[self.u.abs() > 10] *= 0.5


class HardlyBounds(Diagonal):
    def constrain_(self):
        self.u.clamp_(-9e3, 9e3)


class NeverActs(Diagonal):
    def constrain_(self):
        self.u.clamp_(-1e9, 1e9)


@pytest.mark.parametrize("cell", [Clamped, Positive, Normalized])
def test_the_check_passes_right_constraints(cell):
    assert_passes(record_of(cell), [CHECK], not_applicable=set())


@pytest.mark.parametrize(
    ("cell", "words"),
    [
        (StartsOutside, "after `constrain_` of a new model, the parameters"),
        (Shrinks, "after a second `constrain_`, the parameters"),
        (HardlyBounds, "changes backbone.cells.0.u, but leaves 9000 in it"),
        (NeverActs, "after a step of 10000, `constrain_` changes no parameter with any option"),
    ],
)
def test_the_check_finds_wrong_constraints(cell, words):
    assert_fails(CHECK, words, record_of(cell))


def test_the_kind_indrnn_passes_the_check():
    assert check_kind("indrnn", only=[CHECK])[CHECK].outcome == "passed"
