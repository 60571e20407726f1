"""`rnnkit verify`: rebuilds a saved model, and compares its outputs with those that it had."""

from __future__ import annotations

import math
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from rnnkit.cli.console import Console
from rnnkit.cli.result import CommandResult, file_argument, json_option


@click.command(cls=CommandResult)
@file_argument
@click.option("--device", help="Where to build it: cpu, cuda:1, mps; torch's default if left out.")
@json_option
@click.pass_obj
def command(screen: Console, *, file: Path, device: str | None, as_json: bool) -> None:
    """Rebuild a saved model and compare its outputs.

    The outputs for a fixed input are held against those that FILE, a .safetensors file, had when it was saved. Exit
    status 1: they have drifted, or the file cannot be read.
    """
    from rnnkit.files.checkpoint.checkpoint_file import verify_model

    _check_device(device)
    verification = verify_model(file, device=device)
    facts = asdict(verification) | {"differences": [each._asdict() for each in verification.differences]}
    screen.json(_finite(facts)) if as_json else _show(screen, facts)
    if not verification.ok:
        raise click.exceptions.Exit(1)


def _check_device(name: str | None) -> None:
    import torch

    try:
        torch.empty(0, device=name)
    except (RuntimeError, AssertionError) as error:  # there is no such device, or none in this build of torch
        raise click.BadParameter(str(error), param_hint="'--device'") from error


def _finite(facts: dict[str, Any]) -> dict[str, Any]:
    """The facts as JSON can have them: a drift that is infinite is null, and `ok` says that it is too much."""
    return {name: None if fact == math.inf else fact for name, fact in facts.items()}


def _show(screen: Console, facts: dict[str, Any]) -> None:
    screen.text(f"{facts['path']}: {_verdict(facts)}")
    for each in facts["differences"]:
        screen.text(f"{each['name']}: {each['saved']} when it was saved, {each['installed']} here", indent=2)


def _verdict(facts: dict[str, Any]) -> str:
    if facts["reason"]:
        return f"not known. {facts['reason']}"
    if facts["drift"] == 0:
        return "ok. The outputs are the very same as when it was saved"
    return (
        f"{'ok' if facts['ok'] else 'drifted'}. The outputs differ by {facts['relative_drift']:.1e}, relative to the "
        f"largest of them; up to {facts['tolerance']:.1e} is rounding"
    )
