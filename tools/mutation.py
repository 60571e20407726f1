"""Mutation tests of the core: change a function, and run the tests that cover the changed line until one fails.

Run by `make test-mutation`. Each mutant runs in a fork of a process that has imported torch and collected the tests,
and replaces the code of functions there. The alternatives do not fit: cosmic-ray imports torch again for each mutant,
and mutmut 3 leaves out decorated functions, adds a wrapper to all others, and names modules after their paths, which
here begin with `registry`.
"""

from __future__ import annotations

import argparse
import functools
import gc
import json
import os
import resource
import shutil
import signal
import sys
import tempfile
from collections.abc import Callable
from contextlib import suppress
from itertools import zip_longest
from pathlib import Path
from time import perf_counter

import coverage
import pytest

from tools.mutants import Mutant, codes_of, find_mutants, replace_code

ROOT = Path(__file__).parents[1]
CORE = ROOT / "registry/rnnkit"
ROOMS = sorted(path.parent.name for path in CORE.glob("*/__init__.py"))
PASSED, FAILED, NOT_APPLIED = 0, 1, 2
MEMORY = 2**34  # bytes of address space for one mutant, of which torch takes about a third
LARGEST_FILE = 2**30  # bytes: a mutant may print without end
Cache = type(functools.cache(len))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("rooms", nargs="*", default=ROOMS, help="subpackages or files in registry/rnnkit")
    parser.add_argument("--mutants", type=int, default=100, help="number of mutants to draw from each room")
    parser.add_argument("--seed", type=int, default=0, help="draws others")
    parser.add_argument(
        "--seconds", type=float, default=60, help="runs the quickest tests that take this long together"
    )
    parser.add_argument("--tests", nargs="+", help="files and folders of tests, instead of those of the rooms")
    parser.add_argument("--slow", action="store_true", help="runs the tests that `make test-slow` runs, too")
    parser.add_argument("--at-least", type=float, default=0, help="fails if a room has a lower score, in percent")
    options = parser.parse_args()
    os.environ["HYPOTHESIS_STORAGE_DIRECTORY"] = str(ROOT / "build/mutation")  # keeps no examples of mutants
    os.environ["COVERAGE_CORE"] = "ctrace"  # "sysmon" reports each line once, not once for each test
    tests = options.tests or [f"tests/{Path(room).parts[0]}" for room in options.rooms]
    marker = "not nightly" if options.slow else "not slow"
    sys.exit(pytest.main([*tests, "-q", "-m", marker, "-p", "no:cacheprovider"], plugins=[Run(options)]))


