"""`rnnkit why`: explains which plugin a name resolves to, and why."""

from __future__ import annotations

from typing import Any

import click

from rnnkit import Provider, Resolution, current_catalog
from rnnkit._messages import describe_exception
from rnnkit._table import Column
from rnnkit.cli._kinds import load_provider
from rnnkit.cli.command import RnnkitCommand, json_option
from rnnkit.cli.completion import complete_kind
from rnnkit.cli.console import Console

COLUMNS = [
    Column("candidate"),
    Column("verdict"),
    Column("version"),
    Column("entry point"),
    Column("reason", wraps=True),
]


@click.command(cls=RnnkitCommand)
@click.argument("name", shell_complete=complete_kind)
@click.option(
    "--of",
    "noun",
    type=click.Choice(["kind", "readout", "command", "executor"]),
    default="kind",
    show_default=True,
    help="Category of NAME.",
)
@click.option("--load", is_flag=True, help="Load the plugins of the candidates, and run a small model of the kind.")
@json_option
@click.pass_obj
def command(console: Console, *, name: str, noun: str, load: bool, as_json: bool) -> None:
    """Explain which plugin a name resolves to, and why.

    Lists every candidate for NAME: the chosen one, and those that are shadowed, blocked, broken, or hidden by another
    version of their distribution.
    """
    index = current_catalog().indexes[noun]
    if load:
        for provider in index.resolve(name).providers:
            load_provider(provider)
    resolution = index.resolve(name)
    facts = _facts(resolution)
    is_chosen = any(each["verdict"] == "chosen" for each in facts["candidates"])
    if load and noun == "kind" and is_chosen:
        facts["executor"] = _executor(resolution.asked)
    if as_json:
        console.json(facts)
    else:
        _show(console, facts)
    if resolution.chosen is None or any(each["verdict"] == "broken" for each in facts["candidates"]):
        raise click.exceptions.Exit(1)


def _executor(kind: str) -> str:
    """Run a small model of a kind; return its executor, or the error."""
    import torch

    from rnnkit import RecurrentSpec, build_model

    try:
        model = build_model(RecurrentSpec(kind=kind, input_size=4, hidden_size=8))
        model(torch.zeros(2, 64, 4))  # for fewer steps, the built-in kinds keep torch's kernels
    except Exception as error:  # noqa: BLE001  # code of the plugin, which may raise anything
        return f"none: a small model raises {describe_exception(error)}"
    return model.backbone.executor or f"{type(model.backbone).__name__}.run"


def _facts(resolution: Resolution) -> dict[str, Any]:
    return {
        "name": resolution.asked,
        "resolves_to": resolution.chosen and resolution.chosen.name,
        "reason": resolution.reason,
        "candidates": [_candidate(each, resolution) for each in resolution.providers],
    }


def _candidate(provider: Provider, resolution: Resolution) -> dict[str, str]:
    candidate = provider.candidate
    verdict, reason = _verdict(provider, resolution)
    return {
        "candidate": candidate.name,
        "distribution": candidate.distribution,
        "version": candidate.version,
        "entry_point": candidate.value,
        "state": provider.status,
        "verdict": verdict,
        "reason": reason,
    }


def _verdict(provider: Provider, resolution: Resolution) -> tuple[str, str]:
    if provider.status in ("blocked", "hidden"):
        return provider.status, provider.note
    if resolution.chosen is None:
        return "ambiguous", provider.note
    if provider.candidate == resolution.old_name:
        return "old name", provider.note
    if provider.candidate != resolution.chosen:
        return "shadowed", provider.note
    return ("broken" if provider.status == "broken" else "chosen"), provider.note


def _show(console: Console, facts: dict[str, Any]) -> None:
    console.text(f"{facts['name']} resolves to {facts['resolves_to'] or 'nothing'}: {facts['reason']}")
    if "executor" in facts:
        console.text(f"Executor of a small model: {facts['executor']}")
    if facts["candidates"]:
        console.text("")
        console.table(COLUMNS, facts["candidates"])
