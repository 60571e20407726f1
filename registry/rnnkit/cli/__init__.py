"""The command `rnnkit`: one module for each subcommand, imported when that subcommand runs.

The commands of plugins may use `rnnkit.cli.command`, `rnnkit.cli.console` and `rnnkit.cli.completion`.
"""
