"""Atomic writes where the system refuses to replace a file, as Windows does while another program has it open."""

import errno
import re
from pathlib import Path

import pytest

from rnnkit.files import atomic_write
from rnnkit.files._atomic_write import _IN_USE, _WAITS

each_code = pytest.mark.parametrize("code", _IN_USE)


class Refusals:
    """Stands in for `Path.replace`, and refuses the first calls with an error code of Windows."""

    def __init__(self, monkeypatch, code, count):
        self.slept = []
        self._left, self._code, self._replace = count, code, Path.replace
        monkeypatch.setattr(Path, "replace", lambda path, target: self.replace(path, target))  # noqa: PLW0108  # a bound method would not receive the path
        monkeypatch.setattr("rnnkit.files._atomic_write.time.sleep", self.slept.append)

    def replace(self, path, target):
        if self._left == 0:
            return self._replace(path, target)
        self._left -= 1
        error = PermissionError(errno.EACCES, "Access is denied", str(path))
        error.winerror = self._code
        raise error


def write(path, text):
    with atomic_write(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "model.yaml"
    path.write_text("old", encoding="utf-8")
    return path


@each_code
def test_a_file_is_replaced_once_other_programs_have_closed_it(path, monkeypatch, code):
    refusals = Refusals(monkeypatch, code, count=3)
    write(path, "new")
    assert path.read_text("utf-8") == "new"
    assert refusals.slept == [*_WAITS[:3]]


@each_code
def test_a_file_that_stays_open_is_unchanged(path, monkeypatch, code):
    refusals = Refusals(monkeypatch, code, count=-1)
    message = rf"Another program has this file open.*: {re.escape(repr(str(path)))}$"
    with pytest.raises(PermissionError, match=message):
        write(path, "new")
    assert path.read_text("utf-8") == "old"
    assert list(path.parent.iterdir()) == [path]
    assert refusals.slept == [*_WAITS]
    assert sum(_WAITS) < 3


@pytest.mark.parametrize("code", [None, 112])  # another system; Windows: no space on the disk
def test_other_errors_are_raised_at_once(path, monkeypatch, code):
    refusals = Refusals(monkeypatch, code, count=1)
    with pytest.raises(PermissionError, match="Access is denied"):
        write(path, "new")
    assert refusals.slept == []
    assert path.read_text("utf-8") == "old"
