"""`rnnkit doctor` loads each plugin in its own process, and reports problems of the installation."""

import json
import os
import re
import select
import signal
import sys
import time

import pytest

from tests.helpers.commands import run, run_process, start_process
from tests.helpers.hang import HANG
from tests.helpers.hostile import ALL

HOOK = "\n\n@hookimpl\ndef register_kinds(register):\n    register(kind('nbrc'))\n"
WAITS = "import threading\nthreading.Event().wait()\n"


@pytest.fixture
def diagnosed(plugins):
    """Return a function that runs doctor on a plugin with the given source."""

    def of(source, *options, **environment):
        plugins.install("nbrc", source=source + HOOK, distribution="patient")
        answer = json.loads(run("doctor", "patient", "--json", *options, **environment).stdout)
        [found] = answer["distributions"]
        return found

    return of


def test_working_plugin_is_measured(diagnosed):
    start = time.perf_counter()
    found = diagnosed("import json.tool")
    assert (found["state"], found["problems"], found["notes"]) == ("ok", [], [])
    assert 0 < found["seconds"] < time.perf_counter() - start
    assert found["torch_seconds"] is None
    assert 1 <= found["modules"] < 100


def test_torch_import_time_is_separate(diagnosed):
    found = diagnosed("import torch")
    assert 0 < found["torch_seconds"] < found["seconds"]
    assert found["modules"] > 100


@pytest.mark.parametrize(
    ("source", "problem"),
    [
        ("import os; os._exit(0)", "its process exited with status 0 while loading"),
        ("import os; os._exit(3)", "its process exited with status 3 while loading"),
        ("import os; os.kill(os.getpid(), 9)", "its process was killed by SIGKILL while loading"),
        ("import os; os.kill(os.getpid(), 11)", "its process was killed by SIGSEGV while loading"),
        (
            "import atexit, os; atexit.register(lambda: os._exit(4))",
            "its process exited with status 4 after loading",
        ),
        (
            "while True: print('all work and no play' * 1000)",
            "its process was stopped after printing 1,000,000 bytes while loading",
        ),
        (
            "import sys\nwhile True: print('all work and no play' * 1000, file=sys.stderr)",
            "its process was stopped after printing 1,000,000 bytes while loading",
        ),
    ],
)
def test_exit_of_the_process_is_reported(diagnosed, source, problem):
    found = diagnosed(source)
    assert (found["state"], found["problems"]) == ("broken", [problem])


@pytest.mark.parametrize(
    "source",
    [WAITS, f"import subprocess, sys; subprocess.run([sys.executable, '-c', {WAITS!r}])"],
    ids=["itself", "another"],
)
def test_hanging_plugin_is_stopped(diagnosed, source):
    found = diagnosed(source, "--timeout", "0.5")
    assert found["problems"] == ["its process was stopped at the timeout of 0.5 s while loading"]


def test_hanging_thread_is_stopped(diagnosed):
    found = diagnosed("import threading; threading.Thread(target=threading.Event().wait).start()", "--timeout", "20")
    assert found["problems"] == ["its process was stopped at the timeout of 20 s after loading"]


@pytest.fixture
def lifeline(tmp_path):
    """A pipe by a name, and its end that is read: it is closed when the last process is gone that holds the other."""
    path = tmp_path / "lifeline"
    os.mkfifo(path)
    reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    yield path, reader
    os.close(reader)


def is_closed(reader):
    readable, _, _ = select.select([reader], [], [], HANG)
    return bool(readable) and os.read(reader, 1) == b""


def test_child_processes_are_killed(diagnosed, lifeline):
    path, reader = lifeline
    source = f"""
import os, subprocess, sys
held = os.open({str(path)!r}, os.O_WRONLY)
subprocess.Popen([sys.executable, "-c", {WAITS!r}], pass_fds=[held])
"""
    assert diagnosed(source)["state"] == "ok"
    assert is_closed(reader)


def test_interrupt_kills_plugin_processes(plugins, lifeline):
    path, reader = lifeline
    source = f"import os\nheld = os.open({str(path)!r}, os.O_WRONLY)\nos.write(held, b'.')\n{WAITS}"
    folder = plugins.folder(plugins.install("nbrc", source=source, distribution="patient"))
    with start_process("doctor", "patient", "--timeout", "3600", path=[folder]) as doctor:
        select.select([reader], [], [])  # the plugin is being imported
        assert os.read(reader, 1) == b"."
        doctor.send_signal(signal.SIGINT)
        assert doctor.wait(timeout=HANG) == 1
    assert is_closed(reader)


def test_last_line_of_stderr_is_reported(diagnosed):
    found = diagnosed("import os, sys\nprint('out of luck', file=sys.stderr, flush=True)\nos._exit(1)")
    assert found["problems"][0].endswith("while loading: 'out of luck'")


def test_printed_text_is_noted(diagnosed):
    found = diagnosed("print('\\x1b[31mWelcome!')")
    assert (found["state"], found["notes"]) == ("ok", ["it prints while loading: '\\x1b[31mWelcome!\\n'"])


def test_blocked_plugin_is_not_imported(diagnosed):
    found = diagnosed("raise RuntimeError", RNNKIT_BLOCK_PLUGINS="patient")
    assert (found["state"], found["notes"]) == ("blocked", ["blocked by RNNKIT_BLOCK_PLUGINS"])


def test_strict_policy_loads_no_other_plugins(plugins, diagnosed):
    plugins.install("other", source="raise RuntimeError", distribution="other")
    assert diagnosed("", RNNKIT_STRICT_PLUGINS="1")["state"] == "ok"


