"""A file is replaced wholly or not at all, whatever happens to the process that saves."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from rnnkit import RecurrentSpec, save_spec

ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="the experiments fork")


def came_of(experiment, folder):
    """What one of the experiments of `tests/helpers/saver.py` has found."""
    command = [sys.executable, "-m", "tests.helpers.saver", experiment, folder]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_a_process_killed_at_any_line_leaves_the_old_file_or_the_new_one(tmp_path):
    held = came_of("killed_at_each_line", tmp_path)["held"]
    assert len(held) > 20
    assert held == sorted(held)  # the old one up to the moment of the replacement, the new one from there on
    assert {*held} == {0, 1}


def test_a_process_killed_at_any_moment_leaves_one_of_its_files(tmp_path):
    held = came_of("killed_at_any_moment", tmp_path)["held"]
    assert len(held) == 50
    assert {*held} <= {0, 1}


def test_two_processes_that_save_to_one_path_leave_one_whole_file(tmp_path):
    result = came_of("two_at_once", tmp_path)
    assert all(result["read"])
    assert result["held"] != [None]
    assert result["files"] == ["model.safetensors"]


def test_a_disk_without_space_leaves_the_old_file(tmp_path):
    result = came_of("no_space", tmp_path)
    assert result["ended"] == [2, 2, 2, 2, 1]  # refused, until there is space for all of it
    assert result["files"] == ["model.safetensors"]
    assert result["held"] == [0]


def test_what_is_no_file_is_not_replaced(tmp_path):
    pipe = tmp_path / "spec.yaml"
    os.mkfifo(pipe)
    with pytest.raises(FileExistsError, match="Not a regular file"):
        save_spec(RecurrentSpec(kind="rnn", input_size=1, hidden_size=1), pipe)
    assert pipe.is_fifo()
