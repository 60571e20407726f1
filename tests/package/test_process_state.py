"""rnnkit does not change the state of the process, not even for a moment: other threads would see it."""

import os
import random
import sys
import threading
import warnings
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import torch

from rnnkit import (
    RecurrentSpec,
    StackOptions,
    build_model,
    cell_kind,
    load_model,
    register_kind,
    save_model,
    summarize_spec,
    verify_model,
)
from rnnkit.compare import compare
from rnnkit.export import export_program
from tests.helpers.cells import SimpleCell

SPEC = {"kind": "local/watched", "input_size": 2, "hidden_size": 3, "output_size": 1}


class Watched(SimpleCell):
    """Lets another thread run whenever it is built or called."""

    other_thread = staticmethod(lambda: None)

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.noise = torch.nn.Parameter(torch.rand(3))
        Watched.other_thread()

    def step(self, projected_t, state):
        if not torch.compiler.is_compiling():
            Watched.other_thread()
        return super().step(torch.nn.functional.dropout(projected_t, 0.5, self.training), state)


@pytest.fixture(autouse=True)
def _watched():
    with register_kind(cell_kind(Watched, name="watched", summary="A test.", options=StackOptions)):
        yield


@pytest.fixture
def path(tmp_path):
    save_model(build_model(RecurrentSpec(**SPEC)), tmp_path / "model.safetensors")
    return tmp_path / "model.safetensors"


def compare_here():
    kinds = {"a": {"kind": "local/watched", "hidden_size": 3}}
    result = compare(kinds, ["adding(length=4)"], seeds=2, steps=2, engine="here")
    assert {each.status for each in result.results} == {"finished"}


ACTIONS = {
    "save_model": lambda path: save_model(load_model(path), path),
    "load_model": load_model,
    "verify_model": verify_model,
    "summarize_spec": lambda _: summarize_spec(RecurrentSpec(**SPEC)),
    "export_program": lambda path: export_program(load_model(path)),
    "compare": lambda _: compare_here(),
}


@contextmanager
def each_time(function):
    """Call a function in another thread whenever the kind is built or called; return the results."""
    results = []

    def run():
        thread = threading.Thread(target=lambda: results.append(function()))
        thread.start()
        thread.join()

    Watched.other_thread = staticmethod(run)
    try:
        yield results
    finally:
        Watched.other_thread = staticmethod(lambda: None)


@pytest.mark.parametrize("action", ACTIONS)
def test_another_thread_draws_the_random_numbers_of_its_seed(action, path):
    torch.manual_seed(3)
    with each_time(lambda: torch.rand(1).item()) as drawn:
        ACTIONS[action](path)
    torch.manual_seed(3)
    assert len(drawn) > 0
    assert drawn == [torch.rand(1).item() for _ in drawn]


BACKENDS = (torch.backends.mkldnn, torch.backends.cudnn)


def process_state():
    return {
        "default dtype": torch.get_default_dtype(),
        "default device": torch.get_default_device(),
        "threads": torch.get_num_threads(),
        "deterministic": torch.are_deterministic_algorithms_enabled(),
        "precision": torch.get_float32_matmul_precision(),
        "back ends": [each.enabled for each in BACKENDS],
        "warning filters": list(warnings.filters),
        "showwarning": warnings.showwarning,
        "standard streams": (sys.stdout, sys.stderr),
        "directory": Path.cwd(),
        "environment": dict(os.environ),
        "other random numbers": (random.getstate(), np.random.get_state()[1].tolist()),  # noqa: NPY002  # the global state is tested
        "functions of torch": (torch.nn.Linear.forward, torch.nn.RNNBase.__setattr__, torch.nn.init.uniform_),
    }


@pytest.mark.parametrize("action", ACTIONS)
def test_another_thread_finds_the_settings_of_the_process(action, path):
    ACTIONS[action](path)  # the first call imports packages that change filters and the environment
    torch.set_num_threads(2)
    try:
        before = process_state()
        with each_time(process_state) as found:
            ACTIONS[action](path)
    finally:
        torch.set_num_threads(1)
    assert len(found) > 0
    changed = {name for each in found for name in before if each[name] != before[name]}
    assert changed <= ({"back ends"} if action == "export_program" else set())  # which torch.export disables
