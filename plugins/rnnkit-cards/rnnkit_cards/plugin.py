"""Registers the command `rnnkit card`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from rnnkit import hookimpl


@hookimpl
def register_commands(register: Callable[[Any], None]) -> None:
    from rnnkit_cards._command import command

    register(command)
