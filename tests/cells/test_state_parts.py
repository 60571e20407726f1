"""Declarations of the parts of a state: bookkeeping, shared masks of zoneout, and states that are refused."""

from typing import NamedTuple

import pytest
import torch
from pydantic import ValidationError
from torch import Tensor
from torch.nn import functional as F

from rnnkit import BuildError, Cell, RecurrentSpec, build_model, cell_kind, register_executor, register_kind
from rnnkit.testing import check_kind
from tests.helpers.cells import SimpleCell
from tests.helpers.executors import Reference

UNITS, KEYS = 4, 3


class MemoryState(NamedTuple):
    C: Tensor  # (batch, units, keys)
    n: Tensor  # (batch, units)
    m: Tensor  # (batch, units)


class MemoryCell(Cell):
    """C_t = C_{t-1} / 2 + v_t k_t^T, n_t = n_{t-1} / 2 + v_t; m counts steps, and the output is m_t + C_t 1 + n_t."""

    State = MemoryState
    bookkeeping = ("m",)
    shared_zoneout_mask = ("C", "n")

    def __init__(self, input_size, hidden_size, *, device=None, dtype=None):
        super().__init__(input_size, hidden_size, device=device, dtype=dtype)
        self.weight_v = self.new_parameter(hidden_size, input_size)
        self.weight_k = self.new_parameter(KEYS, input_size)

    def state_shapes(self, batch_size):
        units = torch.Size((batch_size, self.hidden_size))
        return MemoryState(torch.Size((*units, KEYS)), units, units)

    def project(self, x):
        return F.linear(x, self.weight_v), F.linear(x, self.weight_k)

    def step(self, projected_t, state):
        v, k = projected_t
        memory = state.C / 2 + v.unsqueeze(-1) * k.unsqueeze(-2)
        n = state.n / 2 + v
        m = state.m + 1
        return m + memory.sum(-1) + n, MemoryState(memory, n, m)


class FlatState(NamedTuple):
    h: Tensor
    n: Tensor
    m: Tensor


class FlatCell(SimpleCell):
    """Parts without further axes, whose steps have a plan."""

    State = FlatState
    bookkeeping = ("m",)
    shared_zoneout_mask = ("h", "n")

    def step(self, projected_t, state):
        h = self.activation(projected_t + self.recurrence(state.h))
        n = state.n / 2 + h
        return h + state.m, FlatState(h, n, state.m + n)


@pytest.fixture(autouse=True)
def _kinds():
    kinds = [
        cell_kind(cell, name=name, summary="Has several parts.")
        for name, cell in (("memory", MemoryCell), ("flat", FlatCell))
    ]
    with register_kind(kinds[0]), register_kind(kinds[1]):
        yield


def make(kind="memory", num_layers=1, **options):
    return RecurrentSpec(kind=kind, input_size=3, hidden_size=UNITS, num_layers=num_layers, options=options)


def built(*args, **kwargs):
    return build_model(make(*args, **kwargs), dtype=torch.float64)


def problems(call):
    with pytest.raises(ValidationError) as caught:
        call()
    return [(".".join(map(str, each["loc"])), each["msg"]) for each in caught.value.errors()]


# Zoneout and learned initial states


def test_bookkeeping_is_not_learned():
    model = built(learn_initial_state=True)
    assert [name for name, _ in model.backbone.initial.named_parameters()] == ["0.C", "0.n"]
    with torch.no_grad():
        for parameter in model.backbone.initial.parameters():
            parameter.fill_(2.0)
    [state] = model.initial_state(5)
    assert [part.unique().tolist() for part in state] == [[2.0], [2.0], [0.0]]


@pytest.mark.parametrize("kind_name", ["memory", "flat"])
@pytest.mark.parametrize("zoneout", [0.5, (0.5, 0.5, 0.0)], ids=str)
def test_zoneout_keeps_parts_together_and_leaves_bookkeeping(kind_name, zoneout):
    model = built(kind_name, zoneout=zoneout).train()
    x = torch.randn(8, 20, 3, dtype=torch.float64)
    _, [after] = model.backbone.all_states(x)
    first, n = after[0], after[1]
    kept = (n[:, 1:] == n[:, :-1]).float()
    assert 0.4 < kept.mean() < 0.6
    first_kept = first[:, 1:] == first[:, :-1]
    first_kept = first_kept.all(-1) if first.dim() == 4 else first_kept
    assert torch.equal(first_kept.float(), kept)
    assert (after.m[:, 1:] != after.m[:, :-1]).all()


@pytest.mark.parametrize("kind_name", ["memory", "flat"])
def test_zoneout_averages_all_but_bookkeeping_in_evaluation(kind_name):
    model, x = built(kind_name, zoneout=0.25).eval(), torch.randn(2, 1, 3, dtype=torch.float64)
    cell = model.backbone.cells[0]
    shapes = cell.state_shapes(2)
    state = type(shapes)(*[torch.randn(shape, dtype=torch.float64) for shape in shapes])
    _, [found] = model.backbone(x, (state,))
    _, new = cell(x[:, 0], state)
    for name in state._fields:
        old, after = getattr(state, name), getattr(new, name)
        expected = after if name == "m" else 0.25 * old + 0.75 * after
        torch.testing.assert_close(getattr(found, name), expected)


