"""Engines with two worker processes of loky, Dask and Ray: the same numbers, processes that end, workers that differ.

The functions and tasks that are sent to workers are nested, so that they are pickled as code: workers import no tests.
"""

import contextlib
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest
from distributed import Client, LocalCluster

from rnnkit import Catalog
from rnnkit.compare import Comparison, compare, pools, tasks
from rnnkit.compare.engine import Engine
from rnnkit.errors import CompareError
from rnnkit.testing import use_catalog
from tests.compare.engines import run_all
from tests.helpers.plugins_on_disk import DECAY_CELL

ENGINES = ["loky", "dask", "ray"]
QUICK = {"steps": 20, "parameters": 500, "num_layers": 1, "jobs": 2}
DECAY = f"{DECAY_CELL}\n\n@hookimpl\ndef register_kinds(register):\n    register(decay_kind('decay'))\n"


@pytest.fixture(autouse=True, scope="module")
def _short_folder_of_ray():
    """Ray's sockets are in its folder, and their paths must be short."""
    folder = tempfile.mkdtemp(prefix="ray-", dir="/tmp")
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setenv("RAY_TMPDIR", folder)
        monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        yield
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="module")
def connected_ray(_short_folder_of_ray):
    """Ray takes seconds to start, so that tests share it; `test_an_interrupt_ends_all_processes` starts its own."""
    import ray

    ray.init(address="local", num_cpus=2, include_dashboard=False, log_to_driver=False, logging_level="error")
    yield ray
    ray.shutdown()


@pytest.fixture(params=ENGINES)
def engine(request):
    """The name of an engine."""
    if request.param == "ray":
        request.getfixturevalue("connected_ray")
    return request.param


@pytest.fixture(autouse=True)
def _no_process_is_left(request):
    for name in {"engine", "connected_ray"}.intersection(request.fixturenames):
        request.getfixturevalue(name)  # before the processes are listed: what it starts outlives the test
    before = set(psutil.Process().children(recursive=True))
    yield
    started = set(psutil.Process().children(recursive=True)) - before
    _, alive = psutil.wait_procs([each for each in started if is_worker(each, before)], timeout=60)
    assert [each.cmdline() for each in alive] == []


def is_worker(process, before):
    """True if a process ends with its engine: those of a shared Ray and the trackers of multiprocessing do not."""
    with contextlib.suppress(psutil.NoSuchProcess):
        is_tracker = "resource_tracker" in " ".join(process.cmdline())
        return not is_tracker and before.isdisjoint(process.parents())
    return False


@contextlib.contextmanager
def dask_scheduler():
    """The address of a scheduler without workers."""
    with LocalCluster(n_workers=0, dashboard_address=":0", silence_logs=50) as cluster:
        yield cluster.scheduler_address


