"""Tasks by name: with settings, by pattern, of this process, of plugins, and errors."""

from dataclasses import dataclass

import pytest
import torch

from rnnkit import (
    BlockedKindError,
    Catalog,
    PluginError,
    ReservedKindError,
    UnknownKindError,
)
from rnnkit.compare import (
    Batch,
    GeneratedTask,
    Task,
    find_tasks,
    list_tasks,
    register_task,
    tasks,
)
from rnnkit.compare.registry import candidates_of
from rnnkit.errors import CompareError
from rnnkit.testing import use_catalog

PLUGIN = """
from dataclasses import dataclass

import torch
from rnnkit.compare import Batch, GeneratedTask

@dataclass(frozen=True)
class Echo(GeneratedTask):
    classes: int = 3

    name = "echo"
    summary = "Repeat the input."
    measures = "nothing"
    source = "https://example.org"

    def fields(self):
        return {"input_size": 4, "num_embeddings": self.classes, "output_size": self.classes, "readout": "all"}

    def draw(self, size, generator, *, testing):
        x = torch.randint(self.classes, (size, 5), generator=generator)
        return Batch(x, x)

@hookimpl
def register_tasks(register):
    calls.append("called")
    register(Echo)
"""


@dataclass(frozen=True)
class Last(GeneratedTask):
    """The last of some numbers."""

    steps_of_it: int = 3
    half: float = 0.5

    name = "last_number"
    summary = "Return the last number."
    measures = "nothing"
    source = "https://example.org"
    needs = ""

    def fields(self):
        return {"input_size": 1, "output_size": 2}

    def missing(self):
        return self.needs

    def draw(self, size, generator, *, testing):
        x = torch.rand(size, self.steps_of_it, 1, generator=generator)
        return Batch(x, (x[:, -1, 0] > self.half).long())


def install(plugins, source=PLUGIN):
    return plugins.install("echo", source=source, distribution="rnnkit-echo", group="rnnkit.tasks")


@pytest.mark.parametrize(
    ("text", "task"),
    [
        ("adding", tasks.adding()),
        (" adding ", tasks.adding()),
        ("adding()", tasks.adding()),
        ("adding(200)", tasks.adding(200)),
        ("adding(length=200)", tasks.adding(200)),
        ("parity(10, test_length=20)", tasks.parity(10, 20)),
        ("digits('pixels')", tasks.digits("pixels")),
        ("digits(pixels)", tasks.digits("pixels")),
        ("digits(order=permuted)", tasks.digits("permuted")),
        ("rnnkit/adding(5)", tasks.adding(5)),
    ],
)
def test_a_text_names_a_task_and_its_settings(text, task):
    assert find_tasks([text]) == [task]


def test_patterns_and_tasks_are_mixed():
    assert find_tasks(["*cop*", tasks.adding(7)]) == [tasks.copying(), tasks.selective_copying(), tasks.adding(7)]


def test_all_leaves_out_tasks_whose_data_is_not_installed(monkeypatch):
    monkeypatch.setattr(tasks.digits, "missing", lambda _: "a package")
    found = {each.name for each in find_tasks(["all"])}
    assert "adding" in found
    assert "digits" not in found
    for names in (["digits"], ["dig*"], [tasks.digits()]):
        with pytest.raises(CompareError, match="Task 'digits' needs a package"):
            find_tasks(names)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("adding(lenght=3)", r"'adding' has no setting 'lenght'. Did you mean 'length'\? Its settings are 'length'"),
        ("adding(1)", "'adding' does not accept length=1: Input should be greater than or equal to 2"),
        ("adding('200')", "'adding' does not accept length='200': Input should be a valid integer"),
        ("adding(3, 4)", r"'adding' does not accept the settings \(3, 4\): too many positional arguments"),
        ("adding(3, length=4)", "multiple values for argument 'length'"),
        ("adding(length=3, length=4)", r"\(length=3, length=4\) are not valid settings of task 'adding'"),
        ("adding(**{'length': 3})", "No task matches"),
        ("adding(2 + )", r"\(2 \+ \) are not valid settings of task 'adding': write them as length=200"),
        ("adding(print(1))", "not valid settings"),
        ("adding(1)(2)", "not valid settings"),
        ("adding(", r"'adding\(' is not the name of a task: write adding, or adding\(length=200\)"),
        ("the adding problem", "is not the name of a task"),
        ("", "'' is not the name of a task"),
        ("nothing*", r"No task matches 'nothing\*': the tasks are 'adding', "),
    ],
)
def test_errors_say_what_is_wrong(text, message):
    with pytest.raises(CompareError, match=message):
        find_tasks([text])


