import gc

import pytest
import torch

from rnnkit.testing._seeding import seed_generators
from tests.helpers.kinds import TESTED
from tests.helpers.onnx_translations import share_table
from tests.helpers.plugins_on_disk import PluginsOnDisk
from tests.helpers.slow import is_nightly, is_slow

torch.set_num_threads(1)  # the tests' tensors are tiny
# The compiler of torch leaves millions of objects, which each full collection visits.
gc.set_threshold(50_000, 20)


@pytest.fixture(autouse=True)
def _seed():
    seed_generators(0)


@pytest.fixture(autouse=True)
def _share_table_of_translations():
    share_table()


@pytest.fixture
def plugins(tmp_path, monkeypatch):
    """Installs plugins until the test ends."""
    on_disk = PluginsOnDisk(tmp_path, monkeypatch)
    yield on_disk
    on_disk.forget()


def pytest_generate_tests(metafunc):
    """A test that takes `kind` runs for the core's kinds and those of third parties; `tests/zoo` tests the others."""
    if "kind" in metafunc.fixturenames:
        metafunc.parametrize("kind", TESTED)


def pytest_ignore_collect(collection_path, config):
    """Files and folders that are slow as a whole are not even imported by `make test`."""
    if config.option.markexpr != "not slow":
        return None
    node_id = collection_path.relative_to(config.rootpath).as_posix()
    return True if is_slow(node_id + "/" * collection_path.is_dir()) else None


@pytest.hookimpl(tryfirst=True)  # before pytest's `-m` selects by marker
def pytest_collection_modifyitems(items):
    for item in items:
        if is_slow(item.nodeid):
            item.add_marker("slow")
        if is_nightly(item.nodeid):
            item.add_marker("nightly")
