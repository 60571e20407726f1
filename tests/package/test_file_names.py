"""The repository can be checked out on every system."""

import re
import subprocess
from collections import Counter
from pathlib import Path, PurePosixPath

import pytest

ROOT = Path(__file__).parents[2]
# of Windows: names of devices, also with a suffix; characters that a name must not have, and a dot or space at its end
REFUSED = re.compile(r'(con|prn|aux|nul|(com|lpt)\d)(\..*)?|.*[<>:"|?*\\].*|.*[. ]', re.IGNORECASE)


@pytest.fixture(scope="module")
def paths():
    if not (ROOT / ".git").exists():
        pytest.skip("not a clone")
    listed = subprocess.check_output(["git", "ls-files", "-z"], cwd=ROOT)  # noqa: S607  # whatever git there is
    return listed.decode().rstrip("\0").split("\0")


@pytest.mark.parametrize("name", ["aux.py", "NUL", "a:b", "a.", "a?"])
def test_names_that_windows_refuses_are_found(name):
    assert REFUSED.fullmatch(name)


def test_windows_has_all_names(paths):
    assert len(paths) > 1000
    assert [path for path in paths if any(map(REFUSED.fullmatch, PurePosixPath(path).parts))] == []
    assert max(map(len, paths)) < 150  # of 260, with the folder of the clone


def test_names_differ_by_more_than_case(paths):
    assert [path for path, count in Counter(map(str.lower, paths)).items() if count > 1] == []