def test_a_name_of_no_task_is_refused():
    with pytest.raises(UnknownKindError, match=r"provides the task 'additng'\. Did you mean 'adding'"):
        find_tasks(["additng"])


@pytest.mark.parametrize("single", ["adding", tasks.adding()], ids=str)
def test_a_single_name_is_not_a_list(single):
    with pytest.raises(CompareError, match="is a single task: write a list"):
        find_tasks(single)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (tasks.adding, r"tasks has the class Adding: write the task, such as tasks.adding\(\), or its name 'adding'"),
        (None, "tasks has None, which is neither a task nor a name"),
    ],
)
def test_a_value_of_another_type_is_refused(wrong, message):
    with pytest.raises(CompareError, match=message):
        find_tasks([wrong])
    with pytest.raises(CompareError, match="is not a list"):
        find_tasks(3)


def test_each_task_is_found_once():
    assert find_tasks(["adding", tasks.adding(), "add*", "adding(7)"]) == [tasks.adding(), tasks.adding(7)]


def test_a_local_task():
    assert not [name for name in list_tasks() if "/" in name]
    with register_task(Last) as registered:
        assert registered.name == "local/last_number"
        assert "local/last_number" in list_tasks()
        for name in ("last_number(5)", "local/last_number(5)", "last_number(steps_of_it=5)"):
            assert find_tasks([name]) == [Last(5)]
        assert Last() in find_tasks(["all"])
        assert [each.distribution for each in candidates_of(Last())] == ["local"]
    with pytest.raises(UnknownKindError):
        find_tasks(["last_number"])
    assert candidates_of(Last()) == []


def test_a_task_that_needs_settings_says_so():
    @dataclass(frozen=True)
    class Needy(Last):
        must: int = None
        name = "needy"

    with register_task(Needy):
        with pytest.raises(CompareError, match="'needy' does not accept must=None"):
            find_tasks(["needy"])
        assert find_tasks(["needy(must=1)"]) == [Needy(must=1)]


def test_a_local_task_cannot_replace_one_of_rnnkit():
    class Other(Last):
        name = "adding"

    with pytest.raises(ReservedKindError):
        register_task(Other)


@pytest.mark.parametrize("value", [Last(), 3, Task], ids=str)
def test_only_a_class_with_a_name_is_registered(value):
    with pytest.raises(PluginError, match=r"register_task takes a subclass of rnnkit\.compare\.Task with a `name`"):
        register_task(value)


def test_a_plugin_brings_a_task(plugins):
    module = install(plugins)
    with use_catalog(Catalog()):
        assert "rnnkit-echo/echo" in list_tasks()
        assert plugins.imported() == []
        (task,) = find_tasks(["echo(classes=4)"])
        assert plugins.imported() == [module]
        assert task.classes == 4
        assert [(each.distribution, each.version) for each in candidates_of(task)] == [("rnnkit-echo", "1.0")]
        assert task in find_tasks(["rnnkit-echo/echo(4)"])
        find_tasks(["echo"])
        assert plugins.module(module).calls == ["called"]


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("raise OSError('no data')", "no data"),
        (PLUGIN.replace("(GeneratedTask)", ""), r"must be a subclass of rnnkit\.compare\.Task"),
        (PLUGIN.replace("def draw", "def drawn"), "with all its methods"),
        (PLUGIN.replace('name = "echo"', 'name = "other"'), "echo"),
    ],
)
def test_a_broken_plugin_breaks_its_own_tasks(plugins, source, message):
    install(plugins, source)
    with use_catalog(Catalog()):
        with pytest.raises(PluginError, match=message):
            find_tasks(["echo"])
        assert find_tasks(["adding"]) == [tasks.adding()]


def test_a_pattern_leaves_out_a_broken_task(plugins):
    install(plugins, "raise OSError('no data')")
    with use_catalog(Catalog()):
        with pytest.warns(UserWarning, match="Task 'rnnkit-echo/echo' is left out: PluginError: .*no data"):
            assert tasks.adding() in find_tasks(["all"])
        with pytest.raises(PluginError, match="no data"):
            find_tasks(["*echo"])


def test_a_blocked_plugin_has_no_tasks(plugins):
    install(plugins)
    with use_catalog(Catalog(block=["rnnkit-echo"])):
        assert "rnnkit-echo/echo" not in list_tasks()
        with pytest.raises(BlockedKindError):
            find_tasks(["echo"])
        assert plugins.imported() == []


def test_the_builtin_tasks_come_from_entry_points():
    with use_catalog(Catalog()):
        assert find_tasks(["adding"]) == [tasks.adding()]
        assert [each.distribution for each in candidates_of(tasks.adding())] == ["rnnkit"]