@pytest.mark.parametrize("case", [case for case in ALL if case.name in ("exception", "wrong-argument", "warns")])
def test_problems_match_the_errors_of_get_kind(case, tmp_path):
    done = run_process("doctor", case.distribution, "--json", path=[case.write(tmp_path)])
    [found] = json.loads(done.stdout)["distributions"]
    assert found["problems"] == ([case.error(case.kind_names[0])] if case.message else [])


def test_one_cause_is_reported_once(plugins):
    plugins.install("nbrc", "nbrc2", source="raise RuntimeError", distribution="patient")
    [found] = json.loads(run("doctor", "patient", "--json").stdout)["distributions"]
    assert found["kinds"] == ["nbrc", "nbrc2"]
    assert len(found["problems"]) == 1


@pytest.mark.parametrize("category", ["readout", "command"])
def test_plugins_without_kinds_are_loaded(plugins, category):
    plugins.install("mine", source="raise RuntimeError", distribution="patient", group=f"rnnkit.{category}s")
    [found] = json.loads(run("doctor", "patient", "--json").stdout)["distributions"]
    assert (found["kinds"], found[f"{category}s"], found["state"]) == ([], ["mine"], "broken")
    assert "RuntimeError" in found["problems"][0]


def test_an_executor_that_runs_nothing_is_reported():
    answer = run("doctor", "rnnkit-kernels", "--json", RNNKIT_KERNELS_ISA="avx3")
    [found] = json.loads(answer.stdout)["distributions"]
    assert found["state"] == "broken"
    assert "runs no cell here: instruction set 'avx3' is not available on this processor" in found["problems"][0]


def hostile(name):
    [case] = (case for case in ALL if case.name == name)
    return case


def test_unreadable_distributions_are_named(tmp_path):
    broken, works = hostile("no-equals-sign"), hostile("prints")
    folder, other = broken.write(tmp_path), works.write(tmp_path)
    done = run_process("doctor", works.distribution, "--json", "--strict", path=[folder, other])
    answer = json.loads(done.stdout)
    assert answer["unreadable"] == [broken.message.replace("FOLDER", str(folder))]
    assert answer["torch_import_error"].startswith(("TypeError", "ValueError"))
    assert [(each["state"], each["problems"]) for each in answer["distributions"]] == [("ok", [])]
    assert done.returncode == 1


@pytest.mark.parametrize("group", ["rnnkit", "rnnkit.readouts", "rnnkit.executors", "rnnkit.tasks"])
def test_misnamed_entry_points_are_named(plugins, group):
    module = plugins.install("has space", distribution="patient", group=group)
    message = f"The distribution 'patient' has an entry point named 'has space' (= {module!r})"
    [problem] = json.loads(run("doctor", "rnnkit-kernels", "--json").stdout)["unreadable"]
    assert problem.startswith(message)
    done = run("doctor", "patient")
    assert (done.exit_code, "No installed distribution 'patient' provides a plugin" in done.stderr) == (1, True)
    assert message in done.stderr


def test_an_executor_that_cannot_be_created_is_reported(plugins):
    source = """
from rnnkit.plan import Executor

class Mine(Executor):
    name = "mine"

@hookimpl
def register_executors(register):
    register(Mine)
"""
    plugins.install("mine", source=source, distribution="patient", group="rnnkit.executors")
    [found] = json.loads(run("doctor", "patient", "--json").stdout)["distributions"]
    assert found["state"] == "broken"
    assert "The executor 'patient/mine' cannot be created: TypeError: Can't instantiate" in found["problems"][0]


def test_unreadable_distribution_does_not_blame_builtin_kinds(tmp_path):
    broken = hostile("no-equals-sign")
    printed = run_process("doctor", "rnnkit", path=[broken.write(tmp_path)]).stdout.decode()
    assert re.search(r"rnnkit +\S+ +\d+ +ok ", printed)
    assert "`import torch` fails: " in printed
    assert "reinstalled or removed" in " ".join(printed.split())


@pytest.mark.parametrize("arguments", ["show gru", "init gru", "schema"])
def test_commands_beside_an_unreadable_distribution_point_to_doctor(arguments, tmp_path):
    broken = hostile("no-equals-sign")
    folder = broken.write(tmp_path)
    done = run_process(*arguments.split(), path=[folder])
    assert done.returncode == 1
    assert broken.message.replace("FOLDER", str(folder)) in done.stderr.decode()
    assert "Run `rnnkit doctor`" in done.stderr.decode()
    assert "Traceback" not in done.stderr.decode()


def test_import_beside_an_unreadable_distribution_points_to_doctor(tmp_path):
    broken = hostile("no-equals-sign")
    done = run_process(code="from rnnkit import build_model", path=[broken.write(tmp_path)])
    assert done.returncode == 1
    assert "run `rnnkit doctor`" in done.stderr.decode()


def test_versions_and_variables_of_rnnkit_are_reported(diagnosed, plugins):
    plugins.install("nbrc", distribution="patient")
    answer = json.loads(run("doctor", "patient", "--json", RNNKIT_ALLOW_PLUGINS="patient").stdout)
    assert answer["environment"] == {"RNNKIT_ALLOW_PLUGINS": "patient"}
    assert answer["versions"]["Python"] == ".".join(map(str, sys.version_info[:3]))
    assert set(answer["versions"]) == {"Python", "rnnkit", "torch", "pydantic"}
