"""All commands, and the way to each."""

from __future__ import annotations

from importlib import import_module

import click

from rnnkit._messages import did_you_mean
from rnnkit._version import __version__

# What `rnnkit --help` says of each command: the first line of its own help, here so that none need be imported.
SUMMARIES = {
    "list": "List the installed kinds.",
    "show": "Show a kind: its equation, options and size.",
    "why": "Explain which kind a name resolves to.",
    "doctor": "Check the installation: load each plugin in its own process.",
    "init": "Write a commented spec file.",
    "validate": "Validate spec files.",
    "schema": "Write the JSON Schema of spec files.",
    "summary": "Show layers, parameters, memory and multiply-adds.",
    "verify": "Rebuild a saved model and compare its outputs.",
    "check": "Run the conformance checks on a kind.",
    "page": "Write the documentation page of a kind.",
    "new-plugin": "Create a plugin project: a kind, with its tests.",
}
EPILOG = """
Exit status: 0 success; 1 negative result (unknown or existing name, broken plugin, invalid or unreadable file, drifted
outputs, failed check); 2 usage error.

Shell completion: eval "$(_RNNKIT_COMPLETE=bash_source rnnkit)", or zsh_source, or fish_source.
"""


class Commands(click.Group):
    """Imports the module of a command when it is asked for, and that one alone."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002  # as click has it
        return list(SUMMARIES)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name in SUMMARIES:
            command: click.Command = import_module(module_of(cmd_name)).command
            return command
        if ctx.resilient_parsing or cmd_name.startswith("-"):
            return None
        raise click.UsageError(f"There is no command {cmd_name!r}.{did_you_mean(cmd_name, SUMMARIES)}", ctx)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002  # likewise
        with formatter.section("Commands"):
            formatter.write_dl(list(SUMMARIES.items()))


def module_of(command: str) -> str:
    """The module of a command, whose name may have dashes."""
    return f"rnnkit.cli.{command.replace('-', '_')}"


@click.group(cls=Commands, epilog=EPILOG, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="rnnkit", message="%(prog)s %(version)s")
def commands() -> None:
    """Recurrent PyTorch models: inspect kinds, spec files and saved models."""
