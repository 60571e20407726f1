"""The files of a new plugin, from the templates in `template/`."""

from __future__ import annotations

from importlib.resources import files
from string import Template
from typing import NamedTuple

from rnnkit._version import __version__
from rnnkit.cli.scaffold._names import Names

# Path and description of the file of each template.
_FILES = {
    "module.py": ("%{module}.py", "the cell to replace, its options and its record"),
    "test_module.py": ("tests/test_%{module}.py", "runs the conformance checks on the kind"),
    "pyproject.toml": ("pyproject.toml", "name, dependencies, and the entry point of the kind"),
    "README.md": ("README.md", "how to install, use, test and publish the plugin"),
    "ci.yml": (".github/workflows/ci.yml", "runs the tests on GitHub"),
    "gitignore": (".gitignore", "files that git ignores"),
}


class ProjectFile(NamedTuple):
    """One file of a new plugin.

    Attributes:
        path: path relative to the folder of the plugin, with slashes.
        description: purpose of the file.
        text: content of the file.
    """

    path: str
    description: str
    text: str


class _Filled(Template):
    """A template with placeholders `%{name}`, a notation that no file of a plugin uses otherwise."""

    delimiter = "%"


def project_files(names: Names) -> list[ProjectFile]:
    """Return the files of a plugin, the most important first."""
    values = {name: getattr(names, name) for name in ("distribution", "module", "kind", "full_kind", "class_prefix")}
    values["rnnkit"] = _minimum_version(__version__)
    return [
        ProjectFile(_Filled(path).substitute(values), description, _Filled(_template(name)).substitute(values))
        for name, (path, description) in _FILES.items()
    ]


def _template(name: str) -> str:
    return files("rnnkit.cli.scaffold").joinpath("template", f"{name}.template").read_text(encoding="utf-8")


def _minimum_version(version: str) -> str:
    """Return the minimum rnnkit to require: `0.2` for `0.2.3`; `0.2.0rc1` unchanged, since it precedes 0.2."""
    public = version.partition("+")[0]
    major, minor, *rest = public.split(".")
    return f"{major}.{minor}" if all(map(str.isdigit, [major, minor, *rest])) else public
