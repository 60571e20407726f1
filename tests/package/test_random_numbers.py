"""Random numbers of a block are those of a seed, and do not come from the global generator."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from rnnkit._random_numbers import LocalRandomNumbers

X = torch.linspace(0.1, 0.9, 12).reshape(3, 4)
DRAWS = {
    "rand": lambda: torch.rand(3),
    "rand of a dtype": lambda: torch.rand(3, dtype=torch.float64, device="cpu"),
    "rand into a tensor": lambda: torch.rand(3, out=torch.empty(3)),
    "randn": lambda: torch.randn(2, 3),
    "randint": lambda: torch.randint(9, (5,)),
    "randint between": lambda: torch.randint(3, 9, (5,)),
    "randperm": lambda: torch.randperm(9),
    "rand_like": lambda: torch.rand_like(X),
    "randn_like": lambda: torch.randn_like(X),
    "randint_like": lambda: torch.randint_like(X, 9),
    "bernoulli": lambda: torch.bernoulli(X),
    "multinomial": lambda: torch.multinomial(X, 2),
    "normal": lambda: torch.normal(X, X),
    "uniform_": lambda: torch.empty(3).uniform_(),
    "exponential_": lambda: torch.empty(3).exponential_(),
    "dropout": lambda: F.dropout(X),
    "alpha_dropout": lambda: F.alpha_dropout(X, 0.5, training=True),
    "rrelu": lambda: F.rrelu(-X, training=True),
    "orthogonal_": lambda: torch.nn.init.orthogonal_(torch.empty(3, 3)),
    "LSTM": lambda: torch.nn.LSTM(4, 2, 2, dropout=0.5)(X)[0],
}


@pytest.mark.parametrize("draw", DRAWS)
def test_the_numbers_are_those_of_the_seed(draw):
    torch.manual_seed(5)
    expected = [DRAWS[draw](), DRAWS[draw]()]
    before = torch.get_rng_state()
    with LocalRandomNumbers(5):
        found = [DRAWS[draw](), DRAWS[draw]()]
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other)
    assert torch.equal(torch.get_rng_state(), before)


def test_a_given_generator_is_used():
    expected = torch.rand(3, generator=torch.Generator().manual_seed(1))
    with LocalRandomNumbers():
        found = torch.rand(3, generator=torch.Generator().manual_seed(1))
    torch.testing.assert_close(found, expected)


@pytest.mark.parametrize("draw", [nn.init.normal_, nn.init.xavier_uniform_, nn.init.trunc_normal_, nn.init.orthogonal_])
def test_initialization_on_the_meta_device_returns_its_tensor(draw):
    weight = nn.Parameter(torch.empty(3, 4, device="meta"))
    with LocalRandomNumbers():
        assert draw(weight) is weight
        assert torch.rand(3, device="meta").is_meta


def test_blocks_may_be_nested():
    with LocalRandomNumbers(1):
        first = torch.rand(1)
        with LocalRandomNumbers(1):
            again = torch.rand(1)
        second = torch.rand(1)
    assert first == again != second


def test_nothing_is_drawn_on_the_meta_device():
    with LocalRandomNumbers():
        assert torch.empty(3, device="meta").uniform_().is_meta
