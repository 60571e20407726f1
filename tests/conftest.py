import pytest
import torch

from rnnkit import list_kinds

torch.set_num_threads(1)  # the tests' tensors are tiny


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)


def pytest_generate_tests(metafunc):
    """A test that takes `kind` runs for every installed kind, a third party's included."""
    if "kind" in metafunc.fixturenames:
        metafunc.parametrize("kind", list_kinds())
