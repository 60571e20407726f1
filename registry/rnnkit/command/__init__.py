"""The command `rnnkit`: one module for each of its commands, imported when that command runs."""
