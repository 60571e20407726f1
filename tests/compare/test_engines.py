"""Engines: what they refuse before a process starts, and the engine of this process."""

import re
import socket
import sys

import pytest

from rnnkit import __version__
from rnnkit.compare.engine import Engine
from rnnkit.compare.environment import check_versions
from rnnkit.errors import CompareError
from tests.compare.engines import run_all


def square(number):
    return number**2


def run(items=(1,), **settings):
    return dict(run_all(settings.pop("function", square), items, lost=lambda item, error: None, **settings))


def free_port():
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        return bound.getsockname()[1]


def test_here_runs_in_this_process():
    seen = []
    assert run((1, 2, 3), function=seen.append, engine="here") == {1: None, 2: None, 3: None}
    assert seen == [1, 2, 3]
    assert Engine("here").size == 1


def test_an_error_here_is_raised_as_it_is():
    with pytest.raises(ZeroDivisionError):
        run((0,), function=lambda number: 1 / number, engine="here")


def test_unknown_engine_is_refused():
    with pytest.raises(CompareError, match=r"no engine 'daks'. Did you mean 'dask'\? The engines are 'loky', 'dask', "):
        run(engine="daks")


@pytest.mark.parametrize("engine", ["loky", "dask", "ray"])
def test_no_jobs_are_refused(engine):
    with pytest.raises(CompareError, match="jobs=0 runs nothing"):
        run(engine=engine, jobs=0)


@pytest.mark.parametrize(
    ("engine", "package", "extra"),
    [("loky", "loky.process_executor", "compare"), ("dask", "distributed", "dask"), ("ray", "ray", "ray")],
)
def test_engine_that_is_not_installed_is_named(engine, package, extra, monkeypatch):
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(CompareError, match=re.escape(f'pip install "rnnkit[{extra}]"')):
        run(engine=engine)


@pytest.mark.parametrize("engine", ["loky", "dask", "ray"])
def test_what_cannot_be_pickled_is_refused(engine):
    with socket.socket() as unpicklable, pytest.raises(CompareError, match="cannot be sent to another process"):
        run([unpicklable], engine=engine)


def test_loky_refuses_an_address():
    with pytest.raises(CompareError, match="engine='loky' runs on this machine"):
        run(engine="loky", address="127.0.0.1:8786")


@pytest.mark.parametrize("address", ["127.0.0.1:{}", "ray://127.0.0.1:{}"])
def test_closed_port_is_reported(address):
    pytest.importorskip("ray")
    address = address.format(free_port())
    with pytest.raises(CompareError, match=f"No Ray cluster answers at {address}: ConnectionRefusedError"):
        run(engine="ray", address=address)


def test_jobs_of_this_machine_are_counted_without_a_cluster():
    assert Engine("dask", 3).size == 3
    assert Engine("loky").size >= 1


def test_missing_and_other_versions_are_one_error():
    check_versions({"rnnkit": __version__})
    with pytest.raises(CompareError, match=r"The worker on .* \(process \d+\) has no rnnkit-acme, .*, but") as raised:
        check_versions({"rnnkit-acme": "1.0", "rnnkit": __version__, "pluggy": "0.0.1"})
    assert str(raised.value).endswith("On each worker, run: pip install rnnkit-acme==1.0 pluggy==0.0.1")
