"""Commands of plugins: listed without an import, run by name, and named where they are broken."""

import json
from dataclasses import replace

import pytest

from rnnkit.catalog import current_catalog
from rnnkit.cli.group import COMPANIONS
from tests.helpers.commands import run, run_process

HELLO = """
import click
from rnnkit import hookimpl

@hookimpl
def register_commands(register):
    @click.command()
    @click.argument("name")
    def hello(name):
        click.echo(f"Hello, {name}.")

    register(hello)
"""
NOT_CLICK = """
from rnnkit import hookimpl

class Hello:
    name = "hello"

@hookimpl
def register_commands(register):
    register(Hello)
"""
METADATA = "Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\nSummary: Greets.\n"


@pytest.fixture
def install(plugins):
    def installed(source=HELLO, name="hello", distribution="rnnkit-hello"):
        return plugins.install(
            name, source=source, distribution=distribution, metadata=METADATA, group="rnnkit.commands"
        )

    return installed


def test_a_command_of_a_plugin_runs(install):
    install()
    result = run("hello", "world")
    assert (result.exit_code, result.stdout) == (0, "Hello, world.\n")
    assert run("rnnkit-hello/hello", "world").stdout == "Hello, world.\n"


def test_help_lists_it_with_the_summary_of_its_distribution_and_imports_no_plugin(install, plugins):
    module = install(source="raise RuntimeError('imported')")
    result = run("--help")
    assert result.exit_code == 0
    assert "  hello  Greets. (rnnkit-hello)\n" in result.stdout
    assert module not in plugins.imported()


def test_a_missing_command_of_our_other_distributions_says_what_to_install(monkeypatch):
    commands = current_catalog().commands
    nothing = replace(commands.resolve("card"), providers=())
    monkeypatch.setattr(type(commands), "resolve", lambda _self, _name: nothing)
    result = run("card", "lstm")
    assert result.exit_code == 2
    assert "The command 'card' is provided by rnnkit-cards, which is not installed: run pip install rnnkit-cards" in (
        " ".join(result.stderr.split())
    )


def test_the_distributions_of_missing_commands_provide_them():
    for command, distribution in COMPANIONS.items():
        assert current_catalog().commands.resolve(command).require().distribution == distribution


def test_help_has_no_section_for_plugins_where_there_is_none():
    assert "Commands of plugins" not in run("--help", RNNKIT_ALLOW_PLUGINS="none").stdout


def test_a_command_of_rnnkits_own_cannot_be_replaced(install):
    install(
        name="list",
        source=HELLO.replace("def hello(name)", "def list(name)").replace("register(hello)", "register(list)"),
    )
    assert json.loads(run("list", "lstm", "--json").stdout)
    assert "rnnkit-hello/list" in run("--help").stdout


def test_a_broken_command_says_whose_it_is(install):
    install(source="raise RuntimeError('out of luck')")
    result = run("hello", "world")
    assert result.exit_code == 1
    assert "distribution rnnkit-hello 1.0" in " ".join(result.stderr.split())
    assert "RuntimeError: out of luck" in " ".join(result.stderr.split())
    assert "To block it, add" in " ".join(result.stderr.split())


def test_what_is_not_a_click_command_is_refused(install):
    install(source=NOT_CLICK)
    result = run("hello")
    assert result.exit_code == 1
    assert "must be a click.Command" in " ".join(result.stderr.split())


def test_a_blocked_command_is_not_listed_and_says_why(install):
    install()
    assert "hello" not in run("--help", RNNKIT_BLOCK_PLUGINS="rnnkit-hello").stdout
    result = run("hello", "world", RNNKIT_BLOCK_PLUGINS="rnnkit-hello")
    assert result.exit_code == 1
    assert "blocked by RNNKIT_BLOCK_PLUGINS" in " ".join(result.stderr.split())


def test_a_misspelled_command_of_a_plugin_is_suggested(install):
    install()
    result = run("helo")
    assert result.exit_code == 2
    assert "Did you mean 'hello'?" in result.stderr


def test_no_command_of_a_plugin_is_imported_for_another(install):
    install(source="raise RuntimeError('imported')")
    done = run_process("list", "lstm")
    assert done.returncode == 0
