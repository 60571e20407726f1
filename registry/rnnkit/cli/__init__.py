"""The command `rnnkit`: one module for each subcommand, imported when that subcommand runs."""
