"""Commands typed into a shell, one after another."""

import re
import subprocess
from pathlib import Path
from typing import NamedTuple

END = "--- end of a command, with the status"
_ENDS = re.compile(rf"{END} (\d+)\n")


class Typed(NamedTuple):
    """The result of one command: its output, with stderr, and its exit status."""

    printed: str
    status: int


def into_shell(commands, folder, environment):
    """Run commands in one shell; return the result of each, and the working directory after the last.

    The shell is a terminal of 80 columns, or as many as the environment says, without colour.
    """
    script = "".join(f"{command}\nstatus=$?; echo '{END}' $status; (exit $status)\n" for command in [*commands, "pwd"])
    done = subprocess.run(
        ["bash", "-c", script],  # noqa: S607  # whatever bash there is
        cwd=folder,
        env=environment | {"COLUMNS": "80", "NO_COLOR": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        encoding="utf-8",
        check=False,
    )
    parts = _ENDS.split(done.stdout)
    *typed, (last, _) = zip(parts[0::2], map(int, parts[1::2]), strict=False)
    return [Typed(*each) for each in typed], Path(last.strip())
