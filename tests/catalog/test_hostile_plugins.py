"""A faulty distribution affects only its own kinds, and the error names it."""

import json
import os
import re
import subprocess
import sys

import pytest

from rnnkit import Catalog
from tests.helpers.hostile import ALL, CHANGES, HARMLESS, HOOK, READABLE, Hostile
from tests.helpers.kinds import BUILT_IN
from tests.helpers.plugins_on_disk import write_distribution

BY_NAME = {hostile.name: hostile for hostile in ALL}

# Builds rnnkit's own kinds, in the words of the README; what was changed to import torch is as before.
BUILD = """
import json
import os

from rnnkit import RecurrentSpec, build_model, list_kinds

import torch

built = {"backends": os.environ.get("TORCH_DEVICE_BACKEND_AUTOLOAD"), "shapes": {}}
for kind in list_kinds("rnnkit/*"):
    model = build_model(RecurrentSpec(kind=kind, input_size=3, hidden_size=4, output_size=2))
    built["shapes"][kind] = list(model(torch.ones(5, 6, 3)).shape)
"""
BUILT = {"backends": None, "shapes": {name: [5, 2] for name in BUILT_IN}}

# Asks for each kind that is named to it: for its record, for a spec of it, and once more.
LOAD = """
import json
import sys

import rnnkit


def answer(load, name):
    try:
        load(name)
    except BaseException as error:
        return [type(error).__name__, str(error), type(error.__cause__).__name__ if error.__cause__ else ""]
    return ["", "", ""]


def make_spec(name):
    rnnkit.RecurrentSpec(kind=name, input_size=3, hidden_size=4)


before = rnnkit.list_kinds()
loads = rnnkit.get_kind, make_spec, rnnkit.get_kind
answers = {name: [answer(load, name) for load in loads] for name in sys.argv[1:]}
results = {"before": before, "answers": answers, "after": rnnkit.list_kinds()}
"""

LIST = """
import json

import rnnkit

try:
    names, error = rnnkit.list_kinds(), ""
except rnnkit.PluginError as caught:
    names, error = [], str(caught)
"""


def run_script(script, what, *arguments, folders=(), python=(), **variables):
    """Run a script in a process of its own that has these distributions; the value of a name at its end."""
    others = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "RNNKIT", "TORCH"))}
    environment = {**others, "PYTHONPATH": os.pathsep.join(map(str, folders)), **variables}
    command = [sys.executable, *python, "-c", f"{script}\nprint('\\n' + json.dumps({what}))", *arguments]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def normalize(text, folder):
    """A text without what differs from run to run: folders, addresses, where a recursion was noticed."""
    text = text.replace(str(folder), "FOLDER")
    text = re.sub(r"0x[0-9a-f]+", "ADDRESS", text)
    return re.sub(r"(maximum recursion depth exceeded)[^'.]*", r"\1", text)


def unknown(kind, message):
    return (
        f"No installed plugin provides the kind {kind!r}. {len(Catalog().names())} kinds are installed: "
        "`list_kinds()` and `rnnkit list` show them. "
        f"To use another, install the distribution that provides it. {message}"
    )


def cases(which, among=ALL):
    return [pytest.param(hostile, id=hostile.name) for hostile in among if which(hostile)]


broken = pytest.mark.parametrize("hostile", cases(lambda each: each.message and not each.hidden))
hidden = pytest.mark.parametrize("hostile", cases(lambda each: each.hidden))
usable = pytest.mark.parametrize("hostile", cases(lambda each: not each.message))


# One at a time


@broken
def test_broken_plugin_is_listed_and_its_error_names_the_cause(hostile, tmp_path):
    folder = hostile.write(tmp_path)
    results = run_script(LOAD, "results", *hostile.kind_names, folders=[folder])
    assert results["before"] == results["after"] == sorted([*Catalog().names(), *hostile.listed])
    for kind in hostile.kind_names:
        for error, text, cause in results["answers"][kind]:
            assert normalize(text, folder) == hostile.error(kind)
            assert (error, cause) == ("PluginError", hostile.cause)


@hidden
def test_distribution_without_listable_kinds_is_named_in_errors(hostile, tmp_path):
    folder, [kind] = hostile.write(tmp_path), hostile.kind_names
    results = run_script(LOAD, "results", kind, folders=[folder])
    assert results["before"] == results["after"] == Catalog().names()
    by_name, by_spec, again = results["answers"][kind]
    assert normalize(by_name[1], folder) == unknown(kind, hostile.message)
    assert by_name[0] == "UnknownKindError"
    assert by_name == again
    if hostile in READABLE:  # beside the others pydantic, which reads all entry points for its own plugins, fails
        assert normalize(by_spec[1], folder).count(unknown(kind, hostile.message)) == 1
        assert by_spec[0] == "ValidationError"


