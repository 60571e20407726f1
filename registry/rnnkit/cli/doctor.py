"""`rnnkit doctor`: checks the installation, and loads each plugin in its own process."""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import click

from rnnkit import Provider, current_catalog
from rnnkit._messages import did_you_mean, first_lines
from rnnkit._table import Column
from rnnkit._version import __version__
from rnnkit.catalog import Candidate, Policy, candidates_by_distribution, normalized
from rnnkit.cli._doctor_runner import examine, torch_import_error
from rnnkit.cli.command import RnnkitCommand, json_option
from rnnkit.cli.completion import complete_distribution
from rnnkit.cli.console import Console

COLUMNS = [
    Column("distribution"),
    Column("version"),
    Column("entry points", right=True),
    Column("state"),
    Column("seconds", right=True),
    Column("torch", right=True),
    Column("modules", right=True),
]

_EXCERPT = 60  # characters of the text that a plugin prints


@click.command(cls=RnnkitCommand)
@click.argument("distribution", required=False, shell_complete=complete_distribution)
@click.option(
    "--timeout",
    type=click.FloatRange(min=0, min_open=True),
    default=60,
    show_default=True,
    help="Seconds after which the process of a plugin is stopped.",
)
@click.option("--strict", is_flag=True, help="Exit with status 1 if there are problems.")
@json_option
@click.pass_obj
def command(console: Console, *, distribution: str | None, timeout: float, strict: bool, as_json: bool) -> None:
    """Check the installation: load each plugin in its own process.

    Shows the problems of each plugin, its load time, how much of that is torch, and how many modules it imports. Names
    what a plugin changes in other packages and in the settings of the process, the installed distributions that cannot
    be read, and those that another version of them hides. All plugins are
    loaded, or those of DISTRIBUTION. A plugin that hangs, prints or exits does no harm.
    """
    indexes = current_catalog().indexes.values()
    hidden = [each for index in indexes for each in index.hidden()]
    unreadable = [*dict.fromkeys(str(problem) for index in indexes for problem in index.problems())]
    chosen = _chosen(distribution, hidden, unreadable)
    torch_error = torch_import_error() if unreadable else ""
    facts: dict[str, Any] = {
        "versions": _versions(),
        "environment": {name: value for name, value in sorted(os.environ.items()) if name.startswith("RNNKIT_")},
        "distributions": _examined(console, chosen, timeout, ignore_entry_points=bool(torch_error)),
        "unreadable": unreadable,
        "hidden": [str(each) for each in hidden],
        "torch_import_error": torch_error,
    }
    console.json(facts) if as_json else _show(console, facts)
    if strict and (unreadable or hidden or any(each["state"] == "broken" for each in facts["distributions"])):
        raise click.exceptions.Exit(1)


def _versions() -> dict[str, str]:
    versions = {"Python": platform.python_version(), "rnnkit": __version__}
    return versions | {name: _version(name) for name in ("torch", "pydantic")}


def _version(distribution: str) -> str:
    try:
        return version(distribution)
    except PackageNotFoundError:
        return "not installed"


def _chosen(distribution: str | None, hidden: list[Provider], unreadable: list[str]) -> dict[str, list[Candidate]]:
    installed = candidates_by_distribution()
    if distribution is None:
        return installed
    name = normalized(distribution)
    if name not in {*installed, *(each.candidate.distribution for each in hidden)}:
        problem = f"No installed distribution {distribution!r} provides a plugin.{did_you_mean(name, installed)}"
        raise click.ClickException("\n".join([problem, *first_lines(unreadable, "problem")]))
    return {each: candidates for each, candidates in installed.items() if each == name}


def _examined(
    console: Console, chosen: Mapping[str, list[Candidate]], timeout: float, *, ignore_entry_points: bool
) -> list[dict[str, Any]]:
    policy = Policy.from_environment()
    blocked = {name: objection for name in chosen if (objection := policy.objection(name))}
    usable = [name for name in chosen if name not in blocked]
    console.progress(f"Loading the plugins of {len(usable)} distributions ...")
    found = dict(zip(usable, examine(usable, timeout, ignore_entry_points=ignore_entry_points), strict=True))
    return [
        {"distribution": name, "version": candidates[0].version, **_names(candidates)}
        | ({"state": "blocked", "problems": [], "notes": [blocked[name]]} if name in blocked else _result(found[name]))
        for name, candidates in chosen.items()
    ]


def _names(candidates: list[Candidate]) -> dict[str, list[str]]:
    return {
        f"{noun}s": [each.bare_name for each in candidates if each.category.noun == noun]
        for noun in current_catalog().indexes
    }


def _result(found: dict[str, Any]) -> dict[str, Any]:
    printed = found["printed"]
    excerpt = printed if len(printed) <= _EXCERPT else f"{printed[:_EXCERPT]}..."
    measured = {name: found.get(name) for name in ("seconds", "torch_seconds", "modules")}
    return {
        "state": "broken" if found["problems"] else "ok",
        **measured,
        "problems": found["problems"],
        "notes": [*found.get("notes", []), *([f"it prints while loading: {excerpt!r}"] if printed else [])],
    }


def _show(console: Console, facts: dict[str, Any]) -> None:
    console.text(", ".join(f"{name} {version}" for name, version in facts["versions"].items()))
    for name, value in facts["environment"].items():
        console.text(f"{name}={value}")
    if facts["distributions"]:
        console.text("")
        console.table(COLUMNS, [_row(each) for each in facts["distributions"]])
    for each in facts["distributions"]:
        for line in [*each["problems"], *each["notes"]]:
            console.text(f"\n{each['distribution']}: {line}")
    for problem in [*facts["unreadable"], *facts["hidden"]]:
        console.text(f"\n{problem}")
    if facts["torch_import_error"]:
        console.text(f"\n{_torch_advice(facts['torch_import_error'])}")


def _torch_advice(error: str) -> str:
    return (
        f"`import torch` fails: {error}. torch and pydantic read the entry points of all installed distributions, so "
        "no model can be built until each distribution that cannot be read is reinstalled or removed. The plugins "
        "above were loaded with those entry points ignored."
    )


def _row(facts: dict[str, Any]) -> dict[str, Any]:
    times = {"seconds": facts.get("seconds"), "torch": facts.get("torch_seconds")}
    shown = {name: None if time is None else f"{time:.2f}" for name, time in times.items()}
    entry_points = sum(len(facts[f"{noun}s"]) for noun in current_catalog().indexes)
    return {**facts, "entry_points": entry_points, **shown}
