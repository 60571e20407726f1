"""`rnnkit doctor`: loads each plugin in a process of its own."""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping
from importlib.metadata import EntryPoint, PackageNotFoundError, version
from typing import Any

import click

from rnnkit import current_catalog
from rnnkit._messages import did_you_mean
from rnnkit._version import __version__
from rnnkit.catalog import Policy, candidate_of, entry_points_by_distribution, normalized
from rnnkit.cli.completion import complete_distribution
from rnnkit.cli.console import Console
from rnnkit.cli.doctor_runner import examine
from rnnkit.cli.result import CommandResult, json_option
from rnnkit.cli.table import Column

COLUMNS = [
    Column("distribution"),
    Column("version"),
    Column("kinds", right=True),
    Column("state"),
    Column("seconds", right=True),
    Column("torch", right=True),
    Column("modules", right=True),
]

_EXCERPT = 60  # characters of what a plugin prints


@click.command(cls=CommandResult)
@click.argument("distribution", required=False, shell_complete=complete_distribution)
@click.option(
    "--timeout",
    type=click.FloatRange(min=0, min_open=True),
    default=60,
    show_default=True,
    help="Seconds after which a plugin is stopped.",
)
@click.option("--strict", is_flag=True, help="Exit with status 1 if something is wrong.")
@json_option
@click.pass_obj
def command(screen: Console, *, distribution: str | None, timeout: float, strict: bool, as_json: bool) -> None:
    """Load each plugin in a process of its own.

    Shows what is wrong with it, how long it takes to load, how much of that is torch, and how many modules it imports.
    All plugins, or those of DISTRIBUTION. A plugin that hangs, prints or ends its process does no harm.
    """
    facts: dict[str, Any] = {
        "versions": _versions(),
        "environment": {name: value for name, value in sorted(os.environ.items()) if name.startswith("RNNKIT_")},
        "distributions": _examined(screen, _chosen(distribution), timeout),
        "unreadable": [str(problem) for problem in current_catalog().problems()],
    }
    screen.json(facts) if as_json else _show(screen, facts)
    if strict and (facts["unreadable"] or any(each["state"] == "broken" for each in facts["distributions"])):
        raise click.exceptions.Exit(1)


def _versions() -> dict[str, str]:
    versions = {"Python": platform.python_version(), "rnnkit": __version__}
    return versions | {name: _version(name) for name in ("torch", "pydantic")}


def _version(distribution: str) -> str:
    try:
        return version(distribution)
    except PackageNotFoundError:
        return "not installed"


def _chosen(distribution: str | None) -> dict[str, list[EntryPoint]]:
    installed = entry_points_by_distribution()
    if distribution is None:
        return installed
    name = normalized(distribution)
    if name not in installed:
        raise click.ClickException(
            f"No distribution {distribution!r} that provides kinds is installed.{did_you_mean(name, installed)}"
        )
    return {name: installed[name]}


def _examined(screen: Console, chosen: Mapping[str, list[EntryPoint]], timeout: float) -> list[dict[str, Any]]:
    policy = Policy.from_environment()
    blocked = {name: objection for name in chosen if (objection := policy.objection(name))}
    usable = [name for name in chosen if name not in blocked]
    screen.progress(f"Loading plugins of {len(usable)} distributions, each in a process of its own ...")
    found = dict(zip(usable, examine(usable, timeout), strict=True))
    return [
        {"distribution": name, "version": candidate_of(entries[0]).version, "kinds": [entry.name for entry in entries]}
        | (_blocked(blocked[name]) if name in blocked else _tried(found[name]))
        for name, entries in chosen.items()
    ]


def _blocked(objection: str) -> dict[str, Any]:
    return {"state": "blocked", "problems": [], "remarks": [objection]}


def _tried(found: dict[str, Any]) -> dict[str, Any]:
    prints = found["prints"]
    excerpt = prints if len(prints) <= _EXCERPT else f"{prints[:_EXCERPT]}..."
    remarks = [f"it prints while it is being loaded: {excerpt!r}"] if prints else []
    measured = {name: found.get(name) for name in ("seconds", "seconds_of_torch", "modules")}
    return {
        "state": "broken" if found["problems"] else "ok",
        **measured,
        "problems": found["problems"],
        "remarks": remarks,
    }


def _show(screen: Console, facts: dict[str, Any]) -> None:
    screen.text(", ".join(f"{name} {version}" for name, version in facts["versions"].items()))
    for name, value in facts["environment"].items():
        screen.text(f"{name}={value}")
    screen.text("")
    screen.table(COLUMNS, [_row(each) for each in facts["distributions"]])
    for each in facts["distributions"]:
        for line in [*each["problems"], *each["remarks"]]:
            screen.text(f"\n{each['distribution']}: {line}")
    for problem in facts["unreadable"]:
        screen.text(f"\n{problem}")


def _row(facts: dict[str, Any]) -> dict[str, Any]:
    times = {"seconds": facts.get("seconds"), "torch": facts.get("seconds_of_torch")}
    shown = {name: None if time is None else f"{time:.2f}" for name, time in times.items()}
    return {**facts, "kinds": len(facts["kinds"]), **shown}
