"""The site that is tested, in two forms: as it is published, and as `make docs` builds it, to be read from disk."""

import os
import re
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from docs.site.build import SITE
from docs.site.deploy import LATEST, VERSIONS
from docs.site.published import PUBLISHED

GIVEN = os.environ.get("DOCS_SITE_FOLDER")  # another site, such as that of another generator, in both forms
FOLDER = Path(GIVEN or PUBLISHED / LATEST).resolve()
ON_DISK = Path(GIVEN or SITE).resolve()
CANONICAL = re.compile(r'<link rel="canonical" href="([^"]+)"')


def built_site(folder=FOLDER):
    if not (folder / "index.html").is_file():
        raise pytest.UsageError(f"there is no site in {folder}: build it first, as `make docs-test` does")
    return folder


def prefix_of(folder):
    """The path that a site was built for, as its pages name it."""
    canonical = CANONICAL.search((folder / "index.html").read_text(encoding="utf-8"))
    path = urlsplit(canonical[1]).path
    return path.removesuffix("index.html")


def is_published(folder=FOLDER):
    """Whether a site is one version among others."""
    return (folder.parent / VERSIONS).is_file()


def pages_of(folder):
    """The paths of all pages below a folder, as addresses have them."""
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*.html"))
