"""The library: its choice of an instruction set, refusals, threads and forks."""

import gc
import os
import threading
import weakref

import pytest
import torch

import rnnkit_kernels._library as library_module
from rnnkit import CellState
from rnnkit.plan import unroll
from rnnkit_builtin.gru_cell import GRUCell
from rnnkit_kernels import MachineExecutor
from rnnkit_kernels._library import LibraryError, load_library
from rnnkit_kernels._tables import _known
from tests.helpers.commands import run_process
from tests.helpers.kernels import INSTRUCTION_SETS, library
from tests.helpers.plans import plan_of, randomize, unverified_plan

CPU = torch.device("cpu")
EXECUTOR = MachineExecutor()


@pytest.fixture
def plan():
    return unverified_plan(GRUCell(3, 6, dtype=torch.float64))


@pytest.fixture
def not_loaded(monkeypatch):
    load_library.cache_clear()
    yield monkeypatch
    load_library.cache_clear()


def test_plans_are_accepted(plan):
    assert EXECUTOR.refuses(plan, torch.float32, CPU) is None
    assert EXECUTOR.refuses(plan, torch.float64, CPU) is None
    assert EXECUTOR.problem() is None


def test_refusals(plan):
    reason = "rnnkit-kernels computes in float32, float64 and bfloat16, not in float16"
    assert EXECUTOR.refuses(plan, torch.float16, CPU) == reason
    assert EXECUTOR.refuses(plan, torch.float32, torch.device("meta")) == "rnnkit-kernels runs on cpu, not on meta"


def test_an_unknown_instruction_is_refused(plan, not_loaded):
    opcodes = dict(library().opcodes)
    del opcodes["tanh"]
    not_loaded.setattr(library(), "opcodes", opcodes)
    assert EXECUTOR.refuses(plan, torch.float32, CPU) == "the library of rnnkit-kernels has no instruction tanh"


def test_without_the_library(plan, not_loaded):
    not_loaded.setattr(library_module, "library_path", lambda: None)
    reason = "rnnkit-kernels was installed without its native library"
    assert EXECUTOR.refuses(plan, torch.float32, CPU) == EXECUTOR.problem() == reason
    with pytest.raises(LibraryError, match=reason):
        EXECUTOR.unroll(plan, None, None, None)


def test_a_damaged_library(plan, not_loaded, tmp_path):
    path = tmp_path / "librnnkit_kernels.so"
    path.write_bytes(b"not a library")
    not_loaded.setattr(library_module, "library_path", lambda: path)
    assert EXECUTOR.refuses(plan, torch.float32, CPU).startswith("the library of rnnkit-kernels cannot be loaded: ")


def test_a_library_of_another_version(plan, not_loaded):
    not_loaded.setattr("rnnkit_kernels._abi.EXPECTED_LAYOUT", [0, *library_module._abi.EXPECTED_LAYOUT[1:]])
    assert "is expected; reinstall rnnkit-kernels" in EXECUTOR.refuses(plan, torch.float32, CPU)


@pytest.mark.parametrize("name", INSTRUCTION_SETS)
def test_the_environment_forces_an_instruction_set(not_loaded, name):
    not_loaded.setenv("RNNKIT_KERNELS_ISA", name)
    assert library().instruction_set == name


def test_an_unknown_instruction_set(plan, not_loaded):
    not_loaded.setenv("RNNKIT_KERNELS_ISA", "avx3")
    reason = EXECUTOR.refuses(plan, torch.float32, CPU)
    assert reason == (
        f"instruction set 'avx3' is not available on this processor; available: {', '.join(INSTRUCTION_SETS)}"
    )


def test_tables_live_as_long_as_their_plan():
    cell = GRUCell(3, 6, dtype=torch.float64)
    plan = unverified_plan(cell)
    EXECUTOR.unroll(plan, cell, cell.project(torch.zeros(2, 1, 3).double()), CellState(torch.zeros(1, 6).double()))
    key = next(key for key in _known if key[0] == id(plan))
    reference = weakref.ref(plan)
    del plan
    gc.collect()
    assert reference() is None
    assert key not in _known


def inputs(batch=16, time=8):
    cell = randomize(GRUCell(3, 32, dtype=torch.float64))
    x = torch.randn(time, batch, 3, dtype=torch.float64)
    projected = tuple(each.detach() for each in cell.project(x))
    return cell, plan_of(cell), projected, CellState(torch.randn(batch, 32, dtype=torch.float64))


@pytest.mark.parametrize("lengths", [None, torch.arange(16) % 9])
def test_two_threads(lengths):
    cell, plan, projected, state = inputs()
    torch.set_num_threads(2)
    try:
        output, final = EXECUTOR.unroll(plan, cell, projected, state, lengths)
        found = torch.autograd.grad(output.sum() + final.h.sum(), cell.weight_hh)
    finally:
        torch.set_num_threads(1)
    expected, expected_final = unroll(plan, cell, projected, state, lengths)
    torch.testing.assert_close((output, final.h), (expected, expected_final.h))
    torch.testing.assert_close(found, torch.autograd.grad(expected.sum() + expected_final.h.sum(), cell.weight_hh))


def test_many_python_threads():
    """Each starts at once with its own batch size, so that tables are made by several of them."""
    cell, plan, _, _ = inputs()
    failures = []
    barrier = threading.Barrier(64)

    def work(number):
        generator = torch.Generator().manual_seed(number)
        x = torch.randn(5, 1 + number % 7, 3, dtype=torch.float64, generator=generator)
        projected = tuple(each.detach() for each in cell.project(x))
        state = CellState(torch.zeros(x.shape[1], 32, dtype=torch.float64))
        barrier.wait()
        found = EXECUTOR.unroll(plan, cell, projected, state)[0]
        gradient = torch.autograd.grad(found.sum(), cell.weight_hh)[0]
        expected = unroll(plan, cell, projected, state)[0]
        if not torch.allclose(found, expected) or not torch.allclose(
            gradient, torch.autograd.grad(expected.sum(), cell.weight_hh)[0]
        ):
            failures.append(number)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(64)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures


FORK = """
import os, torch
torch.set_num_threads(2)
from rnnkit import CellState
from rnnkit.plan import plan_for
from rnnkit_builtin.gru_cell import GRUCell
from rnnkit_kernels import MachineExecutor
cell = GRUCell(8, 64)
plan, state = plan_for(cell), CellState(torch.zeros(16, 64))
projected = [part.detach() for part in cell.project(torch.randn(20, 16, 8))]
with torch.no_grad():
    before = MachineExecutor().unroll(plan, cell, tuple(projected), state)[0]
    child = os.fork()
    if child == 0:
        after = MachineExecutor().unroll(plan, cell, tuple(projected), state)[0]
        os._exit(0 if torch.allclose(before, after) else 1)
_, status = os.waitpid(child, 0)
raise SystemExit(os.waitstatus_to_exitcode(status))
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_forked_process_after_the_first_use():
    done = run_process(code=FORK)
    assert done.returncode == 0, done.stderr.decode()
