"""Every kind can be built on a device without float64 and without eigenvalues, such as MPS."""

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from rnnkit import RecurrentSpec, build_model, list_kinds

OPTIONS = [
    *[(kind, {}) for kind in list_kinds()],
    ("s5", {"start": "lin"}),
    ("lmu", {"memory_size": 2}),
    ("exprnn", {"angles": "cayley"}),
    ("gla", {"decay": "head"}),
]


class DeviceWithoutFloat64(TorchDispatchMode):
    """Makes `meta` a device that has neither float64 nor eigenvalues; the test makes it no `meta` for the code."""

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        result = function(*args, **(kwargs or {}))
        for tensor in tree_leaves(result):
            if isinstance(tensor, torch.Tensor) and tensor.device.type == "meta":
                assert tensor.dtype not in {torch.float64, torch.complex128}, function
                assert not any(name in str(function) for name in ("eig", "matrix_exp", "svd")), function
        return result


@pytest.fixture
def meta_is_an_accelerator(monkeypatch):
    monkeypatch.setattr(torch.Tensor, "is_meta", property(lambda _: False))
    monkeypatch.setattr(torch.Tensor, "cpu", lambda self: torch.rand(self.shape, dtype=self.dtype, device="cpu"))


def test_the_device_has_no_float64(meta_is_an_accelerator):
    with DeviceWithoutFloat64(), pytest.raises(AssertionError):
        torch.ones(2, dtype=torch.float64, device="meta")
    with DeviceWithoutFloat64(), pytest.raises(AssertionError):
        torch.linalg.eigvals(torch.ones(2, 2, device="meta"))


@pytest.mark.parametrize("by_context", [False, True], ids=["argument", "default_device"])
@pytest.mark.parametrize(("name", "options"), OPTIONS)
def test_a_model_is_built(name, options, by_context, meta_is_an_accelerator):
    spec = RecurrentSpec(kind=name, input_size=4, hidden_size=6, num_layers=2, options=options)
    with DeviceWithoutFloat64(), torch.device("meta" if by_context else "cpu"):
        model = build_model(spec, device=None if by_context else "meta", dtype=torch.float32)
    assert {each.device.type for each in (*model.parameters(), *model.buffers())} == {"meta"}
