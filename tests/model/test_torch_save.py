"""Atomic writes: a file is replaced as a whole or not at all, whatever happens to the process that saves."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from rnnkit import RecurrentSpec, save_spec

ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="the experiments fork")


def result_of(experiment, folder):
    """Run an experiment of `tests/helpers/saver.py` and return its result."""
    command = [sys.executable, "-m", "tests.helpers.saver", experiment, folder]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_process_killed_at_any_line_leaves_the_old_or_the_new_file(tmp_path):
    held = result_of("killed_at_each_line", tmp_path)["held"]
    assert len(held) > 20
    assert held == sorted(held)  # the old one before the replacement, the new one after it
    assert {*held} == {0, 1}


def test_process_killed_at_any_moment_leaves_a_whole_file(tmp_path):
    held = result_of("killed_at_any_moment", tmp_path)["held"]
    assert len(held) == 50
    assert {*held} <= {0, 1}


def test_two_processes_saving_to_one_path_leave_a_whole_file(tmp_path):
    result = result_of("two_at_once", tmp_path)
    assert all(result["read"])
    assert result["held"] != [None]
    assert result["files"] == ["model.safetensors"]


def test_full_disk_leaves_the_old_file(tmp_path):
    result = result_of("no_space", tmp_path)
    assert result["exit_codes"] == [2, 2, 2, 2, 1]  # fails until the limit is the size of the file
    assert result["files"] == ["model.safetensors"]
    assert result["held"] == [0]


def test_pipe_is_not_replaced(tmp_path):
    pipe = tmp_path / "spec.yaml"
    os.mkfifo(pipe)
    with pytest.raises(FileExistsError, match="no file that could be replaced"):
        save_spec(RecurrentSpec(kind="rnn", input_size=1, hidden_size=1), pipe)
    assert pipe.is_fifo()
