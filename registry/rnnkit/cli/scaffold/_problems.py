"""Problems with the names of a new plugin: names that are invalid or taken."""

from __future__ import annotations

import keyword
import re
import sys
from collections.abc import Iterator
from importlib.metadata import distributions
from importlib.util import find_spec
from itertools import chain
from pathlib import Path
from typing import NamedTuple

import rnnkit
from rnnkit._messages import join_quoted, short_repr
from rnnkit.catalog import LOCAL, OWN, UNKNOWN, candidates_by_distribution, normalized
from rnnkit.cli.scaffold._names import Names, module_of, names_of

_NAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?")  # a distribution, by the packaging standards
_KIND = re.compile(r"[A-Za-z][A-Za-z0-9_]*")
_MAX_KIND_LENGTH = 64
_RESERVED_DISTRIBUTIONS = {LOCAL, UNKNOWN}
_USED_BY_TOOLS = {"conftest", "setup", "tests"}  # pytest and pip look for these in the folder of a project
_DEVICE = re.compile(r"con|prn|aux|nul|(com|lpt)[0-9]", re.IGNORECASE)  # which Windows gives to no file
_OTHER_NAME, _OTHER_KIND = "choose another NAME", "choose another name with --kind"


class NameProblem(NamedTuple):
    """A problem with the names of a new plugin.

    Attributes:
        message: the problem and how to fix it.
        misuse: whether the name is invalid by itself, rather than taken.
    """

    message: str
    misuse: bool = False


def find_problems(name: str, kind: str | None, parent: Path) -> list[NameProblem]:
    """Return all problems with a new plugin, in the order of the arguments. Imports no installed plugin.

    Args:
        name: name of the distribution.
        kind: name of its kind; None: derived from the name of the distribution.
        parent: parent of its folder.
    """
    return [*_name_problems(name), *_kind_problems(kind, name), *_folder_problems(parent, name)]


def _name_problems(name: str) -> Iterator[NameProblem]:
    if _NAME.fullmatch(name):
        yield from _distribution_problems(name)
        yield from _module_problems(name)
    else:
        rule = "letters and digits, with '-', '_' and '.' between them"
        yield NameProblem(f"{short_repr(name)} is not a valid distribution name ({rule}): {_OTHER_NAME}", misuse=True)


def _distribution_problems(name: str) -> Iterator[NameProblem]:
    if normalized(name) in _RESERVED_DISTRIBUTIONS:
        yield NameProblem(f"The distribution name {name!r} is reserved by rnnkit: {_OTHER_NAME}", misuse=True)
    elif _is_installed(name):
        yield NameProblem(f"A distribution {name!r} is already installed: {_OTHER_NAME}, or uninstall it first")


def _is_installed(name: str) -> bool:
    return any(True for _ in distributions(name=name))


def _module_problems(name: str) -> Iterator[NameProblem]:
    module = module_of(name)
    fix = _OTHER_NAME if module.startswith("rnnkit") else f"{_OTHER_NAME}, such as 'rnnkit-{normalized(name)}'"
    if not module.isidentifier() or keyword.iskeyword(module):
        yield NameProblem(f"{module!r} is not a valid module name in Python: {fix}", misuse=True)
    elif _DEVICE.fullmatch(module):
        yield NameProblem(f"'{module}.py' is a device on Windows, which has no such file: {fix}", misuse=True)
    elif module in _USED_BY_TOOLS:
        yield NameProblem(f"'{module}.py' has a special meaning for pytest or pip: {fix}", misuse=True)
    elif not _is_installed(name) and _can_be_imported(module):
        yield NameProblem(f"A module {module!r} is already installed, and one of the two would shadow the other: {fix}")


def _can_be_imported(module: str) -> bool:
    return module in sys.stdlib_module_names or module in sys.modules or find_spec(module) is not None


def _kind_problems(kind: str | None, name: str) -> Iterator[NameProblem]:
    if kind is None and not _NAME.fullmatch(name):  # the default of `kind` depends on it
        return
    kind = names_of(name, kind).kind
    reason, providers = _invalid_kind(kind), _providers(kind)
    if reason:
        yield NameProblem(f"The kind name {short_repr(kind)} {reason}: {_OTHER_KIND}", misuse=True)
    elif OWN in providers:
        yield NameProblem(f"The kind name {kind!r} is reserved by rnnkit: {_OTHER_KIND}")
    elif others := sorted(providers - {normalized(name)}):  # already reported if installed
        taken = f"The kind {kind!r} is already provided by {join_quoted(others)}"
        yield NameProblem(f"{taken}, so the bare name would be ambiguous: {_OTHER_KIND}")


def _invalid_kind(kind: str) -> str:
    """Return why a kind cannot have this name; empty if it can."""
    if keyword.iskeyword(kind):
        return "is a Python keyword"
    if not _KIND.fullmatch(kind):
        return "does not consist of letters, digits and underscores, starting with a letter"
    if len(kind) > _MAX_KIND_LENGTH:
        return f"has {len(kind)} characters, more than {_MAX_KIND_LENGTH}"
    if _DEVICE.fullmatch(kind):
        return "is the name of a device on Windows, which has no file of that name"
    classes = [f"{Names('', kind).class_prefix}{each}" for each in ("Cell", "Options")]
    taken = [each for each in classes if each in rnnkit.__all__]
    return f"would give a class the name {taken[0]}, which rnnkit has" if taken else ""


def _providers(kind: str) -> set[str]:
    """Return the distributions that provide a kind with this bare name, blocked ones included."""
    candidates = chain.from_iterable(candidates_by_distribution().values())
    return {each.distribution for each in candidates if each.category.noun == "kind" and each.bare_name == kind}


def _folder_problems(parent: Path, name: str) -> Iterator[NameProblem]:
    if not parent.is_dir():
        yield NameProblem(f"{parent} is not a directory: create it, or choose another --directory")
        return
    # case does not distinguish names on some file systems, and never for pip
    for each in [each for each in parent.iterdir() if each.name.lower() == name.lower()]:
        yield NameProblem(f"{each} already exists, and nothing is overwritten: {_OTHER_NAME}, or another --directory")
