"""Rehearse a release: upload the distributions to an index of its own, and install them from there.

Run by `make test-dist`. In a new environment, which has nothing else of this project, the code of the README runs, the
command finds every kind, and tests of the clone pass, which import what is installed.
"""

from __future__ import annotations

import re
import socket
import subprocess
import sys
import tempfile
import time
import venv
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path

from tools.release import CORE, ROOT, versions

PROJECTS = ["rnnkit[cli]", "rnnkit-cards", "rnnkit-kernels"]
TESTS = [f"tests/{name}" for name in ("files", "model", "specs")]
WHERE = """
import rnnkit, rnnkit_builtin, rnnkit_cards, rnnkit_kernels
for module in (rnnkit, rnnkit_builtin, rnnkit_cards, rnnkit_kernels):
    assert "site-packages" in module.__file__, module.__file__
"""
RUN_BY_KERNELS = """
import torch
from rnnkit import RecurrentSpec, build_model
model = build_model(RecurrentSpec(kind="mgu", input_size=3, hidden_size=4))
model(torch.randn(2, 50, 3))
assert model.backbone.executor == "kernels", model.backbone.executor
"""


def main() -> None:
    distributions = sorted(Path(sys.argv[1]).resolve().iterdir())
    version = dict(versions())[CORE]  # the public index may have later ones
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        python = folder / "environment/bin/python"
        venv.create(folder / "environment", with_pip=True)
        _run([str(python), "-m", "pip", "install", "--quiet", "--upgrade", "pip>=25.1"])
        pip = [str(python), "-m", "pip", "install", "--quiet", "--constraint", str(ROOT / "constraints.txt")]
        with _index(folder / "index") as url:
            _run([sys.executable, "-m", "twine", "upload", "--repository-url", url, *_ANYONE, *map(str, distributions)])
            _run([*pip, "--extra-index-url", f"{url}/simple/", *(f"{each}=={version}" for each in PROJECTS)], folder)
        for code in (WHERE, _first_python(ROOT / "README.md"), RUN_BY_KERNELS):
            _run([str(python), "-W", "error", "-c", code], folder)
        for arguments in (["doctor"], ["list"], ["check", "gru_cell"]):
            _run([str(python), "-m", "rnnkit", *arguments], folder)
        _run([*pip, "--group", "test"], ROOT)
        _run([str(python), "-m", "pytest", "-q", "-n", "auto", "-m", "not slow", *TESTS], ROOT)


_ANYONE = ["--username", "anyone", "--password", "any", "--disable-progress-bar", "--non-interactive"]


@contextmanager
def _index(folder: Path) -> Iterator[str]:
    """Run an empty package index, and give its address."""
    folder.mkdir()
    with closing(socket.create_server(("127.0.0.1", 0))) as free:
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "pypiserver", "run", "--interface", "127.0.0.1", "--port", str(port)]
    server = subprocess.Popen([*command, "--authenticate", ".", "--passwords", ".", "--disable-fallback", str(folder)])
    try:
        _wait_for(port)
        yield f"http://127.0.0.1:{port}"
    finally:
        server.terminate()
        server.wait()


def _wait_for(port: int) -> None:
    for _ in range(300):
        try:
            socket.create_connection(("127.0.0.1", port)).close()
        except ConnectionRefusedError:
            time.sleep(0.1)
        else:
            return
    raise TimeoutError(f"the index on port {port} did not start within 30 seconds")


def _first_python(page: Path) -> str:
    found = re.search(r"```python\n(.*?)```", page.read_text("utf-8"), re.DOTALL)
    if found is None:
        raise ValueError(f"{page} has no code block")
    return found.group(1)


def _run(command: Sequence[str], folder: Path = ROOT) -> None:
    print("$", *(part if len(part) < 100 else "..." for part in command), flush=True)
    subprocess.run(command, cwd=folder, check=True)


if __name__ == "__main__":
    main()
