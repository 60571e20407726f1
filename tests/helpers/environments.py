"""Fresh environments, in which a distribution is installed and used as its users do.

Nothing is downloaded: such an environment finds what the running one has installed, rnnkit and its kinds included.
"""

import os
import re
import subprocess
import sysconfig
import venv
from pathlib import Path
from textwrap import dedent

from tests.helpers.shell import into_shell

# selects the conformance checks that neither compile nor export a model nor start processes; the last one would run all
WITHOUT_COMPILED = "not (compiles or exports or onnx or ddp or enough_checks)"
# variables that would change what happens in there
OF_THE_OUTSIDE = ("PYTHON", "PIP_", "PYTEST_", "RNNKIT_", "CI", "BUILD_NUMBER")


class Environment:
    """A fresh virtual environment that also finds the packages of the running one.

    Args:
        folder: where it is made.
        scripts: commands of those packages that it should have too, under the names of their modules.
    """

    def __init__(self, folder, scripts=()):
        venv.create(folder, symlinks=os.name != "nt")
        paths = sysconfig.get_paths("venv", {"base": str(folder), "platbase": str(folder)})
        self.folder = folder
        self.packages = Path(paths["purelib"])
        self._executable = Path(paths["scripts"]) / "python"
        kept = {name: value for name, value in os.environ.items() if not name.startswith(OF_THE_OUTSIDE)}
        alone = {"RNNKIT_EXECUTORS": ""}  # its user has rnnkit, not the executors of the running one
        self._variables = kept | alone | {"COLUMNS": "120", "OMP_NUM_THREADS": "1", "PYTHONUTF8": "1"}
        # as a folder of packages and not as a mere path, so that an editable install in it is found too
        shared = {sysconfig.get_path(name) for name in ("purelib", "platlib")}
        lines = [f"import site; site.addsitedir({path!r})\n" for path in sorted(shared)]
        (self.packages / "shared.pth").write_text("".join(lines), encoding="utf-8")
        for name in ("pip", *scripts):  # pip too is that of the running one: to unpack another takes seconds
            script = Path(paths["scripts"]) / name
            script.write_text(f'#!/bin/sh\nexec "{self._executable}" -P -m {name} "$@"\n', encoding="utf-8")
            script.chmod(0o755)

    def python(self, *arguments, folder=None):
        """Run Python in the environment's folder, which shadows no package, and return its output."""
        done = subprocess.run(
            [self._executable, *arguments],
            cwd=folder or self.folder,
            env=self._variables,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            check=False,
        )
        assert done.returncode == 0, done.stdout
        return done.stdout

    def shell(self, commands, folder):
        """Run commands in one shell; return the result of each, and the working directory after the last."""
        path = f"{self._executable.parent}{os.pathsep}{os.environ['PATH']}"
        offline = {"PIP_NO_INDEX": "1", "PIP_NO_DEPS": "1", "PIP_DISABLE_PIP_VERSION_CHECK": "1"}
        offline["PIP_NO_BUILD_ISOLATION"] = "0"  # which pip reads backwards: without isolation
        return into_shell(commands, folder, self._variables | {"PATH": path} | offline)

    def code(self, source):
        return self.python("-c", dedent(source))

    def pytest(self, *arguments, folder=None):
        """How many tests pass; none fails."""
        summary = self.python("-m", "pytest", "-q", "-p", "no:cacheprovider", *arguments, folder=folder)
        return int(re.search(r"^(\d+) passed", summary, re.MULTILINE)[1])

    def pip(self, *arguments):
        return self.python("-m", "pip", "--isolated", "--disable-pip-version-check", *arguments)
