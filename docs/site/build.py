"""Builds the site into build/site, with all that is made of what MkDocs has built: `python -m docs.site.build`."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
SITE = ROOT / "build/site"


def run(*arguments: str) -> None:
    environment = os.environ | {"NO_MKDOCS_2_WARNING": "1"}  # what Material says of a MkDocs that is excluded here
    subprocess.run([sys.executable, "-m", *arguments], cwd=ROOT, env=environment, check=True)  # noqa: S603  # our own


def main() -> None:
    run("mkdocs", "build", "--strict", "--site-dir", str(SITE))
    run("docs.site.llms", str(SITE))
    run("docs.site.links", str(SITE))
    print(f"{len(list(SITE.rglob('*.html')))} pages: {SITE / 'index.html'}")


if __name__ == "__main__":
    main()
