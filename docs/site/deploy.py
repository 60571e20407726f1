"""Publishes the site as one version among others: `python -m docs.site.deploy VERSION [ALIAS...] [--push]`.

mike keeps the versions side by side in the branch `gh-pages`. Its own build lacks the Markdown of `llms.py`, so the
site is built here. The version that the root leads to is `latest`, or the first one until there is a
`latest`; of it the root has the page for what is not found, and llms.txt.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import urljoin

from mike import commands, git_utils, mkdocs_utils

from docs.site.build import check_links, run

BRANCH, REMOTE, LATEST = "gh-pages", "origin", "latest"
AT_THE_ROOT = ("404.html", "llms.txt", "llms-full.txt")
SETTINGS = {"DOCS_VERSIONS": "mike", "DOCS_OFFLINE": "false"}


def deploy(version: str, aliases: Sequence[str], *, push: bool = False) -> None:
    """Build the site of the checkout in the current folder, and commit it to the branch of all versions.

    Args:
        version: what it is called, and the folder that it gets.
        aliases: other names for it, which older versions lose.
        push: whether the branch is pushed, and first brought up to date with what was pushed before.

    Raises:
        subprocess.CalledProcessError: the site cannot be built, or has a broken link; nothing is committed then.
    """
    default = _default(version, aliases, push=push)
    os.environ |= SETTINGS | {"DOCS_CANONICAL_VERSION": default}
    config = mkdocs_utils.load_config()
    copied = commands.AliasType.copy
    with commands.deploy(config, version, aliases=list(aliases), update_aliases=True, alias_type=copied, branch=BRANCH):
        _build(version, config["site_dir"])
    if default in (version, *aliases):
        _lead_the_root_to(default, Path(config["site_dir"]))
    if push:
        git_utils.push_branch(REMOTE, BRANCH)


def _default(version: str, aliases: Sequence[str], *, push: bool) -> str:
    """The version that the root leads to, once this one is there."""
    if push:
        git_utils.update_from_upstream(REMOTE, BRANCH)
    there = commands.list_versions(BRANCH)
    names = {str(each.version) for each in there} | {alias for each in there for alias in each.aliases}
    return LATEST if LATEST in names | {version, *aliases} else next((str(each.version) for each in there), version)


def _build(version: str, site: str) -> None:
    os.environ[mkdocs_utils.docs_version_var] = version
    run("mkdocs", "build", "--strict", "--site-dir", site)
    base = urljoin(os.environ.get("DOCS_SITE_URL", "http://127.0.0.1:8000/"), f"{version}/")
    run("docs.site.llms", site, "--base", base)
    check_links(site)


def _lead_the_root_to(default: str, site: Path) -> None:
    commands.set_default(default, allow_undefined=True, branch=BRANCH, allow_empty=True)
    with git_utils.Commit(BRANCH, f"The root has what {default} has", allow_empty=True) as commit:
        for name in AT_THE_ROOT:
            commit.add_file(git_utils.FileInfo(name, (site / name).read_bytes()))


def main() -> None:
    """Publish the version that the command line names."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("version")
    parser.add_argument("alias", nargs="*")
    parser.add_argument("--push", action="store_true", help=f"push to the branch {BRANCH} of {REMOTE}")
    given = parser.parse_args()
    deploy(given.version, given.alias, push=given.push)


if __name__ == "__main__":
    main()
