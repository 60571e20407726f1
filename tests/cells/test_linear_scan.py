"""`scan` computes the recurrence step by step in float64, with gradients of any order, under all transforms."""

import pytest
import torch
from torch.func import grad, jvp, vmap

from rnnkit import scan

DTYPES = [torch.float64, torch.complex128]
# below and above the number of steps from which chunks are used, with and without steps that do not fill a chunk
TIMES = [1, 5, 64, 71]


def inputs_of(time, *shape, dtype=torch.float64, requires_grad=True):
    generator = torch.Generator().manual_seed(time)
    sizes = [(time, *shape), (time, *shape), shape]
    return [(torch.randn(*size, dtype=dtype, generator=generator) / 2).requires_grad_(requires_grad) for size in sizes]


def step_by_step(a, b, h, *, reverse=False):
    states = {}
    for t in reversed(range(len(b))) if reverse else range(len(b)):
        h = states[t] = a[t] * h + b[t]
    return torch.stack([states[t] for t in range(len(b))])


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("time", TIMES)
def test_states_and_gradients(time, dtype, reverse):
    inputs = inputs_of(time, 2, 3, dtype=dtype)
    weights = torch.randn(time, 2, 3, dtype=dtype)
    found, expected = (run(*inputs, reverse=reverse) for run in (scan, step_by_step))
    torch.testing.assert_close(found, expected)
    losses = [(states * weights).abs().square().sum() for states in (found, expected)]
    torch.testing.assert_close(*[torch.autograd.grad(loss, inputs) for loss in losses])


def test_many_lanes_and_steps():
    """More lanes than chunks are used for."""
    inputs = inputs_of(70, 1100)
    torch.testing.assert_close(scan(*inputs), step_by_step(*inputs))


def test_factors_whose_products_overflow():
    a, b = torch.full((100, 2), 1e30), torch.zeros(100, 2)
    b[-2] = 1.0
    torch.testing.assert_close(scan(a, b), step_by_step(a, b, torch.zeros(2)))


@pytest.mark.parametrize("time", [5, 66])
@pytest.mark.parametrize("reverse", [False, True])
def test_gradients_of_gradients(time, reverse):
    def run(*inputs):
        return scan(*inputs, reverse=reverse)

    inputs = inputs_of(time, 1)
    assert torch.autograd.gradcheck(run, inputs)
    assert torch.autograd.gradgradcheck(run, inputs)


def test_gradients_of_long_sequences_in_single_precision():
    """The published form of minGRU, in logarithms, has errors of 100 % here."""
    a, b, h = inputs_of(16_384, 4, requires_grad=False)
    a = torch.sigmoid(8 * a)
    gradients = []
    for dtype in (torch.float32, torch.float64):
        leaves = [each.to(dtype).requires_grad_() for each in (a, b, h)]
        gradients.append(torch.autograd.grad(scan(*leaves).square().sum(), leaves))
    for single, double in zip(*gradients, strict=True):
        assert (single - double).abs().max() < 1e-5 * double.abs().max()


def test_broadcasting():
    a, b, h = torch.rand(3, dtype=torch.float64, requires_grad=True), *inputs_of(66, 2, 3)[1:]
    found, expected = scan(a, b, h), step_by_step(a.expand(66, 2, 3), b, h)
    torch.testing.assert_close(found, expected)
    torch.testing.assert_close(*[torch.autograd.grad(each.sum(), a) for each in (found, expected)])
    torch.testing.assert_close(scan(0.5 * torch.ones(()), torch.ones(3)), torch.tensor([1.0, 1.5, 1.75]))


def test_dtypes_are_promoted():
    assert scan(torch.rand(3), torch.rand(3, dtype=torch.float64)).dtype == torch.float64
    assert scan(torch.rand(3, dtype=torch.complex64), torch.rand(3)).dtype == torch.complex64


@pytest.mark.parametrize("shape", [(0, 3), (3, 0), (1, 1)])
def test_small_shapes(shape):
    b = torch.rand(shape, requires_grad=True)
    states = scan(torch.rand(shape), b)
    assert states.shape == shape
    states.sum().backward()


@pytest.mark.filterwarnings("ignore")  # functorch loads deprecated modules of torch
def test_transforms():
    a, b, h = inputs_of(6, 2, requires_grad=False)
    many = torch.stack([a, 2 * a])

    def loss(factors):
        return scan(factors, b, h, reverse=True).square().sum()

    torch.testing.assert_close(
        vmap(lambda each: scan(each, b, h))(many), torch.stack([scan(each, b, h) for each in many])
    )
    torch.testing.assert_close(
        vmap(grad(loss))(many),
        torch.stack([torch.autograd.grad(loss(each), each)[0] for each in many.clone().requires_grad_()]),
    )
    _, tangent = jvp(lambda terms: scan(a, terms, h), (b,), (b,))
    torch.testing.assert_close(tangent, scan(a, b))


@pytest.mark.parametrize("time", TIMES)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("reverse", [False, True])
def test_batched_gradients(time, dtype, reverse):
    inputs = inputs_of(time, 2, dtype=dtype)
    states = scan(*inputs, reverse=reverse)
    many = torch.randn(3, *states.shape, dtype=dtype)
    expected = zip(*(torch.autograd.grad(states, inputs, each, retain_graph=True) for each in many), strict=True)
    found = torch.autograd.grad(states, inputs, many, is_grads_batched=True)
    torch.testing.assert_close(found, tuple(map(torch.stack, expected)))


def test_vectorized_jacobian_of_a_constant_factor():
    b, h = torch.randn(5, 2, dtype=torch.float64), torch.randn(2, dtype=torch.float64)
    factor = torch.tensor([0.5, 0.9], dtype=torch.float64)
    jacobian = torch.autograd.functional.jacobian
    expected, found = (jacobian(lambda a: scan(a, b, h), factor, vectorize=vectorize) for vectorize in (False, True))
    torch.testing.assert_close(found, expected)


def test_operator():
    torch.library.opcheck(torch.ops.rnnkit.scan.default, (*inputs_of(66, 2), False))


@pytest.mark.filterwarnings("ignore")  # torch's compiler warns about its own code
def test_compiled_for_any_number_of_steps():
    compiled = torch.compile(
        lambda a, b, h: scan(a.sigmoid(), b, h).square(), backend="aot_eager", fullgraph=True, dynamic=True
    )
    for time in (66, 7):
        inputs = inputs_of(time, 2)
        expected = scan(inputs[0].sigmoid(), *inputs[1:]).square()
        found = compiled(*inputs)
        torch.testing.assert_close(found, expected)
        torch.testing.assert_close(*[torch.autograd.grad(each.sum(), inputs) for each in (found, expected)])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((torch.ones(()), torch.ones(())), "must have a time axis"),
        ((torch.ones(2), torch.ones(3)), r"a must broadcast to the shape \(3,\), but has the shape \(2,\)"),
        (
            (torch.ones(3), torch.ones(3), torch.ones(3)),
            r"h0 must broadcast to the shape \(\), but has the shape \(3,\)",
        ),
    ],
)
def test_wrong_shapes(arguments, message):
    with pytest.raises(ValueError, match=message):
        scan(*arguments)
