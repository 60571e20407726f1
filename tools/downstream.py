"""Run the tests and the conformance checks of plugins in other distributions with the rnnkit of this clone.

Run by `make test-plugins`; `python -m tools.downstream rnnkit-mine` takes paths or names of other plugins. Each is
installed in an environment of its own, on top of `.venv`.
"""

from __future__ import annotations

import subprocess
import sys
import sysconfig
import tempfile
import venv
from pathlib import Path

ROOT = Path(__file__).parents[1]
EXAMPLES = sorted(str(path.parent) for path in (ROOT / "docs/examples").glob("*/pyproject.toml"))
KINDS = """
from importlib.metadata import distribution
print(*(each.name for each in distribution({!r}).entry_points if each.group == "rnnkit"))
"""


def main() -> None:
    failed = [plugin for plugin in (sys.argv[1:] or EXAMPLES) if not _passes(plugin)]
    if failed:
        raise SystemExit(f"failed: {', '.join(failed)}")


def _passes(plugin: str) -> bool:
    """Install a plugin, and return whether its tests and the checks of its kinds pass."""
    folder, project = Path(plugin), Path(plugin).name
    with tempfile.TemporaryDirectory() as name:
        venv.create(name, with_pip=True)
        python = f"{name}/bin/python"
        _see_development(python)
        wanted = [f"{folder}[test]"] if folder.is_dir() else [plugin]
        constraints = str(ROOT / "constraints.txt")
        _run([python, "-m", "pip", "install", "--quiet", "--constraint", constraints, *wanted], check=True)
        kinds = subprocess.check_output([python, "-c", KINDS.format(project)], text=True).split()
        if not kinds:
            raise SystemExit(f"{plugin} has no entry points of the group rnnkit")
        results = [_run([python, "-m", "rnnkit", "check", kind]) for kind in kinds]
        if (folder / "tests").is_dir():
            results.append(_run([python, "-m", "pytest", "-q", str(folder / "tests")]))
        return all(results)


def _see_development(python: str) -> None:
    """Let an environment find the packages of this one, after its own."""
    place = subprocess.check_output([python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"], text=True)
    line = f"import site; site.addsitedir({sysconfig.get_path('purelib')!r})\n"
    Path(place.strip(), "development.pth").write_text(line, "utf-8")


def _run(command: list[str], *, check: bool = False) -> bool:
    print("$", *command, flush=True)
    return subprocess.run(command, check=check).returncode == 0


if __name__ == "__main__":
    main()
