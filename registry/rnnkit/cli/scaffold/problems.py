"""What speaks against a new plugin of some name: what is wrong with the name, and who has it already."""

from __future__ import annotations

import keyword
import re
import sys
from collections.abc import Iterator
from importlib.metadata import EntryPoint, PackageNotFoundError, distribution
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

import rnnkit
from rnnkit._messages import join_quoted, short_repr
from rnnkit.catalog import LOCAL, OWN, UNKNOWN, candidate_of, installed_entry_points, normalized
from rnnkit.cli.scaffold.names import Names, module_of, names_of

_NAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?")  # of a distribution, as the packaging standards have it
_KIND = re.compile(r"[A-Za-z][A-Za-z0-9_]*")
_LONGEST_KIND = 64
_NO_DISTRIBUTIONS = {LOCAL, UNKNOWN}
_RUN_BY_TOOLS = {"conftest", "setup", "tests"}  # what pytest and pip look for in the folder of a project
_OTHER_NAME, _OTHER_KIND = "choose another NAME", "name another with --kind"


class Objection(NamedTuple):
    """One thing that speaks against a new plugin.

    Attributes:
        message: what it is, and what to do.
        misuse: whether the name is wrong by itself, whatever there is here already.
    """

    message: str
    misuse: bool = False


def objections(name: str, kind: str | None, parent: Path) -> list[Objection]:
    """All that speaks against a new plugin, in the order of the arguments. Imports nothing of what is installed.

    Args:
        name: of the distribution.
        kind: its kind; None: called as the distribution is.
        parent: where its folder would be.
    """
    return [*_to_name(name), *_to_kind(kind, name), *_to_folder(parent, name)]


def _to_name(name: str) -> Iterator[Objection]:
    if _NAME.fullmatch(name):
        yield from _to_distribution(name)
        yield from _to_module(name)
    else:
        rule = "letters, digits, and between them '-', '_' and '.'"
        yield Objection(f"{short_repr(name)} is no name for a distribution ({rule}): {_OTHER_NAME}", misuse=True)


def _to_distribution(name: str) -> Iterator[Objection]:
    if normalized(name) in _NO_DISTRIBUTIONS:
        yield Objection(f"{name!r} is what rnnkit says where there is no distribution: {_OTHER_NAME}", misuse=True)
    elif _is_installed(name):
        yield Objection(f"A distribution {name!r} is installed here already: {_OTHER_NAME}, or uninstall it first")


def _is_installed(name: str) -> bool:
    try:
        distribution(name)
    except PackageNotFoundError:
        return False
    return True


def _to_module(name: str) -> Iterator[Objection]:
    module = module_of(name)
    way_out = _OTHER_NAME if module.startswith("rnnkit") else f"{_OTHER_NAME}, such as 'rnnkit-{normalized(name)}'"
    if not module.isidentifier() or keyword.iskeyword(module):
        yield Objection(f"A module cannot be called {module!r} in Python: {way_out}", misuse=True)
    elif module in _RUN_BY_TOOLS:
        yield Objection(f"A file '{module}.py' means something else to pytest or pip: {way_out}", misuse=True)
    elif not _is_installed(name) and _can_be_imported(module):
        yield Objection(f"A module {module!r} is here already, and one of the two would hide the other: {way_out}")


def _can_be_imported(module: str) -> bool:
    return module in sys.stdlib_module_names or module in sys.modules or find_spec(module) is not None


def _to_kind(kind: str | None, name: str) -> Iterator[Objection]:
    if kind is None and not _NAME.fullmatch(name):  # which says nothing of a kind
        return
    kind = names_of(name, kind).kind
    wrong, providers = _wrong_with(kind), _providers(kind)
    if wrong:
        yield Objection(f"The kind {short_repr(kind)} {wrong}: {_OTHER_KIND}", misuse=True)
    elif OWN in providers:
        yield Objection(f"The kind {kind!r} is one of rnnkit's own, whose names are reserved: {_OTHER_KIND}")
    elif others := sorted(providers - {normalized(name)}):  # that this one is installed has been told
        ambiguous = f"{kind!r} alone would be ambiguous"
        yield Objection(f"A kind {kind!r} is provided by {join_quoted(others)} already, and {ambiguous}: {_OTHER_KIND}")


def _wrong_with(kind: str) -> str:
    """What forbids a name for a kind, whoever has it; empty: nothing."""
    if keyword.iskeyword(kind):
        return "is a keyword of Python"
    if not _KIND.fullmatch(kind):
        return "is not made of letters, digits and underscores, beginning with a letter"
    if len(kind) > _LONGEST_KIND:
        return f"has {len(kind)} letters, which are more than {_LONGEST_KIND}"
    classes = [f"{Names('', kind).class_prefix}{each}" for each in ("Cell", "Options")]
    taken = [each for each in classes if each in rnnkit.__all__]
    return f"would have a class {taken[0]}, as rnnkit has" if taken else ""


def _providers(kind: str) -> set[str]:
    """The distributions that provide a kind of a bare name, those that are turned off included."""
    entries = [each for each in installed_entry_points() if isinstance(each, EntryPoint) and each.name == kind]
    return {candidate_of(each).distribution for each in entries}


def _to_folder(parent: Path, name: str) -> Iterator[Objection]:
    if not parent.is_dir():
        yield Objection(f"{parent} is no folder: make it first, or choose another --directory")
        return
    # on some file systems these are one, and to pip always
    for each in [each for each in parent.iterdir() if each.name.lower() == name.lower()]:
        yield Objection(f"{each} is there already, and nothing is overwritten: {_OTHER_NAME}, or another --directory")
