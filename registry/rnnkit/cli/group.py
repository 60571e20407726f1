"""All commands, and the way to each."""

from __future__ import annotations

from importlib import import_module

import click
from click.shell_completion import CompletionItem

from rnnkit._messages import did_you_mean, short_repr
from rnnkit._version import __version__
from rnnkit.catalog import Candidate, current_catalog
from rnnkit.cli.command import CommandError
from rnnkit.errors import RnnkitError

# The summaries in `rnnkit --help`: the first line of each command's help, here so that no command is imported for it.
SUMMARIES = {
    "list": "List the installed kinds.",
    "show": "Show a kind: its equation, options and size.",
    "why": "Explain which plugin a name resolves to, and why.",
    "doctor": "Check the installation: load each plugin in its own process.",
    "init": "Write a commented spec file.",
    "validate": "Validate spec files.",
    "schema": "Write the JSON Schema of spec files.",
    "summary": "Show layers, parameters, memory and multiply-adds.",
    "export": "Export a saved model to ONNX or to a program of torch.",
    "verify": "Rebuild a saved model and compare its outputs.",
    "compare": "Train kinds on tasks, and compare them.",
    "check": "Run the conformance checks on a kind.",
    "new-plugin": "Create a plugin project: a kind, with its tests.",
}
# Commands of our other distributions, to say what to install where one is missing.
COMPANIONS = {"card": "rnnkit-cards"}
EPILOG = """
Exit status: 0 success; 1 negative result (unknown or existing name, broken plugin, invalid or unreadable file, drifted
outputs, failed check); 2 usage error.

Shell completion: eval "$(_RNNKIT_COMPLETE=bash_source rnnkit)", or zsh_source, or fish_source.
"""


class Commands(click.Group):
    """Imports the module, or the plugin, of a command when it is asked for, and no other."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return [*SUMMARIES] if ctx.resilient_parsing else [*SUMMARIES, *_plugin_commands()]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name in SUMMARIES:
            command: click.Command = import_module(module_of(cmd_name)).command
            return command
        if current_catalog().commands.resolve(cmd_name).providers:
            try:
                return _plugin_command(cmd_name)
            except CommandError:
                if not ctx.resilient_parsing:  # a shell completes its arguments
                    raise
        if ctx.resilient_parsing or cmd_name.startswith("-"):
            return None
        if cmd_name in COMPANIONS:
            companion = COMPANIONS[cmd_name]
            raise click.UsageError(
                f"The command {cmd_name!r} is provided by {companion}, which is not installed: "
                f"run pip install {companion}",
                ctx,
            )
        known = [*SUMMARIES, *_plugin_commands()]
        raise click.UsageError(f"There is no command {cmd_name!r}.{did_you_mean(cmd_name, known)}", ctx)

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Complete names without importing a plugin."""
        of_plugins = [CompletionItem(name) for name in _plugin_commands() if name.startswith(incomplete)]
        return [*super().shell_complete(ctx, incomplete), *of_plugins]

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002  # likewise
        with formatter.section("Commands"):
            formatter.write_dl(list(SUMMARIES.items()))
        if found := _plugin_commands():
            with formatter.section("Commands of plugins"):
                formatter.write_dl(list(found.items()))


def _plugin_commands() -> dict[str, str]:
    """The commands of plugins, with the summary and the name of their distributions. Imports no plugin."""
    commands = current_catalog().commands
    found: dict[str, str] = {}
    for name in commands.names():
        candidate = commands.resolve(name).require()
        is_clear = commands.resolve(candidate.bare_name).chosen is not None and candidate.bare_name not in SUMMARIES
        found[candidate.bare_name if is_clear else name] = _summary(candidate)
    return found


def _summary(candidate: Candidate) -> str:
    distribution = None if candidate.entry is None else candidate.entry.dist
    summary = "" if distribution is None else distribution.metadata["Summary"] or ""
    return " ".join(filter(None, [summary, f"({candidate.distribution})"]))


def _plugin_command(name: str) -> click.Command:
    try:
        command = current_catalog().commands.get(name)
    except RnnkitError as error:
        raise CommandError(str(error)) from error
    if not isinstance(command, click.Command):
        raise CommandError(f"The command {name!r} must be a click.Command, but is {short_repr(command)}")
    return command


def module_of(command: str) -> str:
    """The module of a command, whose name may have dashes."""
    return f"rnnkit.cli.{command.replace('-', '_')}"


@click.group(cls=Commands, epilog=EPILOG, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="rnnkit", message="%(prog)s %(version)s")
def commands() -> None:
    """Recurrent PyTorch models: inspect kinds, spec files and saved models."""
