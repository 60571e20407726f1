"""Publishes the site into build/published, as GitHub Pages would serve it: `python -m docs.site.published`.

The branch of all versions is that of a scratch repository, which is checked out there; nothing is pushed.
`tests/browser` tests this form of the site.
"""

from __future__ import annotations

import os
import shutil
import subprocess

from docs.site.build import ROOT
from docs.site.deploy import LATEST, deploy
from docs.site.versions_branch import NAME

PUBLISHED = ROOT / "build/published"
VERSION = "1.0"
REPOSITORY = "https://github.com/example/rnnkit"
SETTINGS = {
    "DOCS_REPOSITORY_URL": REPOSITORY,
    "DOCS_EDIT_URI": "edit/main/docs/",
    "GRIFFE_GIT_REMOTE_URL": REPOSITORY,  # of links to the source
}
IDENTITY = {f"GIT_{role}_{what}": "docs@example.org" for role in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}


def main() -> None:
    os.environ |= SETTINGS | IDENTITY
    shutil.rmtree(PUBLISHED, ignore_errors=True)
    subprocess.run(["git", "init", "--quiet", PUBLISHED], check=True)  # noqa: S603, S607  # our own
    deploy(VERSION, [LATEST], repository=PUBLISHED)
    subprocess.run(["git", "checkout", "--quiet", NAME], cwd=PUBLISHED, check=True)  # noqa: S603, S607  # our own
    print(f"{VERSION} and {LATEST}: {PUBLISHED}")


if __name__ == "__main__":
    main()