@pytest.mark.parametrize("training", [True, False])
def test_the_plan_of_regularized_steps_equals_the_step_loop(training, monkeypatch):
    """The masks are operands of the plan, one of them of two parts."""
    monkeypatch.setenv("RNNKIT_EXECUTORS", "local/reference")
    model, x = built("flat", zoneout=0.5).train(training).backbone, torch.randn(3, 6, 3, dtype=torch.float64)
    state = (FlatState(*torch.randn(3, 3, UNITS, dtype=torch.float64)),)
    results = []
    with register_executor(Reference):
        for executor in ("reference", "step loop"):
            model.force_step_loop = executor == "step loop"
            torch.manual_seed(0)
            output, [final] = model(x, state, lengths=torch.tensor([6, 0, 3]))
            assert model.executor == executor
            gradients = torch.autograd.grad((output + output**2).sum() + final.n.sum(), list(model.parameters()))
            results.append((output, *final, *gradients))
    torch.testing.assert_close(*results, rtol=1e-11, atol=1e-12)


@pytest.mark.filterwarnings("ignore")  # torch's tracer warns about its own code
def test_a_compiled_model_zones_out_parts_together():
    model, x = built(zoneout=0.5).train(), torch.randn(2, 5, 3, dtype=torch.float64)
    _, [final] = torch.compile(model.backbone, backend="eager", fullgraph=True)(x)
    assert (final.m == 5).all()
    assert final.C.isfinite().all()


def test_every_parameter_is_trained_with_a_learned_state():
    report = check_kind("memory", only=["every_parameter_is_trained", "output_shape"])
    assert not report.failed, report


# Rules of the options


class StabilizedCell(FlatCell):
    bookkeeping = ()
    shared_zoneout_mask = ()
    supports_zoneout = False


class BookkeepingCell(FlatCell):
    bookkeeping = ("h", "n", "m")
    shared_zoneout_mask = ()


RULES = [
    (FlatCell, {"zoneout": (0.1, 0.2, 0.0)}, "The parts h, n of FlatCell share a mask: give them one number"),
    (FlatCell, {"zoneout": (0.1, 0.1, 0.1)}, "The part m of FlatCell is bookkeeping, which zoneout leaves as it is"),
    (FlatCell, {"zoneout": (0.1, 0.1)}, "The state of FlatCell has 3 parts, h, n, m: give one number for each"),
    (StabilizedCell, {"zoneout": 0.1}, "The state of StabilizedCell means nothing if features of two steps are mixed"),
    (StabilizedCell, {"zoneout": (0.0, 0.1, 0.0)}, "The state of StabilizedCell means nothing if features of two"),
    (BookkeepingCell, {"zoneout": 0.1}, "The state of BookkeepingCell is bookkeeping, which zoneout leaves as it is"),
    (BookkeepingCell, {"learn_initial_state": True}, "The state of BookkeepingCell is bookkeeping, which is not"),
]


@pytest.mark.parametrize(("cell", "options", "message"), RULES)
def test_options_that_a_state_cannot_have_are_refused(cell, options, message):
    with register_kind(cell_kind(cell, name="ruled", summary="Has rules.")):
        [(place, text)] = problems(lambda: make("ruled", **options))
    assert (place, text[: len(message)]) == (f"options.{next(iter(options))}", message)


def test_no_zoneout_is_accepted_by_every_cell():
    with register_kind(cell_kind(StabilizedCell, name="stabilized", summary="Has a stabilizer.")):
        assert make("stabilized", zoneout=0.0)
        assert make("stabilized", zoneout=(0.0, 0.0, 0.0))


# Declarations


def declare(**attributes):
    return type("Declared", (FlatCell,), attributes)


@pytest.mark.parametrize("name", ["bookkeeping", "shared_zoneout_mask", "recurrent_dropout_parts"])
@pytest.mark.parametrize(
    ("value", "message"),
    [
        (("q",), r"Declared\.{} names 'q', but the parts of its state are h, n, m"),
        ("h", r"Declared\.{} must be a tuple of names, as in `\('h',\)`"),
        ((0,), r"Declared\.{} must be a tuple of names"),
        ((("h", "n"),), r"Declared\.{} must be a tuple of names"),
        (None, r"Declared\.{} must be a tuple of names"),
    ],
    ids=["unknown", "string", "number", "nested", "none"],
)
def test_a_wrong_name_is_an_error_of_the_class(name, value, message):
    with pytest.raises(TypeError, match=message.format(name)):
        declare(**{name: value})


@pytest.mark.parametrize("name", ["shared_zoneout_mask", "recurrent_dropout_parts"])
def test_bookkeeping_is_not_changed_at_random(name):
    with pytest.raises(TypeError, match=f"names 'm' in bookkeeping.*and in {name}"):
        declare(**{name: ("m",)})


def test_a_subclass_with_another_state_declares_its_own_parts():
    with pytest.raises(TypeError, match=r"Declared\.bookkeeping names 'm', but the parts of its state are h: "):
        declare(State=SimpleCell.State)
    assert declare(State=SimpleCell.State, bookkeeping=(), shared_zoneout_mask=())


def test_a_base_class_without_a_step_may_leave_its_state_to_subclasses():
    base = type("Base", (Cell,), {"bookkeeping": ("m",)})
    assert type("Concrete", (base,), {"State": FlatState, "step": FlatCell.step}).bookkeeping == ("m",)


class UnevenCell(MemoryCell):
    def state_shapes(self, batch_size):
        return super().state_shapes(batch_size)._replace(n=torch.Size((batch_size, 2 * self.hidden_size)))


class FlatPartCell(MemoryCell):
    def state_shapes(self, batch_size):
        return super().state_shapes(batch_size)._replace(n=torch.Size((batch_size,)))


@pytest.mark.parametrize("cell", [UnevenCell, FlatPartCell])
def test_parts_that_cannot_share_a_mask_are_refused(cell):
    with (
        register_kind(cell_kind(cell, name="uneven", summary="Uneven.")),
        pytest.raises(BuildError, match="same first"),
    ):
        build_model(make("uneven"))
