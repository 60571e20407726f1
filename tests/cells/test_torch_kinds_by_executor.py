"""The kinds `rnn`, `gru` and `lstm` by an executor: which calls it runs, and that no call computes with old weights."""

import copy
import io
import pickle
import weakref

import pytest
import torch
from torch import nn
from torch.func import functional_call
from torch.nn.utils import parametrizations, parametrize, prune
from torch.utils.checkpoint import checkpoint

from rnnkit import register_executor
from rnnkit_builtin._executor_rule import executor_is_faster
from tests.helpers.executors import Reference
from tests.helpers.models import leaves, random_state, small_model

TIME = 21  # the fewest steps of `gru` and `lstm` are 20
CHANGED = "torch (hooks, parametrizations or attributes change the module)"


@pytest.fixture(autouse=True)
def _reference(monkeypatch):
    monkeypatch.setenv("RNNKIT_EXECUTORS", "local/reference")
    with register_executor(Reference):
        yield


def long_input(*, time=TIME, batch=2, dtype=torch.float64):
    return torch.randn(batch, time, 3, dtype=dtype)


def executor_of(model, x, **keywords):
    with torch.no_grad():
        model.backbone(x, **keywords)
    return model.backbone.executor


def assert_runs_torch(model, x, executor=CHANGED):
    """Compare with a call without executors, by which torch's module runs."""
    with torch.no_grad():
        found, _ = model.backbone(x)
        assert model.backbone.executor == executor
        output, _ = model.backbone.rnn(x)
    torch.testing.assert_close(found, output)


def is_faster(
    kernel, dtype=torch.float32, *, device="cpu", time=100, batch=8, hidden_size=64, lengths=False, projected=False
):
    x = torch.empty(time, batch, 1, dtype=dtype, device=device)
    sizes = {"time": time, "batch": batch, "has_lengths": lengths, "projected": projected}
    return executor_is_faster(kernel, x, hidden_size, **sizes)


def test_the_rule():
    """The documented rule, by its limits."""
    for kernel, steps in {"rnn_tanh": 12, "rnn_relu": 12, "gru": 6}.items():
        for dtype in (torch.float32, torch.float64):
            assert is_faster(kernel, dtype, time=steps, lengths=True)
            assert is_faster(kernel, dtype, time=steps, hidden_size=512)
            assert not is_faster(kernel, dtype, time=steps - 1)
            assert not is_faster(kernel, dtype, hidden_size=513)
            assert is_faster(kernel, dtype, hidden_size=512, batch=17)
            assert not is_faster(kernel, dtype, hidden_size=512, batch=17, lengths=True)
    assert not is_faster("gru", torch.bfloat16)
    assert is_faster("gru", device="cpu")
    assert not is_faster("gru", device="meta")


def test_the_rule_keeps_the_lstm_of_onednn():
    assert not is_faster("lstm")
    assert not is_faster("lstm", lengths=True, batch=1)
    assert is_faster("lstm", lengths=True, batch=2)
    assert is_faster("lstm", projected=True)
    assert is_faster("lstm", torch.float64, time=8)
    assert not is_faster("lstm", torch.float64, time=7)


@pytest.mark.parametrize("name", ["gru", "gru_cell"])
def test_kind_and_cells_have_the_same_rule(name):
    model, own = small_model(name), {"gru": "torch", "gru_cell": "unroll_layers"}[name]
    assert executor_of(model, long_input(time=6)) == "reference"
    assert executor_of(model, long_input(time=5)) == own


def test_lstm_by_dtype_lengths_and_projection():
    x, lengths = long_input(), torch.tensor([TIME, 2])
    model = small_model("lstm")
    assert executor_of(model, x) == "reference"
    model, x = model.float(), x.float()
    assert executor_of(model, x) == "torch"
    assert executor_of(model, x, lengths=lengths) == "reference"
    assert executor_of(model, x[:1], lengths=lengths[:1]) == "torch"
    assert executor_of(small_model("lstm", dtype=torch.float32, options={"proj_size": 4}), x) == "reference"


