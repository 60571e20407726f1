"""`rnnkit why`: what a name stands for here, and why."""

from __future__ import annotations

from typing import Any

import click

from rnnkit import Provider, Resolution, resolve_kind
from rnnkit.cli import loading
from rnnkit.cli.completion import complete_kind
from rnnkit.cli.console import Console
from rnnkit.cli.result import CommandResult, json_option
from rnnkit.cli.table import Column

COLUMNS = [
    Column("candidate"),
    Column("verdict"),
    Column("version"),
    Column("entry point"),
    Column("why", wraps=True),
]


@click.command(cls=CommandResult)
@click.argument("kind", shell_complete=complete_kind)
@click.option("--load", is_flag=True, help="Load the candidates' plugins too, to see which are broken.")
@json_option
@click.pass_obj
def command(screen: Console, *, kind: str, load: bool, as_json: bool) -> None:
    """What a name stands for, and why.

    Shows every candidate for the name KIND: which one wins, and which are shadowed, blocked or broken.
    """
    if load:
        for provider in resolve_kind(kind).providers:
            loading.load(provider)
    resolution = resolve_kind(kind)
    facts = _facts(resolution)
    if as_json:
        screen.json(facts)
    else:
        _show(screen, facts)
    if resolution.chosen is None or any(each["verdict"] == "broken" for each in facts["candidates"]):
        raise click.exceptions.Exit(1)


def _facts(resolution: Resolution) -> dict[str, Any]:
    return {
        "asked": resolution.asked,
        "stands_for": resolution.chosen and resolution.chosen.name,
        "why": resolution.reason,
        "candidates": [_candidate(each, resolution) for each in resolution.providers],
    }


def _candidate(provider: Provider, resolution: Resolution) -> dict[str, str]:
    candidate = provider.candidate
    verdict, why = _verdict(provider, resolution)
    return {
        "candidate": candidate.name,
        "distribution": candidate.distribution,
        "version": candidate.version,
        "entry_point": candidate.value,
        "state": provider.status,
        "verdict": verdict,
        "why": why,
    }


def _verdict(provider: Provider, resolution: Resolution) -> tuple[str, str]:
    if provider.status == "blocked":
        return "blocked", provider.note
    if resolution.chosen is None:
        return "ambiguous", provider.note
    if provider.candidate == resolution.old_name:
        return "old name", provider.note
    if provider.candidate != resolution.chosen:
        return "shadowed", provider.note
    return ("broken" if provider.status == "broken" else "chosen"), provider.note


def _show(screen: Console, facts: dict[str, Any]) -> None:
    screen.text(f"{facts['asked']} stands for {facts['stands_for'] or 'nothing'}: {facts['why']}")
    if facts["candidates"]:
        screen.text("")
        screen.table(COLUMNS, facts["candidates"])
