import pytest
import torch

from rnnkit import list_kinds
from tests.helpers.plugins_on_disk import PluginsOnDisk

torch.set_num_threads(1)


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)


@pytest.fixture
def plugins(tmp_path, monkeypatch):
    """Installs plugins until the test ends."""
    on_disk = PluginsOnDisk(tmp_path, monkeypatch)
    yield on_disk
    on_disk.forget()


def pytest_generate_tests(metafunc):
    """A test that takes `kind` runs for every installed kind."""
    if "kind" in metafunc.fixturenames:
        metafunc.parametrize("kind", list_kinds())
