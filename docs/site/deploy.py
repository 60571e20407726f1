"""Publishes the site as one version among others: `python -m docs.site.deploy VERSION [ALIAS...] [--push]`.

The branch `gh-pages` has a folder for each version and each alias, and `versions.json`, which Material's version
selector reads; its format is that of mike. The root redirects to `latest`, or to the newest version until there is a
`latest`, and has its 404 page and llms.txt.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TypedDict
from urllib.parse import urljoin

from packaging.version import InvalidVersion, Version

from docs.site.build import LOCAL_URL, ROOT, add_generated, check_links, run
from docs.site.notebooks import colab_address
from docs.site.versions_branch import VersionsBranch

LATEST = "latest"
VERSIONS = "versions.json"
AT_THE_ROOT = ("404.html", "llms.txt", "llms-full.txt")
SETTINGS = {"DOCS_VERSIONS": "mike", "DOCS_OFFLINE": "false"}
REDIRECT = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<title>Redirecting to {0}</title>
<noscript><meta http-equiv="refresh" content="0; url={0}/"></noscript>
<script>location.replace("{0}/" + location.search + location.hash)</script>
<a href="{0}/">{0}</a>
</html>
"""


class Entry(TypedDict):
    """A version in `versions.json`."""

    version: str
    title: str
    aliases: list[str]


def deploy(version: str, aliases: Sequence[str], *, push: bool = False, repository: Path = ROOT) -> None:
    """Build the site of this checkout, and commit it to the branch of all versions.

    Args:
        version: name of the version and of its folder.
        aliases: other names of the version, which are removed from all other versions.
        push: whether to push the branch, after updating it from the remote.
        repository: the repository that has the branch.

    Raises:
        ValueError: a name cannot be that of a folder, or names both a version and an alias.
        subprocess.CalledProcessError: the build failed, or a link is broken; nothing is committed.
    """
    branch = VersionsBranch(repository)
    if push:
        branch.pull()
    versions = with_version(json.loads(branch.read(VERSIONS) or "[]"), version, aliases)
    default = default_of(versions)
    with tempfile.TemporaryDirectory() as folder:
        site = Path(folder)
        _build(site, version, default)
        # GitHub Pages omits names that begin with _ unless there is a .nojekyll
        files = {VERSIONS: json.dumps(versions, indent=2), ".nojekyll": "", "index.html": REDIRECT.format(default)}
        if default in (version, *aliases):
            files |= {name: (site / name).read_text("utf-8") for name in AT_THE_ROOT}
        branch.commit(files, dict.fromkeys((version, *aliases), site), f"Publish {version}")
    if push:
        branch.push()


def with_version(versions: Sequence[Entry], version: str, aliases: Sequence[str]) -> list[Entry]:
    """Return the versions and a new one, the newest first; the new one takes its aliases from the others.

    Raises:
        ValueError: a name cannot be that of a folder, or names both a version and an alias.
    """
    before = [alias for entry in versions if entry["version"] == version for alias in entry["aliases"]]
    own = list(dict.fromkeys([*before, *aliases]))
    others = [
        entry | {"aliases": [alias for alias in entry["aliases"] if alias not in aliases]}
        for entry in versions
        if entry["version"] != version
    ]
    made = sorted([*others, Entry(version=version, title=version, aliases=own)], key=_age, reverse=True)
    names = [name for entry in made for name in (entry["version"], *entry["aliases"])]
    for name in names:
        if not re.fullmatch(r"\w[\w.+-]*", name) or name in (*AT_THE_ROOT, VERSIONS, "index.html"):
            raise ValueError(f"{name!r} cannot be the name of a version: choose that of a folder, such as '1.2.3'")
        if names.count(name) > 1:
            raise ValueError(f"{name!r} would name both a version and an alias: choose another name")
    return made


def default_of(versions: Sequence[Entry]) -> str:
    """Return the version that the root redirects to."""
    aliases = {alias for entry in versions for alias in entry["aliases"]}
    return LATEST if LATEST in aliases else versions[0]["version"]


def _age(entry: Entry) -> tuple[bool, Version]:
    try:
        return False, Version(entry["version"])
    except InvalidVersion:  # such as dev, which is newer than every release
        return True, Version("0")


def _build(site: Path, version: str, default: str) -> None:
    """Build a version; its canonical addresses, and those of its 404 page, are in the default version."""
    base = os.environ.get("DOCS_SITE_URL", LOCAL_URL)
    colab = colab_address(os.environ.get("DOCS_REPOSITORY_URL", ""), version)
    settings = {**SETTINGS, "DOCS_SITE_URL": urljoin(base, f"{default}/"), "DOCS_COLAB": colab}
    run("mkdocs", "build", "--strict", "--site-dir", str(site), **settings)
    add_generated(site, urljoin(base, f"{version}/"))
    check_links(site)


def main() -> None:
    """Publish the version that the command line names."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("version")
    parser.add_argument("alias", nargs="*")
    parser.add_argument("--push", action="store_true", help="push the branch gh-pages to origin")
    given = parser.parse_args()
    deploy(given.version, given.alias, push=given.push)


if __name__ == "__main__":
    main()
