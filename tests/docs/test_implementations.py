"""Each departure in the tables of `docs/explanation/implementations.md` is reproduced, and no row lacks a test.

A package's cell is computed beside two formulas. It equals the second, and differs from the first, the paper's, by the
size that the page states.
"""

import re

import pytest
import torch
import torchrecurrent
from minGRU_pytorch.minLSTM import minLSTM
from torch import nn

from tests.helpers.pages import ROOT

PAGE = ROOT / "docs/explanation/implementations.md"
BATCH, INPUT_SIZE, HIDDEN_SIZE = 3, 4, 5
sigmoid, tanh, relu = torch.sigmoid, torch.tanh, torch.relu


def values():
    """Return x, h and c."""
    x, h, c = torch.randn(BATCH, INPUT_SIZE), torch.randn(BATCH, HIDDEN_SIZE), torch.randn(BATCH, HIDDEN_SIZE)
    return x, h / 2, c / 2


def cell(name, *, size=HIDDEN_SIZE, **arguments):
    return getattr(torchrecurrent, f"{name}Cell")(INPUT_SIZE, size, **arguments)


def products(cell, x, h, inputs, states):
    """Return the products with x and with h, one for each gate; biases start at zero."""
    return (x @ cell.weight_ih.T).chunk(inputs, 1), (h @ cell.weight_hh.T).chunk(states, 1)


def lem():
    theirs, (x, y, z) = cell("LEM"), values()
    p, u = products(theirs, x, y, 4, 3)

    def formula(*, reads_new_z):
        step_y, step_z = sigmoid(p[0] + u[0]), sigmoid(p[1] + u[1])
        new_z = (1 - step_z) * z + step_z * tanh(p[2] + u[2])
        read = new_z if reads_new_z else z
        return (1 - step_y) * y + step_y * tanh(p[3] + read @ theirs.weight_ch.T)

    return theirs(x, (y, z))[0], formula(reads_new_z=True), formula(reads_new_z=False)


def nas():
    theirs, (x, h, c) = cell("NAS"), values()
    p, u = products(theirs, x, h, 8, 8)
    s = [a + b for a, b in zip(p, u, strict=True)]

    def formula(third):
        left = tanh(tanh(sigmoid(s[0]) * relu(s[1])) + c) * tanh(sigmoid(s[2]) + relu(third))
        right = tanh(tanh(tanh(s[4]) * sigmoid(s[5])) + sigmoid(tanh(s[6]) + sigmoid(s[7])))
        return tanh(left * right)

    return theirs(x, (h, c))[0], formula(p[3] * u[3]), formula(s[3])


def fastgrnn():
    theirs, (x, h, _) = cell("FastGRNN"), values()
    sums = x @ theirs.weight_ih.T + h @ theirs.weight_hh.T

    def formula(gate):
        z = gate(sums)
        return (sigmoid(theirs.zeta) * (1 - z) + sigmoid(theirs.nu)) * tanh(sums) + z * h

    return theirs(x, h), formula(sigmoid), formula(tanh)


def min_lstm():
    theirs = minLSTM(HIDDEN_SIZE).double()
    x, state = torch.randn(BATCH, 7, HIDDEN_SIZE), torch.rand(BATCH, 1, HIDDEN_SIZE) + 0.1

    def by_steps(hidden):
        outputs = []
        for x_t in x.split(1, 1):
            output, hidden = theirs(x_t, prev_hidden=hidden, return_next_prev_hidden=True)
            outputs.append(output)
        return torch.cat(outputs, 1)

    def positive(value):
        return torch.where(value >= 0, value + 0.5, sigmoid(value))

    return theirs(x, prev_hidden=state), by_steps(state), by_steps(positive(state))


COMPUTED = {
    "torchrecurrent: LEM": lem,
    "torchrecurrent: NAS": nas,
    "torchrecurrent: FastGRNN": fastgrnn,
    "minGRU-pytorch: minLSTM": min_lstm,
}


@pytest.mark.parametrize("name", COMPUTED)
def test_a_cell_computes_another_function(name):
    with torch.no_grad(), torch.random.fork_rng():
        torch.manual_seed(0)
        default = torch.get_default_dtype()
        torch.set_default_dtype(torch.float64)
        try:
            theirs, paper, other = COMPUTED[name]()
        finally:
            torch.set_default_dtype(default)
    torch.testing.assert_close(theirs, other)
    difference = (theirs - paper).abs().max().item()
    assert difference > 0.01
    assert stated(name) == f"{difference:.2f}"


def fast_rnn():
    theirs = cell("FastRNN")
    return f"keeps {sigmoid(theirs.beta).item():.1%} of the state"


def fast_grnn_start():
    theirs = cell("FastGRNN")
    return f"zeta {theirs.zeta.item():g}, nu {theirs.nu.item():g}"


def scrn():
    theirs = cell("SCRN")
    return f"alpha {theirs.alpha.item():g}, {'learned' if theirs.alpha.requires_grad else 'fixed'}"


def janet():
    theirs = cell("JANET")
    return f"beta {theirs.beta.item():g}, {'learned' if theirs.beta.requires_grad else 'fixed'}"


def indrnn():
    theirs = cell("IndRNN", size=400)
    [largest] = [p.abs().max().item() for p in theirs.parameters() if p.dim() == 1 and p.std() > 0.3]
    assert largest > 2
    return f"{type(theirs.act).__name__.lower()}, standard normal"


def antisymmetric():
    theirs = cell("AntisymmetricRNN", size=400)
    assert abs(theirs.weight_hh.std() - 1) < 0.01
    return f"standard deviation 1, step {theirs.epsilon:g}, damping {theirs.gamma:g}"


def ligru():
    theirs = cell("LiGRU")
    assert not any(isinstance(module, nn.modules.batchnorm._BatchNorm | nn.LayerNorm) for module in theirs.modules())
    return "no normalization"


READ = {
    "torchrecurrent: FastRNN": fast_rnn,
    "torchrecurrent: FastGRNN's start": fast_grnn_start,
    "torchrecurrent: SCRN": scrn,
    "torchrecurrent: JANET": janet,
    "torchrecurrent: IndRNN": indrnn,
    "torchrecurrent: AntisymmetricRNN": antisymmetric,
    "torchrecurrent: LiGRU": ligru,
}


@pytest.mark.parametrize("name", READ)
def test_a_cell_starts_elsewhere_or_has_another_structure(name):
    assert stated(name) == READ[name]()


def rows():
    """Return the cells of each row of the tables by the text of the first."""
    lines = re.findall(r"^\| (?!package|--)(.+) \|$", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    return {cells[0]: cells for cells in (line.split(" | ") for line in lines)}


def stated(name):
    return rows()[name][-1]


def test_every_row_has_a_test():
    assert set(rows()) == {*COMPUTED, *READ}