@usable
def test_unusual_but_correct_plugins_work(hostile, tmp_path):
    results = run_script(LOAD, "results", *hostile.kind_names, folders=[hostile.write(tmp_path)])
    assert results["before"] == results["after"] == sorted([*Catalog().names(), *hostile.listed])
    assert results["answers"] == {kind: [["", "", ""]] * 3 for kind in hostile.kind_names}


@pytest.mark.parametrize("beside", [None, "entry-without-name", "exception"])
def test_torch_loads_device_backends(beside, tmp_path):
    back_end = tmp_path / "back-end"
    entry_points = "[torch.backends]\nhostile = hostile_back_end:load\n"
    source = "def load(): calls.append('loaded')"
    write_distribution(back_end, "hostile-back-end", source=source, entry_points=entry_points)
    folders = [back_end] if beside is None else [back_end, BY_NAME[beside].write(tmp_path)]
    script = "import json, rnnkit\nrnnkit.get_kind('gru')\nimport hostile_back_end"
    assert run_script(script, "hostile_back_end.calls", folders=folders) == ["loaded"]


@pytest.mark.parametrize(
    "source", ["raise KeyboardInterrupt", f"{HOOK}raise KeyboardInterrupt"], ids=["import", "hook"]
)
def test_keyboard_interrupt_passes(source, tmp_path):
    folder = Hostile(name="interrupted", source=source).write(tmp_path)
    results = run_script(LOAD, "results", "interrupted", folders=[folder])
    assert results["answers"]["interrupted"] == [["KeyboardInterrupt", "", ""]] * 3


def test_warning_as_error_breaks_only_its_plugin(tmp_path):
    folders = [BY_NAME[name].write(tmp_path) for name in ("warns", "prints")]
    results = run_script(LOAD, "results", "warns", "prints", folders=folders, python=["-W", "error"])
    message = "importing it raised UserWarning: look out. Ask its authors, or install another version."
    text = BY_NAME["warns"].error("warns").replace("is broken: ", f"is broken: {message}")
    assert results["answers"] == {"warns": [["PluginError", text, "UserWarning"]] * 3, "prints": [["", "", ""]] * 3}


# All at once, but for those beside which torch itself cannot be imported

broken_beside_others = pytest.mark.parametrize(
    "hostile", cases(lambda each: each.message and not each.hidden, READABLE)
)
hidden_beside_others = pytest.mark.parametrize("hostile", cases(lambda each: each.hidden, READABLE))
usable_beside_others = pytest.mark.parametrize("hostile", cases(lambda each: not each.message, READABLE))


@pytest.fixture(scope="module")
def everything(tmp_path_factory):
    """All of them in one process: their folders, and its answers about them and about rnnkit's own kinds."""
    root = tmp_path_factory.mktemp("everything")
    folders = {hostile.name: hostile.write(root) for hostile in READABLE}
    kinds = [kind for hostile in READABLE for kind in hostile.kind_names]
    built, results = run_script(BUILD + LOAD, "[built, results]", *kinds, folders=folders.values())
    return folders, built, results


def test_built_in_kinds_work_beside_all_faulty_plugins(everything):
    _, built, results = everything
    assert built == BUILT
    listed = [name for hostile in READABLE for name in hostile.listed]
    assert results["before"] == results["after"] == sorted([*Catalog().names(), *listed])


@broken_beside_others
def test_error_is_the_same_beside_all_faulty_plugins(hostile, everything):
    folders, _, results = everything
    for kind in hostile.kind_names:
        for error, text, cause in results["answers"][kind]:
            assert normalize(text, folders[hostile.name]) == hostile.error(kind)
            assert (error, cause) == ("PluginError", hostile.cause)


@hidden_beside_others
def test_unreadable_distribution_is_named_beside_others(hostile, everything):
    folders, _, results = everything
    [kind] = hostile.kind_names
    assert [error for error, _, _ in results["answers"][kind]] == [
        "UnknownKindError",
        "ValidationError",
        "UnknownKindError",
    ]
    for _, text, _ in results["answers"][kind]:
        assert normalize(text, folders[hostile.name]).count(hostile.message) == 1


@usable_beside_others
def test_correct_plugins_work_beside_faulty_ones(hostile, everything):
    _, _, results = everything
    assert [results["answers"][kind] for kind in hostile.kind_names] == [[["", "", ""]] * 3 for _ in hostile.kind_names]


# The strict switch


@pytest.mark.parametrize("name", ["exception", "raises-half-way", "entry-without-name", "no-equals-sign"])
def test_strict_raises_the_error_of_a_broken_plugin_at_once(name, tmp_path):
    hostile, folder = BY_NAME[name], BY_NAME[name].write(tmp_path)
    names, error = run_script(LIST, "[names, error]", folders=[folder], RNNKIT_STRICT_PLUGINS="1")
    assert names == []
    assert normalize(error, folder) == (hostile.message if hostile.hidden else hostile.error(hostile.kind_names[0]))


