"""`rnnkit list`: which kinds are installed."""

from __future__ import annotations

from typing import Any

import click

from rnnkit import Provider, current_catalog
from rnnkit._messages import did_you_mean
from rnnkit.catalog import LOCAL, OWN, Candidate
from rnnkit.cli import loading
from rnnkit.cli.completion import complete_kind
from rnnkit.cli.console import Console
from rnnkit.cli.escape import as_text
from rnnkit.cli.result import CommandResult, json_option
from rnnkit.cli.table import Column

COLUMNS = [
    Column("kind"),
    Column("distribution"),
    Column("version"),
    Column("state"),
    Column("about", wraps=True),
]


@click.command(cls=CommandResult)
@click.argument("pattern", required=False, shell_complete=complete_kind)
@click.option("--load", is_flag=True, help="Load the plugins too: version, summary, and what is broken.")
@click.option("--all", "with_blocked", is_flag=True, help="Show kinds that are turned off too, and by what.")
@json_option
@click.pass_obj
def command(screen: Console, *, pattern: str | None, load: bool, with_blocked: bool, as_json: bool) -> None:
    """Which kinds are installed.

    PATTERN is a part of the name, or a pattern as in a shell, for the whole name: 'lstm', '*cell', 'rnnkit-mgu/*'.
    """
    matching = _matching(pattern)
    shown = [each for each in matching if with_blocked or each.status != "blocked"]
    facts = [_facts(each, load=load) for each in shown]
    if as_json:
        screen.json(facts)
    elif facts:
        screen.table(COLUMNS, [{**row, "about": _about(row)} for row in facts])
    _tell_what_is_not_shown(screen, len(matching) - len(shown))
    if not shown:
        screen.note(f"Error: {_nothing(pattern, matching)}")
        raise click.exceptions.Exit(1)


def _matching(pattern: str | None) -> list[Provider]:
    pattern = pattern if pattern is None or set(pattern) & set("*?[") else f"*{pattern}*"
    providers = current_catalog().providers()
    found = [each for each in providers if pattern is None or each.candidate.matches(pattern)]
    return sorted(found, key=lambda each: (each.candidate.kind, each.candidate.name))


def _facts(provider: Provider, *, load: bool) -> dict[str, Any]:
    """What is known of a kind; with its version and summary if it may be loaded for that."""
    candidate = provider.candidate
    facts: dict[str, Any] = {"kind": candidate.name, "distribution": candidate.distribution}
    if load:
        provider, kind = loading.load(provider)
        facts |= {"version": candidate.version, "summary": kind and as_text(kind.summary)}
    note = provider.note or _note(candidate)
    return facts | {"state": provider.status, "note": note}


def _about(facts: dict[str, Any]) -> str:
    return " ".join(filter(None, [facts.get("summary"), facts["note"]]))


def _note(candidate: Candidate) -> str:
    """What the bare name of a third party's kind stands for."""
    if candidate.distribution in (OWN, LOCAL):
        return ""
    chosen = current_catalog().resolve(candidate.kind).chosen
    if chosen is None:
        return f"{candidate.kind!r} alone is ambiguous."
    return "" if chosen.name == candidate.name else f"{candidate.kind!r} alone is that of {chosen.distribution}."


def _tell_what_is_not_shown(screen: Console, blocked: int) -> None:
    if blocked:
        what = "1 kind is" if blocked == 1 else f"{blocked} kinds are"
        screen.note(f"{what} turned off: add --all to see which, and by what")
    for problem in current_catalog().problems():
        screen.note(f"Warning: {problem}")


def _nothing(pattern: str | None, blocked: list[Provider]) -> str:
    if blocked:
        return "all kinds that match are turned off"
    if pattern is None:
        return current_catalog().resolve("").reason
    names = [name for each in current_catalog().providers() for name in (each.candidate.kind, each.candidate.name)]
    return f"no kind matches {pattern!r}.{did_you_mean(pattern, names)}"