def test_without_an_executor_torch_runs(monkeypatch):
    monkeypatch.setenv("RNNKIT_EXECUTORS", "")
    assert executor_of(small_model("gru"), long_input()) == "torch (no executor is installed)"


def test_autocast_and_transforms_run_torch():
    model, x = small_model("gru", dtype=torch.float32), long_input(dtype=torch.float32)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert executor_of(model, x) == "torch (autocast is enabled)"
    with torch.autograd.forward_ad.dual_level():
        assert executor_of(model, x) == "torch (a transform of torch.func is active)"


def test_the_module_has_no_other_children_and_parameters():
    model, fresh = small_model("gru"), small_model("gru")
    assert executor_of(model, long_input()) == "reference"
    assert [name for name, _ in model.named_modules()] == [name for name, _ in fresh.named_modules()]
    assert list(model.state_dict()) == list(fresh.state_dict())
    assert len(list(model.parameters())) == len(list(fresh.parameters()))


def test_a_deleted_model_is_freed_at_once():
    """Without a cycle of references, which would wait for the garbage collector."""
    model = small_model("gru")
    assert executor_of(model, long_input()) == "reference"
    backbone, weight = weakref.ref(model.backbone), weakref.ref(model.backbone.rnn.weight_hh_l0)
    del model
    assert backbone() is None
    assert weight() is None


def test_the_first_call_draws_no_random_numbers():
    model, x = small_model("gru"), long_input()
    before = torch.get_rng_state()
    assert executor_of(model, x) == "reference"
    torch.testing.assert_close(torch.get_rng_state(), before)


def test_an_empty_batch():
    model, x = small_model("gru"), long_input(batch=0)
    output, final = model.backbone(x)
    assert model.backbone.executor == "reference"
    assert output.shape == (0, TIME, 6)
    assert final.h_n.shape == (2, 0, 6)


def change_in_place(model):
    with torch.no_grad():
        model.backbone.rnn.weight_hh_l0.mul_(2)


def change_data(model):
    model.backbone.rnn.weight_hh_l0.data = 2 * model.backbone.rnn.weight_hh_l0.data


def replace_parameter(model):
    model.backbone.rnn.weight_hh_l1 = nn.Parameter(2 * model.backbone.rnn.weight_hh_l1.detach())


def load_by_assignment(model):
    model.load_state_dict({name: 2 * each for name, each in model.state_dict().items()}, assign=True)


def replace_module(model):
    model.backbone.rnn = copy.deepcopy(model.backbone.rnn)
    change_in_place(model)


def replace_module_past_setattr(model):
    model.backbone._modules["rnn"] = copy.deepcopy(model.backbone.rnn)
    change_in_place(model)


def convert_and_back(model):
    model.float().double()


def tie_layers(model):
    model.backbone.rnn.weight_hh_l1 = model.backbone.rnn.weight_hh_l0


def freeze(model):
    model.backbone.rnn.weight_hh_l0.requires_grad_(False)  # torch's argument


def share_memory(model):
    model.share_memory()


SEEN = [
    *(change_in_place, change_data, replace_parameter, load_by_assignment, replace_module),
    *(replace_module_past_setattr, convert_and_back, tie_layers, freeze, share_memory),
]


@pytest.mark.parametrize("change", SEEN, ids=lambda change: change.__name__)
def test_new_weights_are_seen(change):
    model, x = small_model("gru"), long_input()
    assert executor_of(model, x) == "reference"
    change(model)
    output, final = model.backbone(x)
    assert model.backbone.executor == "reference"
    expected, h_n = model.backbone.rnn(x)
    torch.testing.assert_close((output, final.h_n), (expected, h_n))
    needed = [each for each in model.backbone.parameters() if each.requires_grad]
    torch.testing.assert_close(torch.autograd.grad(output.sum(), needed), torch.autograd.grad(expected.sum(), needed))


class Wrapper(nn.Module):
    """A module of the user in place of `rnn`."""

    def __init__(self, rnn):
        super().__init__()
        self.inner = rnn

    def forward(self, x, hx=None):
        output, final = self.inner(x, hx)
        return 2 * output, final


