"""The catalog between threads and across processes."""

import multiprocessing
import pickle
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from rnnkit import Catalog, Kind, UnknownKindError, build_model, get_kind, list_kinds, register_kind
from rnnkit.testing import use_catalog
from tests.helpers.hang import HANG
from tests.helpers.models import small_spec

THREADS = 64
BUILDS = """
from dataclasses import replace
import threading, time
import rnnkit
from rnnkit import get_kind
{at_import}
builds = []

def build(spec, *, device, dtype):
    return get_kind("gru").builder(replace(spec, kind="gru", options={{}}), device=device, dtype=dtype)


@hookimpl
def register_kinds(register):
    calls.append(threading.get_ident())
    register(kind({kind!r}, builder=build))
"""


@pytest.mark.parametrize(
    "at_import",
    ["", "time.sleep(0.05)", "rnnkit.list_kinds(); rnnkit.get_kind('gru'); rnnkit.resolve_kind('test_0')"],
    ids=["quick", "slow_import", "import_asks_the_catalog"],
)
def test_many_threads_build_different_kinds_for_the_first_time(plugins, at_import):
    for number in range(8):
        name = f"test_{number}"
        plugins.install(name, source=BUILDS.format(at_import=at_import, kind=name))
    barrier = threading.Barrier(THREADS)

    def build(number):
        barrier.wait()
        return build_model(small_spec(f"test_{number % 8}"))

    with use_catalog(Catalog()) as catalog, ThreadPoolExecutor(THREADS) as pool:
        models = list(pool.map(build, range(THREADS), timeout=HANG))
        kinds = {model.spec.kind for model in models}
        assert len(kinds) == 8
        assert all(catalog.get(kind) is catalog.get(kind) for kind in kinds)
    assert len(plugins.imported()) == 8


def test_plugin_imported_by_another_thread(plugins):
    """The import system's own lock is held by one thread, which asks the catalog; the other asks the catalog first."""
    slow = "time.sleep(0.2); rnnkit.get_kind('test_other')"
    module = plugins.install("test_slow", source=BUILDS.format(at_import=slow, kind="test_slow"))
    plugins.install("test_other", source=BUILDS.format(at_import="time.sleep(0.1)", kind="test_other"))
    with use_catalog(Catalog()), ThreadPoolExecutor(2) as pool:
        direct = pool.submit(__import__, module)
        future = pool.submit(get_kind, "test_slow")
        assert future.result(timeout=HANG).name == "test_slow"
        assert direct.result(timeout=HANG).__name__ == module


def kind_of(pickled):
    """In a worker: what has become of a spec."""
    spec = pickle.loads(pickled)
    try:
        return build_model(spec).spec.kind
    except UnknownKindError as error:
        return f"{type(error).__name__}: {error}"


def in_a_worker(method, *kinds):
    """The kinds of the models that one worker builds from specs."""
    specs = [pickle.dumps(small_spec(kind)) for kind in kinds]
    with multiprocessing.get_context(method).Pool(1) as pool:
        return pool.map(kind_of, specs)


@pytest.mark.parametrize("method", ["spawn", "forkserver"])
def test_specs_find_the_same_kinds_in_a_worker(method):
    assert in_a_worker(method, *list_kinds()) == list_kinds()


def gru_builder(spec, *, device, dtype):
    return get_kind("gru").builder(replace(spec, kind="gru", options={}), device=device, dtype=dtype)


def test_a_local_kind_is_explained_in_a_spawned_worker():
    with register_kind(Kind(name="mine", builder=gru_builder, summary="A test.")):
        [printed] = in_a_worker("spawn", "mine")
    assert printed.startswith("UnknownKindError: The local kind 'mine' is not registered in this process.")


def test_forked_worker_has_kinds_and_no_held_lock():
    """In a process of its own, since forking is only safe where no other library's threads run.

    A thread holds the catalog's lock while the process forks: the child must not wait for it.
    """
    code = """
import os, sys, threading
import rnnkit
from rnnkit.catalog.catalog import current_catalog
rnnkit.register_kind(rnnkit.Kind(name="mine", builder=print, summary="A test."))
catalog = current_catalog()
held, done = threading.Event(), threading.Event()
def hold():
    with catalog._lock:
        held.set()
        done.wait()
threading.Thread(target=hold).start()
held.wait()
child = os.fork()
if child == 0:
    ok = rnnkit.get_kind("mine").name == "mine" and "local/mine" in rnnkit.list_kinds()
    os._exit(0 if ok else 1)
_, status = os.waitpid(child, 0)
done.set()
sys.exit(os.waitstatus_to_exitcode(status))
"""
    assert subprocess.run([sys.executable, "-W", "ignore", "-c", code], timeout=HANG, check=False).returncode == 0


def test_the_backport_of_importlib_metadata_changes_nothing():
    pytest.importorskip("importlib_metadata", reason="the backport, which replaces Python's finder when it is imported")
    script = """
from importlib.metadata import distributions
from rnnkit import list_kinds, list_readouts
from rnnkit.catalog import candidates_by_distribution
classes = {type(each).__module__ for each in distributions()}
print(*classes, list_kinds(), list_readouts(), {name: len(each) for name, each in candidates_by_distribution().items()})
"""
    plain, beside = (
        subprocess.run([sys.executable, "-c", first + script], capture_output=True, text=True, check=True).stdout.split(
            " ", 1
        )
        for first in ("", "import importlib_metadata")
    )
    assert (plain[0], beside[0]) == ("importlib.metadata", "importlib_metadata")
    assert plain[1] == beside[1]