def test_strict_accepts_working_plugins(tmp_path):
    folders = [hostile.write(tmp_path) for hostile in HARMLESS]
    names, error = run_script(LIST, "[names, error]", folders=folders, RNNKIT_STRICT_PLUGINS="1")
    assert error == ""
    assert names == sorted([*Catalog().names(), *(name for hostile in HARMLESS for name in hostile.listed)])


def test_listing_works_without_strict(tmp_path):
    folder = BY_NAME["exception"].write(tmp_path)
    names, error = run_script(LIST, "[names, error]", folders=[folder])
    assert (names, error) == (sorted([*Catalog().names(), "hostile-exception/exception"]), "")


def test_number_of_faulty_plugins():
    assert len(ALL) == len(BY_NAME) > 25


# Changes of other packages and of the process, of which nothing can protect the process

changing = pytest.mark.parametrize("hostile", [pytest.param(each, id=each.name) for each in CHANGES])


def run_command(folder, *arguments):
    environment = {**os.environ, "PYTHONPATH": str(folder), "COLUMNS": "1000"}
    command = [sys.executable, "-m", "rnnkit", *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=300)


@changing
def test_doctor_and_check_name_what_an_import_changes(hostile, tmp_path):
    folder = hostile.write(tmp_path)
    facts = json.loads(run_command(folder, "doctor", hostile.distribution, "--json").stdout)
    [found] = facts["distributions"]
    assert found["state"] == "broken"
    problem = f"importing it changes {CHANGES[hostile]}"
    assert found["problems"][-1] == problem
    checked = run_command(folder, "check", hostile.kind_names[0])
    assert (checked.returncode, checked.stdout) == (1, "")
    assert checked.stderr == (
        f"Error: The plugin {hostile.distribution} can break others: {problem}. "
        f"To block it, add {hostile.distribution} to RNNKIT_BLOCK_PLUGINS.\n"
    )


@pytest.mark.parametrize("name", ["click.echo", "json.dumps"])
def test_doctor_names_changes_of_what_commands_write_with(name, tmp_path):
    source = f"import click, json\n{name} = None\n{HOOK}register(kind(KIND))"
    folder = Hostile(name="silences", source=source).write(tmp_path)
    [found] = json.loads(run_command(folder, "doctor", "hostile-silences", "--json").stdout)["distributions"]
    assert (found["state"], found["problems"]) == ("broken", [f"importing it changes {name}"])


def test_check_fails_if_the_import_ends_the_process(tmp_path):
    folder = Hostile(name="exits", source=f"import os\nos._exit(0)\n{HOOK}register(kind(KIND))").write(tmp_path)
    checked = run_command(folder, "check", "hostile-exits/exits")
    assert (checked.returncode, checked.stdout) == (1, "")
    assert "The plugin hostile-exits can break others: its process exited with status 0" in checked.stderr


@changing
def test_show_ends_without_a_traceback(hostile, tmp_path):
    shown = run_command(hostile.write(tmp_path), "show", hostile.kind_names[0])
    assert "Traceback" not in shown.stderr
    assert "affected" not in shown.stderr  # an import can change anything
    if shown.returncode:
        assert hostile.distribution in shown.stderr.splitlines()[-1]


@pytest.mark.parametrize(
    ("source", "command"),
    [
        ("import builtins; builtins.isinstance = lambda *_: False", "show"),
        ("import builtins; builtins.print = builtins.repr = builtins.str = None", "schema"),
        ("import builtins; builtins.print = builtins.repr = builtins.str = None", "show"),
        ("import click; click.echo = click.style = None", "init"),
        ("import rnnkit; rnnkit.Catalog.get = None; vars(rnnkit.current_catalog()).clear()", "show"),
        ("import rnnkit; rnnkit.Catalog.get = None; vars(rnnkit.current_catalog()).clear()", "check"),
    ],
)
def test_a_command_names_the_plugin_that_damages_what_messages_need(source, command, tmp_path):
    folder = Hostile(name="damages", source=f"{source}\n{HOOK}register(kind(KIND))").write(tmp_path)
    done = run_command(folder, command, "hostile-damages/damages")
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert "hostile-damages" in done.stderr.splitlines()[-1]


def test_changes_that_many_packages_make_are_notes(tmp_path):
    source = f"import os, warnings\nos.environ['A'] = '1'\nwarnings.simplefilter('ignore')\n{HOOK}register(kind(KIND))"
    folder = Hostile(name="configures", source=source).write(tmp_path)
    [found] = json.loads(run_command(folder, "doctor", "hostile-configures", "--json").stdout)["distributions"]
    assert (found["state"], found["problems"]) == ("ok", [])
    assert found["notes"] == ["importing it changes the environment, the warning filters"]


def test_the_distributions_of_rnnkit_change_nothing(tmp_path):
    distributions = json.loads(run_command(tmp_path, "doctor", "--json").stdout)["distributions"]
    assert len(distributions) > 1
    assert {each["distribution"]: each["problems"] + each["notes"] for each in distributions} == {
        each["distribution"]: [] for each in distributions
    }
