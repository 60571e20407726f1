"""Build the wheels of all targets on this machine: `python wheels.py FOLDER [TARGET ...]`."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from targets import TARGETS

HERE = Path(__file__).parent


def main() -> None:
    folder, *names = sys.argv[1:]
    for name in names or TARGETS:
        command = [sys.executable, "-m", "pip", "wheel", "--no-deps", "--wheel-dir", folder, str(HERE)]
        subprocess.run(command, check=True, env={**os.environ, "RNNKIT_KERNELS_TARGET": name})


if __name__ == "__main__":
    main()
