"""`reset_parameters` after `to_empty`: the values of a newly built model, in any order of modules."""

import copy
import gc
import io
import pickle
import weakref

import pytest
import torch
from torch import nn
from torch.nn.utils import parametrizations, prune

from rnnkit import (
    BuildError,
    Cell,
    CellStack,
    CellState,
    build_model,
    cell_kind,
    hookimpl,
    register_hooks,
    register_kind,
)
from rnnkit_builtin.lstm_cell import LSTMCell
from tests.helpers.cells import SimpleCell
from tests.helpers.models import small_input, small_model, small_spec


def fill(model, value=float("nan")):
    """Overwrite all parameters and buffers, as the memory that `to_empty` allocates may hold anything."""
    with torch.no_grad():
        for each in [*model.parameters(), *model.buffers()]:
            each.fill_(value if each.is_floating_point() else 7)


def emptied(spec, **changes):
    model = build_model(spec, device="meta", **changes).to_empty(device="cpu")
    fill(model)
    return model


def resets(model):
    return [module for module in model.modules() if hasattr(module, "reset_parameters")]


def reset_all(modules):
    """Call `reset_parameters` of each module under the same seed, which makes the values those of one model."""
    for module in modules:
        torch.manual_seed(3)
        module.reset_parameters()


def new_model(spec, **changes):
    torch.manual_seed(3)
    return build_model(spec, **changes)


def children_first(model):
    found = []
    model.apply(found.append)
    return [module for module in found if hasattr(module, "reset_parameters")]


ORDERS = {
    "parents_first": resets,
    "children_first": children_first,
    "reversed": lambda model: reversed(resets(model)),
    "model_alone": lambda model: [model],
}
orders = pytest.mark.parametrize("order", ORDERS.values(), ids=ORDERS)
OPTIONS = {
    "rnn": {"recurrent_init": "orthogonal"},
    "gru": {"recurrent_init": "orthogonal"},
    "lstm": {"recurrent_init": "orthogonal", "forget_bias": 1.5},
    "rnn_cell": {"recurrent_init": "orthogonal", "learn_initial_state": True, "layer_norm": "output"},
    "gru_cell": {"recurrent_init": "orthogonal", "learn_initial_state": True, "layer_norm": "gates"},
    "lstm_cell": {"recurrent_init": "orthogonal", "forget_bias": 1.5, "layer_norm": "gates"},
    "mixed": {"recurrent_init": "orthogonal", "learn_initial_state": True},
}


@orders
def test_every_tensor_is_initialized_as_in_a_new_model(kind, order):
    model = emptied(small_spec(kind, options=OPTIONS.get(kind, {})))
    reset_all(order(model))
    torch.testing.assert_close(tensors(model), tensors(new_model(model.spec)), rtol=0, atol=0)


def tensors(model):
    return {**dict(model.named_parameters()), **dict(model.named_buffers())}


@orders
@pytest.mark.parametrize("name", OPTIONS)
def test_options_of_initialization_hold(name, order):
    model = emptied(small_spec(name, options=OPTIONS[name]), dtype=torch.float64)
    reset_all(order(model))
    parameters = dict(model.backbone.named_parameters())
    for weight in [each for path, each in parameters.items() if "weight_hh" in path]:
        for block in weight.detach().split(6):
            torch.testing.assert_close(block @ block.T, torch.eye(6, dtype=torch.float64))
    if "forget_bias" in OPTIONS[name]:
        for path, bias in parameters.items():
            if "bias_ih" in path:
                total = bias + parameters[path.replace("bias_ih", "bias_hh")]
                torch.testing.assert_close(total[6:12], torch.full((6,), 1.5, dtype=torch.float64))


def test_random_values_are_drawn_again_in_place(kind):
    model = small_model(kind)
    before = {name: (each, each.detach().clone()) for name, each in model.named_parameters()}
    model.reset_parameters()
    assert all(each is before[name][0] for name, each in model.named_parameters())
    assert any(not torch.equal(*pair) for pair in before.values())


def test_one_module_is_reset_alone():
    model = small_model("lstm_cell")
    before = copy.deepcopy(model.state_dict())
    model.backbone.cells[1].reset_parameters()
    changed = {name for name, each in model.state_dict().items() if not torch.equal(each, before[name])}
    assert changed == {f"backbone.cells.1.{name}" for name, _ in model.backbone.cells[1].named_parameters()}


def test_dtype_and_device_are_those_of_the_model():
    model = small_model("lstm", dtype=torch.float32, options={"recurrent_init": "orthogonal"}).to(torch.bfloat16)
    model.reset_parameters()
    assert {each.dtype for each in model.parameters()} == {torch.bfloat16}
    meta = build_model(model.spec, device="meta")
    meta.reset_parameters()
    assert all(each.is_meta for each in meta.parameters())


# Copies


def through_torch(model):
    file = io.BytesIO()
    torch.save(model, file)
    file.seek(0)
    return torch.load(file, weights_only=False)


@pytest.mark.parametrize(
    "copied",
    [copy.deepcopy, lambda model: pickle.loads(pickle.dumps(model)), through_torch],
    ids=["deepcopy", "pickle", "torch_save"],
)
def test_a_copy_is_reset_and_the_original_is_not(kind, copied):
    model = small_model(kind)
    before = copy.deepcopy(model.state_dict())
    twin = copied(model)
    fill(twin)
    for module in resets(twin):
        module.reset_parameters()
    assert all(each.isfinite().all() for each in twin.state_dict().values())
    torch.testing.assert_close(model.state_dict(), before, rtol=0, atol=0)


