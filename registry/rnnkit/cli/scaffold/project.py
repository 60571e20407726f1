"""The files of a new plugin, from the templates beside this module."""

from __future__ import annotations

from importlib.resources import files
from string import Template
from typing import NamedTuple

from rnnkit._version import __version__
from rnnkit.cli.scaffold.names import Names

# Where each template goes, and what to say of it.
_FILES = {
    "module.py": ("%{module}.py", "the cell to replace, its options, and its record"),
    "test_module.py": ("tests/test_%{module}.py", "holds the kind to what rnnkit promises of every kind"),
    "pyproject.toml": ("pyproject.toml", "name, dependencies, and the entry point by which rnnkit finds the kind"),
    "README.md": ("README.md", "how to install, use, test and publish it"),
    "ci.yml": (".github/workflows/ci.yml", "runs the tests on GitHub"),
    "gitignore": (".gitignore", "what git is to leave alone"),
}


class ProjectFile(NamedTuple):
    """One file of a new plugin.

    Attributes:
        path: in its folder, with slashes.
        about: what it is for.
        text: what stands in it.
    """

    path: str
    about: str
    text: str


class _Filled(Template):
    """A template with `%{name}` for what is filled in: no file of a plugin has that for anything else."""

    delimiter = "%"


def project_files(names: Names) -> list[ProjectFile]:
    """The files of a plugin, the one to begin with first."""
    values = _values(names)

    def filled(text: str) -> str:
        return _Filled(text).substitute(values)

    return [ProjectFile(filled(path), about, filled(_template(name))) for name, (path, about) in _FILES.items()]


def _values(names: Names) -> dict[str, str]:
    return {
        "distribution": names.distribution,
        "module": names.module,
        "kind": names.kind,
        "full_kind": names.full_kind,
        "class_prefix": names.class_prefix,
        "rnnkit": _oldest_to_serve(__version__),
    }


def _template(name: str) -> str:
    return files("rnnkit.cli.scaffold").joinpath("template", f"{name}.template").read_text(encoding="utf-8")


def _oldest_to_serve(version: str) -> str:
    """The version of rnnkit to ask for: this one without its last part; `0.2.0rc1` as it is, which is before 0.2."""
    public = version.partition("+")[0]
    major, minor, *rest = public.split(".")
    return f"{major}.{minor}" if all(map(str.isdigit, [major, minor, *rest])) else public
