"""The kind `rnn_cell` calls its cells as modules wherever that does more than the bare update."""

import pytest
import torch
from torch import nn
from torch.nn.utils import parametrize, prune

from tests.models import TIME, small_input, small_model


@pytest.fixture
def model():
    return small_model("rnn_cell")


def test_a_hook_on_a_cell_sees_every_step(model):
    seen = []
    handle = model.backbone.cells[1].register_forward_hook(lambda _cell, _inputs, h: seen.append(h))
    y = model(small_input())
    assert len(seen) == TIME
    assert torch.equal(model.readout.project(seen[-1]), y)
    handle.remove()
    model(small_input())
    assert len(seen) == TIME


@pytest.mark.parametrize(
    "register",
    [
        lambda cell, hook: cell.register_forward_pre_hook(hook),
        lambda cell, hook: cell.register_full_backward_hook(hook),
        lambda cell, hook: cell.register_full_backward_pre_hook(hook),
        lambda _cell, hook: nn.modules.module.register_module_forward_hook(hook),
    ],
    ids=["forward_pre", "backward", "backward_pre", "global"],
)
def test_hooks_of_every_sort_are_called(model, register):
    called = []
    handle = register(model.backbone.cells[0], lambda module, *_: called.append(module))
    model(small_input().requires_grad_()).sum().backward()
    handle.remove()
    assert called.count(model.backbone.cells[0]) == TIME


def test_a_replaced_cell_is_used(model):
    class Echo(nn.RNNCell):
        def forward(self, x_t, h):
            return h + x_t.sum(-1, keepdim=True)

    model.backbone.cells[0] = Echo(3, 6).double()
    x = small_input()
    _, state = model(x, return_state=True)
    torch.testing.assert_close(state[0].h, x.sum((1, 2))[:, None].expand(-1, 6))


def test_a_patched_cell_is_used(model):
    model.backbone.cells[0].forward = lambda _x_t, h: h + 1
    _, state = model(small_input(), return_state=True)
    assert state[0].h.eq(TIME).all()


def test_a_parametrized_weight_and_a_pruned_one_are_used(model):
    class Halved(nn.Module):
        def forward(self, weight):
            return weight / 2

    reference = small_model("rnn")
    first, second = model.backbone.cells
    parametrize.register_parametrization(first, "weight_hh", Halved())
    prune.l1_unstructured(second, "weight_ih", amount=0.5)
    assert second.weight_ih.eq(0).sum() == 18
    with torch.no_grad():
        for layer, cell in enumerate((first, second)):
            for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh"):
                getattr(reference.backbone.rnn, f"{name}_l{layer}").copy_(getattr(cell, name))
    reference.readout.load_state_dict(model.readout.state_dict())
    x = small_input()
    torch.testing.assert_close(model(x), reference(x))


def test_dropout_scales_what_it_keeps():
    """The second layer reads the first one's output times a mask of 0 and 1 / (1 - dropout)."""
    model = small_model("rnn_cell", dropout=0.25, output_size=None, readout="all")
    below, above = (small_model("rnn", num_layers=1, input_size=size, output_size=None) for size in (3, 6))
    for part, cell in zip((below, above), model.backbone.cells, strict=True):
        part.backbone.rnn.load_state_dict({f"{name}_l0": weight for name, weight in cell.state_dict().items()})
    x = small_input()

    torch.manual_seed(5)
    y = model(x)
    torch.manual_seed(5)
    mask = nn.functional.dropout(torch.ones(TIME, len(x), 6, dtype=x.dtype), 0.25).transpose(0, 1)
    middle, _ = below.backbone(x)
    torch.testing.assert_close(y, above.backbone(middle * mask)[0])
