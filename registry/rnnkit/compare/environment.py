"""The machine and the versions of a run, which stand beside each result."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version

import torch

from rnnkit._version import __version__
from rnnkit.catalog.discovery import LOCAL, OWN, Candidate
from rnnkit.compare.machine import processor_name
from rnnkit.errors import CompareError


@dataclass(frozen=True, kw_only=True)
class Environment:
    """Where a run was made.

    Attributes:
        processor: the name of the processor.
        cores: the number of its cores.
        system: the operating system.
        versions: of Python, torch, rnnkit, and the distribution that provides the kind.
    """

    processor: str
    cores: int
    system: str
    versions: Mapping[str, str]


def this_environment(distributions: Mapping[str, str]) -> Environment:
    """Return the machine of this process, and its versions with those of some distributions."""
    versions = {"python": platform.python_version(), "torch": str(torch.__version__), "rnnkit": __version__}
    return Environment(
        processor=processor_name(),
        cores=os.cpu_count() or 1,
        system=platform.system(),
        versions={**versions, **distributions},
    )


def required_versions(candidates: Iterable[Candidate]) -> dict[str, str]:
    """Return rnnkit and the distributions that provide something, with their versions."""
    others = {each.distribution: each.version for each in candidates if each.distribution not in (OWN, LOCAL)}
    return {OWN: __version__, **others}


def check_versions(expected: Mapping[str, str]) -> None:
    """Check that this process, a worker, has the distributions that a run needs.

    Raises:
        CompareError: a distribution is missing, or has another version.
    """
    found = {distribution: _installed_version(distribution) for distribution in expected}
    wrong = [name for name, wanted in expected.items() if found[name] != wanted]
    if wrong:
        has = ", ".join(f"{name} {found[name]}" if found[name] else f"no {name}" for name in wrong)
        needed = " ".join(f"{name}=={expected[name]}" for name in wrong)
        raise CompareError(
            f"The worker on {platform.node()!r} (process {os.getpid()}) has {has}, but the run needs {needed}. On each "
            f"worker, run: pip install {needed}"
        )


def _installed_version(distribution: str) -> str | None:
    if distribution == OWN:
        return __version__
    try:
        return version(distribution)
    except PackageNotFoundError:
        return None