def test_a_backbone_outlives_its_model(kind):
    gc.freeze()  # the compiler of torch leaves millions of objects, which need no visit
    try:
        backbone = small_model(kind).backbone
        gc.collect()
    finally:
        gc.unfreeze()
    fill(backbone)
    backbone.reset_parameters()
    assert all(each.isfinite().all() for each in backbone.parameters())


def test_a_model_without_references_is_freed_at_once(kind):
    gc.disable()
    try:
        model = small_model(kind)
        alive = [weakref.ref(module) for module in model.modules()]
        del model
        assert not any(each() for each in alive)
    finally:
        gc.enable()


# Cells and backbones of plugins: whatever their constructor does


class Modules(Cell):
    """A cell of modules that its constructor initializes itself, with buffers that are not saved."""

    def __init__(self, input_size, hidden_size, *, device=None, dtype=None):
        super().__init__(input_size, hidden_size, device=device, dtype=dtype)
        self.read = nn.Linear(input_size, hidden_size, device=device, dtype=dtype)
        self.recur = nn.Linear(hidden_size, hidden_size, device=device, dtype=dtype)
        self.scale = self.new_parameter(hidden_size)
        self.register_buffer("decay", torch.linspace(0, 1, hidden_size, device=device, dtype=dtype), persistent=False)
        self.register_buffer("count", torch.tensor(3, device=device))
        self.register_buffer("nothing", None)
        nn.init.eye_(self.recur.weight)
        nn.init.constant_(self.read.bias, 2.0)
        nn.init.ones_(self.scale)

    def initial_state(self, batch_size, **_where):
        return CellState(self.decay.expand(batch_size, -1))

    def step(self, x_t, state):
        h = torch.tanh(self.scale * self.read(x_t) + self.recur(state.h)) + self.decay
        return h, CellState(h)


@orders
def test_modules_and_buffers_of_a_cell_are_restored(order):
    with register_kind(cell_kind(Modules, name="modules", summary="A test.")) as kind:
        model = emptied(small_spec(kind.name, options={"learn_initial_state": True}))
        reset_all(order(model))
        fresh = new_model(model.spec)
    for index, cell in enumerate(model.backbone.cells):
        torch.testing.assert_close(cell.decay, torch.linspace(0, 1, 6))
        assert cell.count == 3
        torch.testing.assert_close(cell.recur.weight, torch.eye(6))
        torch.testing.assert_close(cell.read.bias, torch.full((6,), 2.0))
        torch.testing.assert_close(cell.scale, torch.ones(6))
        torch.testing.assert_close(model.backbone.initial[index]["h"], fresh.backbone.cells[index].decay)


class OwnReset(SimpleCell):
    """A cell with torch's habit: the constructor calls `reset_parameters`."""

    def __init__(self, *sizes, **rest):
        super().__init__(*sizes, **rest)
        self.reset_parameters()

    def reset_parameters(self):
        for parameter in self.parameters():
            nn.init.constant_(parameter, 0.25)


def test_a_cell_with_its_own_reset_keeps_the_options():
    with register_kind(cell_kind(OwnReset, name="own", summary="A test.")) as kind:
        model = emptied(small_spec(kind.name, options={"recurrent_init": "orthogonal"}))
        model.backbone.cells[0].reset_parameters()
    cell = model.backbone.cells[0]
    torch.testing.assert_close(cell.weight_ih, torch.full_like(cell.weight_ih, 0.25))
    torch.testing.assert_close(cell.weight_hh @ cell.weight_hh.T, torch.eye(6))


class ZeroBias:
    @hookimpl
    def after_build(self, spec, model):
        nn.init.zeros_(model.readout.linear.bias)


@orders
def test_hooks_after_build_run_again(order):
    with register_hooks(ZeroBias()):
        model = emptied(small_spec("gru"))
        reset_all(order(model))
    assert not model.readout.linear.bias.any()
    assert model.readout.linear.weight.all()


# Errors and changed models


@pytest.mark.parametrize(
    "make",
    [
        lambda: LSTMCell(3, 4),
        lambda: CellStack(small_spec("lstm_cell"), [LSTMCell, LSTMCell], device=None, dtype=None),
    ],
    ids=["Cell", "CellStack"],
)
def test_a_module_that_build_model_did_not_build_is_refused(make):
    with pytest.raises(BuildError, match=r"this \w+ was not built by build_model: initialize its parameters directly"):
        make().reset_parameters()


def test_a_parametrized_weight_is_reset(kind):
    model = small_model(kind, options={"recurrent_init": "orthogonal"} if kind in OPTIONS else {})
    name = next(name for name, each in model.backbone.named_parameters() if each.dim() == 2)
    path, _, leaf = name.rpartition(".")
    owner = model.backbone.get_submodule(path)
    parametrizations.weight_norm(owner, leaf)
    fill(owner, 3.0)
    model.reset_parameters()
    assert getattr(owner, leaf).abs().max() < 1
    model(small_input()).sum().backward()


def test_changed_models_are_refused():
    model = small_model("gru_cell")
    model.readout.linear = nn.Linear(6, 9)
    with pytest.raises(BuildError, match=r"finds no readout\.linear\.weight of the shape"):
        model.reset_parameters()
    model = small_model("gru_cell")
    prune.l1_unstructured(model.backbone.cells[0], "weight_hh", amount=0.5)
    with pytest.raises(BuildError, match=r"finds no backbone\.cells\.0\.weight_hh of the shape"):
        model.reset_parameters()
