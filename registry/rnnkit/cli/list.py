"""`rnnkit list`: lists the installed kinds."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import click

from rnnkit import Provider, current_catalog
from rnnkit._messages import as_text, did_you_mean
from rnnkit._table import Column
from rnnkit.catalog import LOCAL, OWN, Candidate
from rnnkit.cli._kinds import load_provider
from rnnkit.cli.command import RnnkitCommand, json_option
from rnnkit.cli.completion import complete_kind
from rnnkit.cli.console import Console

COLUMNS = [
    Column("kind"),
    Column("distribution"),
    Column("version"),
    Column("state"),
    Column("description", wraps=True),
]


@click.command(cls=RnnkitCommand)
@click.argument("pattern", required=False, shell_complete=complete_kind)
@click.option("--load", is_flag=True, help="Load the plugins, to show version, summary and errors.")
@click.option("--all", "with_blocked", is_flag=True, help="Include blocked kinds.")
@json_option
@click.pass_obj
def command(console: Console, *, pattern: str | None, load: bool, with_blocked: bool, as_json: bool) -> None:
    """List the installed kinds.

    PATTERN is a part of the name, or a shell pattern for the whole name: 'lstm', '*cell', 'rnnkit-nbrc/*'.
    """
    matching = _matching(current_catalog().providers(), pattern)
    shown = [each for each in matching if with_blocked or each.status != "blocked"]
    facts = [_facts(each, load=load) for each in shown]
    if as_json:
        console.json(facts)
    elif facts:
        console.table(
            COLUMNS, [{**row, "description": f"{row.get('summary') or ''} {row['note']}".strip()} for row in facts]
        )
    _note_hidden(console, len(matching) - len(shown))
    if not shown:
        console.note(f"Error: {_no_match(pattern, matching)}")
        raise click.exceptions.Exit(1)


def _matching(providers: Iterable[Provider], pattern: str | None) -> list[Provider]:
    pattern = "*" if pattern is None else pattern if set(pattern) & set("*?[") else f"*{pattern}*"
    found = [each for each in providers if each.candidate.matches(pattern)]
    return sorted(found, key=lambda each: (each.candidate.bare_name, each.candidate.name))


def _facts(provider: Provider, *, load: bool) -> dict[str, Any]:
    """Return a row of the table; with version and summary if the plugin may be loaded."""
    candidate = provider.candidate
    facts: dict[str, Any] = {"kind": candidate.name, "distribution": candidate.distribution}
    if load:
        provider, kind = load_provider(provider)
        facts |= {"version": candidate.version, "summary": kind and as_text(kind.summary)}
    note = provider.note or _note(candidate)
    return facts | {"state": provider.status, "note": note}


def _note(candidate: Candidate) -> str:
    """Explain a bare name that does not resolve to this third-party kind."""
    if candidate.distribution in (OWN, LOCAL):
        return ""
    bare_name = candidate.bare_name
    chosen = current_catalog().resolve(bare_name).chosen
    if chosen is None:
        return f"The bare name {bare_name!r} is ambiguous."
    return "" if chosen.name == candidate.name else f"The bare name {bare_name!r} resolves to {chosen.name!r}."


def _note_hidden(console: Console, blocked: int) -> None:
    if blocked:
        kinds = "1 blocked kind is" if blocked == 1 else f"{blocked} blocked kinds are"
        console.note(f"{kinds} not listed; use --all to list all kinds")
    for problem in current_catalog().problems():
        console.note(f"Warning: {problem}")


def _no_match(pattern: str | None, blocked: list[Provider]) -> str:
    if blocked:
        return "all matching kinds are blocked"
    if hidden := _matching(current_catalog().hidden(), pattern):
        return current_catalog().resolve(hidden[0].candidate.name).reason
    if pattern is None:
        return current_catalog().resolve("").reason
    names = [name for each in current_catalog().providers() for name in (each.candidate.bare_name, each.candidate.name)]
    return f"no kind matches {pattern!r}.{did_you_mean(pattern, names)}"
