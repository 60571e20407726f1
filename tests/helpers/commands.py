"""Runs the command `rnnkit` in this process, in another process, or in a terminal."""

import inspect
import os
import signal
import subprocess
import sys

from click.testing import CliRunner

from rnnkit import Catalog
from rnnkit.cli.group import commands
from rnnkit.testing import use_catalog

COMMAND = "from rnnkit.__main__ import main; main()"
# click 8.1 mixes stdout and stderr by default
_SEPARATE = {"mix_stderr": False} if "mix_stderr" in inspect.signature(CliRunner).parameters else {}


def run(*arguments, width=80, encoding="utf-8", **environment):
    """Run a command in this process, with the kinds that are installed now; return its output and exit status."""
    environment = {"COLUMNS": str(width), **environment}
    with use_catalog(Catalog()):
        result = CliRunner(charset=encoding, **_SEPARATE).invoke(
            commands, [*map(str, arguments)], prog_name="rnnkit", env=environment
        )
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


def run_process(*arguments, **options):
    """The same as a process of its own, whose output is bytes; with the options of `start_process`."""
    with start_process(*arguments, **options) as process:
        stdout, stderr = process.communicate()
    return subprocess.CompletedProcess(process.args, process.returncode, stdout, stderr)


def start_process(*arguments, code=COMMAND, path=(), stdout=subprocess.PIPE, **environment):
    """A process of the command.

    Args:
        arguments: of the command.
        code: what it runs.
        path: folders in which it finds modules and distributions.
        stdout: where its output goes.
        environment: variables of its environment.
    """
    inherited = filter(None, [os.environ.get("PYTHONPATH")])
    return subprocess.Popen(
        [sys.executable, "-c", code, *map(str, arguments)],
        stdin=subprocess.DEVNULL,
        stdout=stdout,
        stderr=subprocess.PIPE,
        env=os.environ | {"PYTHONPATH": os.pathsep.join([*map(str, path), *inherited]), **environment},
        preexec_fn=_heed_interrupts if os.name == "posix" else None,  # noqa: PLW1509  # runs nothing else
    )


def _heed_interrupts():
    # a process that was started in the background ignores them, and so would its children
    signal.signal(signal.SIGINT, signal.SIG_DFL)
