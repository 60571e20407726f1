"""Operators on the meta device return what torch returns: shape, strides and dtype, or its error."""

from itertools import product

import pytest
import torch

from rnnkit._meta_operators import call_operator

ATEN = torch.ops.aten
VALUES = {
    "matrix": torch.ones(3, 4),
    "transposed": torch.ones(4, 3).t(),
    "slice": torch.ones(3, 9)[:, 2:6],
    "every second row": torch.ones(6, 4)[::2],
    "row": torch.ones(4),
    "one row": torch.ones(1, 4),
    "column": torch.ones(3, 1),
    "expanded": torch.ones(3, 1).expand(3, 4),
    "batch": torch.ones(2, 3, 4),
    "moved": torch.ones(3, 2, 4).transpose(0, 1),
    "empty": torch.ones(0, 4),
    "other": torch.ones(5, 2),
    "doubles": torch.ones(3, 4, dtype=torch.float64),
    "halves": torch.ones(4, dtype=torch.float16),
    "integers": torch.arange(12).reshape(3, 4),
    "truth": torch.ones(3, 4, dtype=torch.bool),
    "complex": torch.ones(3, 4, dtype=torch.complex64),
    "scalar": torch.tensor(2.0, dtype=torch.float64),
}
ONE = [
    ATEN.tanh.default,
    ATEN.relu.default,
    ATEN.exp.default,
    ATEN.neg.default,
    ATEN.abs.default,
    ATEN.isfinite.default,
]
TWO = [ATEN.add.Tensor, ATEN.mul.Tensor, ATEN.div.Tensor, ATEN.eq.Tensor, ATEN.pow.Tensor_Tensor, ATEN.maximum.default]
IN_PLACE = [ATEN.add_.Tensor, ATEN.mul_.Tensor]
LISTS = [["matrix"], ["row", "row"], ["matrix", "slice"], ["matrix", "column"], ["empty", "matrix"]]
LISTS += [["batch", "moved"], ["matrix", "doubles"], ["scalar", "scalar"]]
CALLS = {
    **{func: [[name] for name in VALUES] for func in ONE},
    **{func: [*product(VALUES, VALUES), *product(VALUES, [2])] for func in [*TWO, *IN_PLACE]},
    ATEN.clamp.default: [[name, 0.0] for name in VALUES],
    ATEN.where.self: [["truth", *others] for others in product(VALUES, VALUES)],
    ATEN.addcmul.default: [*product(["matrix", "row", "transposed"], VALUES, ["column", "expanded", "doubles"])],
    **{func: [*product(LISTS, [0, 1, -1, -2, 7])] for func in (ATEN.cat.default, ATEN.stack.default)},
    ATEN.addmm.default: [
        *product(
            ["row", "column", "matrix", "doubles", "other"],
            ["other", "column", "matrix"],
            ["matrix", "transposed", "one row"],
        )
    ],
}


def on_meta(name):
    """Return a tensor of the same shape, strides and dtype on the meta device."""
    value = VALUES[name]
    return torch.empty_strided(value.shape, value.stride(), dtype=value.dtype, device="meta")


def arguments(given, tensor):
    if isinstance(given, list | tuple):
        return [arguments(each, tensor) for each in given]
    return tensor(given) if isinstance(given, str) else given


def outcome(call):
    """Return the shape, strides and dtype of a result, or the type of the error."""
    try:
        result = call()
    except (RuntimeError, IndexError) as error:
        return IndexError if isinstance(error, IndexError) else RuntimeError
    return (
        result.shape,
        [step for step, size in zip(result.stride(), result.shape, strict=True) if size > 1],
        result.dtype,
    )


@pytest.mark.parametrize("func", CALLS, ids=str)
def test_results_are_those_of_torch(func):
    for given in CALLS[func]:
        expected = outcome(lambda given=given: func(*arguments(given, on_meta)))
        assert outcome(lambda given=given: call_operator(func, arguments(given, on_meta), {})) == expected, given


def test_keyword_arguments():
    matrix, halves = on_meta("matrix"), on_meta("halves")
    assert call_operator(ATEN.add.Tensor, [matrix, halves], {"alpha": 2}).shape == (3, 4)
    target = torch.empty(3, 4, device="meta")
    assert call_operator(ATEN.add.out, [matrix, halves], {"out": target}) is target


def test_a_number_on_the_cpu_is_not_changed():
    number = torch.tensor(2.0)
    with pytest.raises(RuntimeError):
        call_operator(ATEN.add_.Tensor, [number, on_meta("row")], {})
    assert number == 2
