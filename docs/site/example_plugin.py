"""The example of a plugin as if it was installed, for pages that show its kind."""

from __future__ import annotations

import sys
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from rnnkit import Catalog
from rnnkit.testing import use_catalog

EXAMPLE = Path(__file__).parents[1] / "examples/rnnkit-nbrc"


@contextmanager
def example_installed(example: Path = EXAMPLE) -> Iterator[None]:
    """Let the kinds of an example be found, by metadata such as an installer writes, in a catalog of its own."""
    project = tomllib.loads((example / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    with TemporaryDirectory() as folder:
        _write_metadata(Path(folder), project)
        added = [folder, str(example)]
        sys.path[:0] = added  # first: what may be installed is not what lies here
        try:
            with use_catalog(Catalog()):
                yield
        finally:
            for each in added:
                sys.path.remove(each)


def _write_metadata(folder: Path, project: dict[str, Any]) -> None:
    info = folder / f"{project['name'].replace('-', '_')}-{project['version']}.dist-info"
    info.mkdir()
    metadata = f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {project['version']}\n"
    entries = [f"{kind} = {module}" for kind, module in project["entry-points"]["rnnkit"].items()]
    (info / "METADATA").write_text(metadata, encoding="utf-8")
    (info / "entry_points.txt").write_text("\n".join(["[rnnkit]", *entries, ""]), encoding="utf-8")