class Halved(nn.Module):
    def forward(self, weight):
        return weight / 2


class Subclass(nn.GRU):
    def forward(self, x, hx=None):
        output, final = super().forward(x, hx)
        return 2 * output, final


def double_output(_module, _arguments, result):
    return 2 * result[0], result[1]


def wrap(model):
    model.backbone.rnn = Wrapper(model.backbone.rnn)


def use_data_parallel(model):
    model.backbone.rnn = nn.DataParallel(model.backbone.rnn)


def use_subclass(model):
    rnn = Subclass(3, 6, num_layers=2, batch_first=True, dtype=torch.float64)
    rnn.load_state_dict(model.backbone.rnn.state_dict())
    model.backbone.rnn = rnn


def parametrize_weight(model):
    parametrize.register_parametrization(model.backbone.rnn, "weight_hh_l0", Halved())


def normalize_weight(model):
    parametrizations.weight_norm(model.backbone.rnn, "weight_hh_l0")


def normalize_weight_by_a_hook(model):
    with pytest.warns(FutureWarning):
        torch.nn.utils.weight_norm(model.backbone.rnn, "weight_hh_l0")


def prune_weight(model):
    prune.random_unstructured(model.backbone.rnn, "weight_hh_l0", 0.5)


def add_hook(model):
    model.backbone.rnn.register_forward_hook(double_output)


def add_backward_hook(model):
    model.backbone.rnn.register_full_backward_hook(lambda *_: None)


def patch_forward(model):
    model.backbone.rnn.forward = lambda x, hx=None: (2 * x, hx)


def change_batch_first(model):
    model.backbone.rnn.batch_first = False


def use_subclass_of_parameter(model):
    class Own(nn.Parameter):
        pass

    model.backbone.rnn.weight_hh_l0 = Own(model.backbone.rnn.weight_hh_l0.detach())


UNSEEN = [
    *(wrap, use_data_parallel, use_subclass, parametrize_weight, normalize_weight, normalize_weight_by_a_hook),
    *(prune_weight, add_hook, add_backward_hook, patch_forward, change_batch_first, use_subclass_of_parameter),
]


@pytest.mark.parametrize("change", UNSEEN, ids=lambda change: change.__name__)
def test_a_changed_module_runs_itself(change):
    model, x = small_model("gru"), long_input(batch=TIME)
    assert executor_of(model, x) == "reference"
    change(model)
    assert_runs_torch(model, x)
    assert model.backbone._link_to_rnn.cells is None, "the old weights stay alive"


def test_a_patched_class_runs_itself(monkeypatch):
    model, x = small_model("gru"), long_input()
    assert executor_of(model, x) == "reference"
    monkeypatch.setattr(nn.GRU, "forward", lambda self, x, hx=None: (2 * x, hx))
    assert_runs_torch(model, x)


def test_global_hooks_are_called():
    model, x, called = small_model("gru"), long_input(), []
    handle = nn.modules.module.register_module_forward_hook(lambda module, *_: called.append(type(module)))
    try:
        executor = executor_of(model, x)
    finally:
        handle.remove()
    assert executor.startswith("torch (")
    assert nn.GRU in called


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning")
def test_a_quantized_module_runs_itself_and_the_float_weights_are_not_kept():
    model, x = small_model("gru", dtype=torch.float32).eval(), long_input(dtype=torch.float32)
    assert executor_of(model, x) == "reference"
    quantized = torch.ao.quantization.quantize_dynamic(model, {nn.GRU}, dtype=torch.qint8)
    assert_runs_torch(quantized, x)
    assert quantized.backbone._link_to_rnn.cells is None