class Run:
    """A plugin of pytest: runs all tests once to learn what they cover, then those of each mutant."""

    def __init__(self, options: argparse.Namespace) -> None:
        self.options = options
        self.failures: dict[str, str] = {}  # by the name of the test, its reason
        self.seconds: dict[str, float] = {}
        self.covering: dict[str, dict[str, list[str]]] = {}  # by file and line

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed:
            crash = getattr(report.longrepr, "reprcrash", None)
            self.failures[report.nodeid] = crash.message if crash else report.longreprtext

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        self.plugins = session.config.pluginmanager
        self.items = {item.nodeid: item for item in session.items}
        self.measure()
        scores = [self.test_room(room) for room in self.options.rooms]
        session.testsfailed = (
            len(self.items) - len(self.seconds) + sum(score < self.options.at_least for score in scores)
        )
        return True

    def print(self, text: str) -> None:
        self.plugins.getplugin("terminalreporter").write_line(text)

    def measure(self) -> None:
        """Learn the seconds that each test takes, and the tests that cover each line of each file.

        The code of the rooms is compiled again without a change. Tests that fail then are left out.
        """
        self.print(f"running {len(self.items)} tests once")
        with tempfile.NamedTemporaryFile() as file:
            if self.fork(lambda: self.cover(Path(file.name)), seconds=10_000) != PASSED:
                raise pytest.UsageError("pytest does not run in a fork")
            failures, self.seconds, self.covering = json.loads(file.read())
        for name, reason in failures.items():
            self.print(f"left out, because it fails without a mutant: {name}: {reason}")
            self.seconds.pop(name)

    def cover(self, result: Path) -> int:
        for path in [path for room in self.options.rooms for path in files_of(room)]:
            replace_code(codes_of(path))
        measured, seconds = coverage.Coverage(data_file=None, source_pkgs=["rnnkit"], config_file=False), {}
        with measured.collect():
            for name, item in self.items.items():
                measured.switch_context(name)
                begin = perf_counter()
                self.run([item])
                seconds[name] = perf_counter() - begin
        data = measured.get_data()
        lines = {path: data.contexts_by_lineno(path) for path in data.measured_files()}
        result.write_text(json.dumps([self.failures, seconds, lines]), "utf-8")
        return PASSED

    def test_room(self, room: str) -> float:
        """Test a sample of the mutants of a room, and return the percentage that is killed."""
        mutants = [mutant for path in files_of(room) for mutant in find_mutants(path)]
        results: list[int] = []
        for mutant in sorted(mutants, key=lambda mutant: mutant.draw(self.options.seed, CORE)):
            results += [result for result in [self.test(mutant, room)] if result != NOT_APPLIED]
            if len(results) == self.options.mutants:
                break
        killed, ended = sum(result != PASSED for result in results), sum(result < 0 for result in results)
        score = 100 * killed / len(results)
        self.print(
            f"{room}: {killed} of {len(results)} killed ({score:.0f} %), {ended} by a limit; {len(mutants)} in all"
        )
        return score

    def test(self, mutant: Mutant, room: str) -> int:
        tests = self.tests_of(mutant, room)
        limit = 20 + 10 * sum(self.seconds[test.nodeid] for test in tests)
        result = self.fork(lambda: self.run(tests) if mutant.apply() else NOT_APPLIED, int(limit)) if tests else PASSED
        if result == PASSED:
            self.print(f"survived {len(tests)} tests: {mutant}")
        return result

    def tests_of(self, mutant: Mutant, room: str) -> list[pytest.Item]:
        """Return the tests that cover the changed line: those of the room first, then the quickest."""
        covering = self.covering.get(str(mutant.path), {}).get(str(mutant.line), [])
        own = f"tests/{room.partition('/')[0]}/"
        names = sorted(self.seconds.keys() & covering, key=lambda name: (not name.startswith(own), self.seconds[name]))
        tests: list[pytest.Item] = []
        while names and (not tests or sum(self.seconds[test.nodeid] for test in tests) < self.options.seconds):
            tests.append(self.items[names.pop(0)])
        return tests

    def run(self, tests: list[pytest.Item]) -> int:
        """Run tests until one fails."""
        for test, following in zip_longest(tests, tests[1:]):
            test.config.hook.pytest_runtest_protocol(item=test, nextitem=following)
            if self.failures:
                return FAILED
        return PASSED

    def fork(self, work: Callable[[], int], seconds: int) -> int:
        """Return the exit status of `work` in a fork, or the negative number of the signal that ended it."""
        temporary = tempfile.mkdtemp(prefix="mutant")
        process = os.fork()
        if not process:
            try:
                self.become_child(temporary, seconds)
                os._exit(work())
            finally:
                os._exit(FAILED)
        _, status = os.waitpid(process, 0)
        with suppress(ProcessLookupError):
            os.killpg(process, signal.SIGKILL)  # processes that tests have started
        shutil.rmtree(temporary, ignore_errors=True)
        return os.waitstatus_to_exitcode(status)

    def become_child(self, temporary: str, seconds: int) -> None:
        os.setsid()
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
        resource.setrlimit(resource.RLIMIT_FSIZE, (LARGEST_FILE, LARGEST_FILE))
        resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds + 5))
        signal.alarm(20 * seconds)  # for waiting, which takes no CPU time
        os.environ["PYTEST_DEBUG_TEMPROOT"] = os.environ["TMPDIR"] = tempfile.tempdir = temporary
        self.plugins.unregister(self.plugins.getplugin("terminalreporter"))
        for each in gc.get_objects():
            if type(each) is Cache and str(each.__module__).startswith("rnnkit"):
                each.cache_clear()  # results that importing the tests has left


def files_of(room: str) -> list[Path]:
    place = CORE / room
    return sorted(place.rglob("*.py")) if place.is_dir() else [place]


if __name__ == "__main__":
    main()