@contextlib.contextmanager
def dask_worker(address, *options, path=""):
    """A process of `dask worker` with a `PYTHONPATH` of its own."""
    command = [sys.executable, "-m", "distributed.cli.dask_worker", address, "--nthreads", "1", "--no-nanny", *options]
    process = subprocess.Popen(
        [*command, "--no-dashboard"],
        env=os.environ | {"PYTHONPATH": str(path)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def wait_for_workers(address, number):
    with Client(address, set_as_default=False) as client:
        client.wait_for_workers(number, timeout=60)


def lost(item, error):
    return f"lost: {type(error).__name__}"


def test_engines_compute_the_same_scores(engine):
    settings = {**QUICK, "kinds": ["lstm", "gru"], "tasks": [tasks.adding(20)], "seeds": 2}
    expected = compare(**settings, engine="here")
    found = compare(**settings, engine=engine)
    assert [each.status for each in found.results] == ["finished"] * 4
    assert [each.key for each in found.results] == [each.key for each in expected.results]
    scores = [each.score for each in expected.results]
    assert len(set(scores)) == 4
    assert [each.score for each in found.results] == pytest.approx(scores, abs=1e-6)


def test_calls_run_in_two_processes_with_one_thread(engine, tmp_path):
    def describe(item):
        """Wait for the other process: one could run all calls before the other has started."""
        import time

        import torch

        (tmp_path / str(os.getpid())).touch()
        deadline = time.monotonic() + 120
        while len(list(tmp_path.iterdir())) < 2 and time.monotonic() < deadline:
            time.sleep(0.05)
        return os.getpid(), torch.get_num_threads(), os.environ.get("OMP_NUM_THREADS")

    found = [result for _, result in run_all(describe, range(6), engine=engine, jobs=2, lost=lost)]
    assert len({process for process, _, _ in found} - {os.getpid()}) == 2
    assert {threads for _, *threads in map(list, found) for threads in threads} == {1, "1"}


def test_results_come_as_they_are_made(engine, tmp_path):
    def wait(item):
        import time

        while item == "second" and not (tmp_path / "go").exists():
            time.sleep(0.05)
        return item

    results = run_all(wait, ["second", "first"], engine=engine, jobs=2, lost=lost)
    assert next(results) == ("first", "first")
    (tmp_path / "go").touch()
    assert list(results) == [("second", "second")]


def test_a_process_killed_from_outside_costs_no_result(engine):
    def report(item):
        import time

        time.sleep(0.3)
        return item, os.getpid()

    found, killed = {}, None
    for item, result in run_all(report, range(8), engine=engine, jobs=2, lost=lost):
        found[item] = result
        if killed is None:
            killed = result[1]
            os.kill(killed, signal.SIGKILL)
    assert sorted(found) == list(range(8))
    assert {item: result[0] for item, result in found.items()} == {item: item for item in range(8)}
    assert len({process for _, process in found.values()}) >= 2


def test_runs_that_kill_their_process(engine, tmp_path):
    """A run that does so once is tried again; one that does so each time fails, and all others finish."""

    @dataclass(frozen=True)
    class Deadly(tasks.adding):
        folder: str = ""
        always: bool = False
        name = "deadly"

        def test(self):
            if self.always or not Path(self.folder, "killed").exists():
                Path(self.folder, "killed").touch()
                os.kill(os.getpid(), signal.SIGKILL)
            return super().test()

    file = tmp_path / "results.json"
    chosen = [Deadly(20, str(tmp_path)), Deadly(20, str(tmp_path), always=True), tasks.adding(20)]
    compare(["gru"], chosen, seeds=1, engine=engine, file=file, **QUICK)
    once, always, never = (
        next(each for each in Comparison.load(file).results if each.task == str(task)) for task in chosen
    )
    assert (once.status, never.status, always.status) == ("finished", "finished", "failed")
    assert once.score == pytest.approx(never.score, abs=1e-6)
    assert "process ended each time it was tried" in always.error


def test_an_error_on_a_worker_names_it(engine):
    def fail(item):
        raise KeyError(item)

    with pytest.raises(CompareError, match=r"The worker on .* \(process \d+\) raised KeyError: 'this'"):
        list(run_all(fail, ["this"], engine=engine, jobs=2, lost=lost))


@pytest.mark.parametrize("name", ENGINES)
def test_an_interrupt_ends_all_processes(name, tmp_path):
    script = tmp_path / "script.py"
    script.write_text(f"""
import signal
import time
from rnnkit.compare.engine import Engine

signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs ignore it

def wait(item):
    time.sleep(600 if item else 0)

if __name__ == "__main__":
    with Engine({name!r}, 2) as engine:
        for item, _ in engine.run(wait, range(5), lost=None):
            print(item, flush=True)
""")
    process = subprocess.Popen(
        [sys.executable, script], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    with process:
        assert process.stdout.readline() == "0\n"
        children = psutil.Process(process.pid).children(recursive=True)
        assert len(children) >= 2
        os.killpg(process.pid, signal.SIGINT)  # as a terminal does
        try:
            _, errors = process.communicate(timeout=120)
        finally:
            process.kill()
    assert errors.rstrip().endswith("KeyboardInterrupt")
    _, alive = psutil.wait_procs(children, timeout=60)
    assert alive == []


def test_processes_of_loky_end_after_their_program_is_killed():
    """Nothing tells them of it, so that they end when they have had no call for some time."""
    code = """
import os
from rnnkit.compare import pools
pools.IDLE = 0.5
with pools.loky_pool(os.getpid, 1, None) as pool:
    print(pool.call(), flush=True)
    input()
"""
    process = subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, start_new_session=True
    )
    with process:
        worker = psutil.Process(int(process.stdout.readline()))
        process.kill()
    _, alive = psutil.wait_procs([worker], timeout=60)
    for each in alive:
        each.kill()
    assert alive == []


@pytest.mark.filterwarnings("ignore:A worker stopped:UserWarning")  # of loky, in a thread
def test_a_process_of_loky_that_was_idle_is_replaced(monkeypatch):
    monkeypatch.setattr(pools, "IDLE", 0.1)
    with pools.loky_pool(os.getpid, 1, None) as pool:
        first = psutil.Process(pool.call())
        psutil.wait_procs([first], timeout=60)
        assert pool.call() != first.pid


def test_a_program_that_dask_workers_cannot_import_is_reported(tmp_path):
    script = tmp_path / "script.py"
    script.write_text("""
from rnnkit.compare.engine import Engine

with Engine("dask", 2) as engine:
    print(list(engine.run(abs, [1], lost=None)))
""")
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert re.search(r"CompareError: The workers of Dask do not start: .* has to be under `if __name__ ==", done.stderr)


def test_a_plugin_missing_on_a_dask_worker_is_one_error(plugins, tmp_path):
    module = plugins.install("decay", source=DECAY, distribution="rnnkit-acme")
    file = tmp_path / "results.json"
    settings = {**QUICK, "tasks": [tasks.adding(20)], "engine": "dask", "file": file, "jobs": -1}
    with (
        use_catalog(Catalog()),
        dask_scheduler() as address,
        dask_worker(address, path=plugins.folder(module)),
        dask_worker(address),
    ):
        wait_for_workers(address, 2)
        with Engine("dask", -1, address) as engine:
            assert engine.size == 2
        compare(["gru"], seeds=2, address=address, **settings)
        with pytest.raises(CompareError, match=r"has no rnnkit-acme, .* pip install rnnkit-acme==1\.0$"):
            compare(["gru", "rnnkit-acme/decay"], seeds=4, address=address, **settings)
    assert [each.kind for each in Comparison.load(file).results][:2] == ["gru", "gru"]


def test_a_plugin_missing_on_ray_is_one_error(connected_ray, plugins):
    plugins.install("decay", source=DECAY, distribution="rnnkit-acme")  # on the path of this process only
    with use_catalog(Catalog()), pytest.raises(CompareError, match=r"has no rnnkit-acme, .* rnnkit-acme==1\.0$"):
        compare(["rnnkit-acme/decay"], [tasks.adding(20)], seeds=2, engine="ray", **QUICK)


def test_a_plugin_of_dask_workers_is_used(plugins):
    module = plugins.install("decay", source=DECAY, distribution="rnnkit-acme")
    settings = {**QUICK, "kinds": ["rnnkit-acme/decay"], "tasks": [tasks.adding(20)], "seeds": 2}
    with (
        use_catalog(Catalog()),
        dask_scheduler() as address,
        dask_worker(address, path=plugins.folder(module)),
        dask_worker(address, path=plugins.folder(module)),
    ):
        wait_for_workers(address, 2)
        found = compare(**settings, engine="dask", address=address)
        expected = compare(**settings, engine="here")
    assert [each.score for each in found.results] == pytest.approx([each.score for each in expected.results], abs=1e-6)
    assert found.results[0].environment.versions["rnnkit-acme"] == "1.0"


def test_a_dask_worker_with_threads_is_refused():
    with (
        dask_scheduler() as address,
        dask_worker(address, "--nthreads", "2"),
        pytest.raises(CompareError, match=r"has 2 threads, but a run needs a process of its own: .* --nthreads 1"),
    ):
        list(run_all(abs, [1], engine="dask", address=address, lost=lost))


def test_a_scheduler_without_workers_is_reported(monkeypatch):
    monkeypatch.setattr(pools, "PATIENCE", 1.0)
    with (
        dask_scheduler() as address,
        pytest.raises(CompareError, match="No Dask scheduler with workers answers at tcp"),
    ):
        list(run_all(abs, [1], engine="dask", address=address, lost=lost))


def test_a_scheduler_that_does_not_answer_is_reported(monkeypatch):
    monkeypatch.setattr(pools, "PATIENCE", 1.0)
    with pytest.raises(CompareError, match=r"No Dask scheduler with workers answers at 127\.0\.0\.1:9: OSError"):
        list(run_all(abs, [1], engine="dask", address="127.0.0.1:9", lost=lost))


def test_the_end_of_the_last_dask_worker_is_reported(monkeypatch):
    monkeypatch.setattr(pools, "PATIENCE", 5.0)

    def wait(item):
        import time

        time.sleep(600 if item else 0)

    with dask_scheduler() as address, dask_worker(address) as worker:
        wait_for_workers(address, 1)
        results = run_all(wait, [0, 1], engine="dask", address=address, lost=lost)
        assert next(results)[0] == 0
        worker.kill()
        with pytest.raises(CompareError, match="has no workers left"):
            next(results)


def test_ray_that_is_connected_already_stays_connected(connected_ray):
    assert dict(run_all(abs, [-1, 2, -3], engine="ray", lost=lost)) == {-1: 1, 2: 2, -3: 3}
    assert connected_ray.is_initialized()


def test_processes_end_with_the_iterator():
    """The fixture `_no_process_is_left` looks for them."""

    def wait(item):
        import time

        time.sleep(600 if item > 1 else 0)

    results = run_all(wait, range(6), engine="loky", jobs=2, lost=lost)
    next(results)
    assert psutil.Process().children(recursive=True)
    results.close()
