"""Run the tests and the conformance checks of plugins in other distributions with the rnnkit of this clone.

Run by `make test-plugins`; `python -m tools.downstream rnnkit-mine` takes paths or names of other plugins. Each is
installed in an environment of its own, on top of `.venv`.
"""

from __future__ import annotations

import json
import subprocess
import sys
import sysconfig
import tempfile
import venv
from pathlib import Path

ROOT = Path(__file__).parents[1]
EXAMPLES = sorted(str(path.parent) for path in (ROOT / "docs/examples").glob("*/pyproject.toml"))
# These are declared by the plugin's own tests too: ncps creates its wiring from NumPy arrays, on the CPU.
EXPECTED_FAILURES = {"ltc": {"device_is_consistent"}}
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
        results = [_checks_pass(python, kind) for kind in kinds]
        if (folder / "tests").is_dir():
            results.append(_run([python, "-m", "pytest", "-q", str(folder / "tests")]))
        return all(results)


def _checks_pass(python: str, kind: str) -> bool:
    """Run the conformance checks of a kind, and return whether those fail that are expected to, and no others."""
    command = [python, "-m", "rnnkit", "check", kind, "--json"]
    print("$", *command, flush=True)
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
    results = json.loads(done.stdout)["results"] if done.stdout else []
    failed = {each["check"]: each["reason"] for each in results if each["outcome"] == "failed"}
    print(f"{kind}: {len(results)} checks, {len(failed)} failed", *failed.values(), sep="\n", flush=True)
    return bool(results) and failed.keys() == EXPECTED_FAILURES.get(kind, set())


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
