"""`rnnkit verify`: rebuilds a saved model and compares its outputs with the recorded ones."""

from __future__ import annotations

import math
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from rnnkit.cli.command import RnnkitCommand, file_argument, json_option
from rnnkit.cli.console import Console


@click.command(cls=RnnkitCommand)
@file_argument
@click.option("--device", help="Device to build it on: cpu, cuda:1, mps; default: torch's.")
@json_option
@click.pass_obj
def command(console: Console, *, file: Path, device: str | None, as_json: bool) -> None:
    """Rebuild a saved model and compare its outputs.

    FILE, a .safetensors file, records the outputs for a fixed input when the model was saved. Exit status 1: the
    outputs have drifted, or the file cannot be read.
    """
    from rnnkit.files.checkpoint.checkpoint_file import verify_model

    _check_device(device)
    verification = verify_model(file, device=device)
    facts = asdict(verification) | {"differences": [each._asdict() for each in verification.differences]}
    console.json(_finite(facts)) if as_json else _show(console, facts)
    if not verification.ok:
        raise click.exceptions.Exit(1)


def _check_device(name: str | None) -> None:
    import torch

    try:
        torch.empty(0, device=name)
    except (RuntimeError, AssertionError) as error:  # no such device, or not supported by this build of torch
        raise click.BadParameter(str(error), param_hint="'--device'") from error


def _finite(facts: dict[str, Any]) -> dict[str, Any]:
    """Replace an infinite drift, which JSON cannot represent, by null; `ok` is false then."""
    return {name: None if fact == math.inf else fact for name, fact in facts.items()}


def _show(console: Console, facts: dict[str, Any]) -> None:
    console.text(f"{facts['path']}: {_verdict(facts)}")
    for each in facts["differences"]:
        console.text(f"{each['name']}: {each['saved']} when saved, {each['installed']} now", indent=2)


def _verdict(facts: dict[str, Any]) -> str:
    if facts["reason"]:
        return f"unknown. {facts['reason']}"
    if facts["drift"] == 0:
        return "ok. The outputs are identical to those when it was saved"
    return (
        f"{'ok' if facts['ok'] else 'drifted'}. The outputs differ by {facts['relative_drift']:.1e}, relative to the "
        f"largest output; the tolerance is {facts['tolerance']:.1e}"
    )
