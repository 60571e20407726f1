"""The site that was built: where it is, the pages that it has, and the address that it was built for."""

import os
import re
from pathlib import Path
from urllib.parse import urlsplit

import pytest

ROOT = Path(__file__).parents[2]
FOLDER = Path(os.environ.get("DOCS_SITE_FOLDER", ROOT / "build/site")).resolve()
CANONICAL = re.compile(r'<link rel="canonical" href="([^"]+)"')


def built_site():
    if not (FOLDER / "index.html").is_file():
        raise pytest.UsageError(f"there is no site in {FOLDER}: build it first, as `make docs-test` does")
    return FOLDER


def prefix_of(folder):
    """The path that a site was built for, as its pages name it."""
    canonical = CANONICAL.search((folder / "index.html").read_text(encoding="utf-8"))
    path = urlsplit(canonical[1]).path
    return path.removesuffix("index.html")


def pages_of(folder):
    """The paths of all pages below a folder, as addresses have them."""
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*.html"))