@pytest.mark.parametrize("make", [lambda each: nn.Parameter(2 * each), lambda each: 2 * each], ids=["plain", "graph"])
def test_functional_call_computes_with_its_weights(make):
    model, x = small_model("gru"), long_input()
    assert executor_of(model, x) == "reference"
    weights = {name: make(each.detach()) for name, each in model.named_parameters()}
    found = functional_call(model, weights, (x,))
    other = copy.deepcopy(model)
    with torch.no_grad():
        for each in other.parameters():
            each.mul_(2)
    torch.testing.assert_close(found, other(x))
    assert not torch.allclose(model(x), found)
    assert model.backbone.executor == "reference"


def by_pickle(model):
    return pickle.loads(pickle.dumps(model))  # of this test


def by_torch_save(model):
    file = io.BytesIO()
    torch.save(model, file)
    return torch.load(io.BytesIO(file.getvalue()), weights_only=False)


@pytest.mark.parametrize("copied", [copy.deepcopy, copy.copy, by_pickle, by_torch_save])
def test_copies_have_their_own_weights(copied):
    model, x = small_model("gru"), long_input()
    assert executor_of(model, x) == "reference"
    other = copied(model)
    other.backbone.rnn.weight_hh_l0 = nn.Parameter(2 * other.backbone.rnn.weight_hh_l0.detach())
    torch.testing.assert_close(other.backbone(x)[0], other.backbone.rnn(x)[0])
    torch.testing.assert_close(model.backbone(x)[0], model.backbone.rnn(x)[0])
    assert (model.backbone.executor, other.backbone.executor) == ("reference", "reference")


@pytest.mark.parametrize(("training", "of_rnn"), [(True, True), (True, False), (False, True), (False, False)])
def test_dropout_is_that_of_the_module(training, of_rnn):
    """`rnn` decides, as in a call of torch: it may be in another mode than the model."""
    model, x = small_model("gru", dropout=0.5), long_input()
    model.train(training).backbone.rnn.train(of_rnn)
    torch.manual_seed(0)
    found, _ = model.backbone(x)
    assert model.backbone.executor == "reference"
    torch.manual_seed(0)
    torch.testing.assert_close(found, model.backbone.rnn(x)[0])
    model.backbone.rnn.dropout = 1.0
    torch.testing.assert_close(model.backbone(x)[0], model.backbone.rnn(x)[0])


def test_a_subclass_of_tensor_runs_torch():
    class Own(torch.Tensor):
        pass

    model, x = small_model("gru"), long_input()
    state = random_state(model, batch=2)
    assert executor_of(model, x, state=state) == "reference"
    assert executor_of(model, x.as_subclass(Own)) == "torch (a tensor is of the class Own)"


def test_traced_models_call_the_operator(monkeypatch):
    model, x = small_model("gru"), long_input()
    assert executor_of(model, x) == "reference"
    calls = []
    monkeypatch.setattr(type(model.backbone), "_run_operator", lambda _, *arguments: calls.append(arguments))
    monkeypatch.setattr(torch.compiler, "is_compiling", lambda: True)
    model.backbone.run(x, None, None)
    assert calls == [(x, None, None, None)]


def test_a_compiled_module_runs_itself(monkeypatch):
    """As by `model.backbone.rnn.compile()`."""
    model, x = small_model("gru"), long_input()
    monkeypatch.setattr(model.backbone.rnn, "_compiled_call_impl", lambda x, hx=None: (2 * x, hx))
    assert executor_of(model, x) == CHANGED


def test_checkpointing_and_restarts():
    model, x = small_model("gru"), long_input(time=70)
    weights = list(model.backbone.parameters())
    found = torch.autograd.grad(checkpoint(model, x, use_reentrant=False).sum(), weights)
    assert model.backbone.executor == "reference"
    expected = torch.autograd.grad(model.readout.linear(model.backbone.rnn(x)[0][:, -1]).sum(), weights)
    torch.testing.assert_close(found, expected)
    restarts = torch.zeros(2, 70, dtype=torch.bool)
    restarts[:, 35] = True
    with torch.no_grad():
        y, state = model(x, restarts=restarts, return_state=True)
        again, final = model(x[:, 35:], return_state=True)
    assert model.backbone.executor == "reference"
    torch.testing.assert_close([y, *leaves(state)], [again, *leaves(final)])
