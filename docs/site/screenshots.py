"""Pictures of pages of the built site, light, dark and narrow: `python -m docs.site.screenshots` prints their paths."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Literal, TypedDict

from playwright.sync_api import Browser, Page, ViewportSize, sync_playwright

from docs.site.chromium import FLAGS, BrowserMissingError, chromium

ROOT = Path(__file__).parents[2]
PAGES = {
    "home": "index.html",
    "kind": "kinds/lstm.html",
    "kinds": "kinds/index.html",
    "spec_builder": "kinds/spec_builder.html",
    "plugin_tutorial": "tutorials/write_a_plugin.html",
}
SETTLED = """async () => {
  await document.fonts.ready
  await Promise.all([...document.images].map(image => image.decode().catch(() => null)))
  document.getAnimations().forEach(animation => animation.finish())
}"""


class View(TypedDict):
    """How a page is looked at: the size of the window, the reader's scheme of colours, pixels for each CSS pixel."""

    viewport: ViewportSize
    color_scheme: Literal["dark", "light"]
    device_scale_factor: float


VIEWS: dict[str, View] = {
    "light": {"viewport": {"width": 1280, "height": 900}, "color_scheme": "light", "device_scale_factor": 1},
    "dark": {"viewport": {"width": 1280, "height": 900}, "color_scheme": "dark", "device_scale_factor": 1},
    "narrow": {"viewport": {"width": 390, "height": 844}, "color_scheme": "light", "device_scale_factor": 2},
}


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m docs.site.screenshots", description=str(__doc__).splitlines()[0])
    parser.add_argument("--folder", type=Path, default=ROOT / "build/screenshots", help="where the pictures go")
    parser.add_argument("--site", type=Path, default=ROOT / "build/site", help="where the built site is")
    return parser.parse_args()


def pictures(site: Path, folder: Path) -> Iterator[Path]:
    """Make a picture of the first screen, and one of the whole, of each page in each view."""
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=chromium(), args=list(FLAGS))
        for view, look in VIEWS.items():
            for name, page in PAGES.items():
                yield from pictures_of(browser, look, (site / page).resolve().as_uri(), folder / f"{name}-{view}")
        browser.close()


def pictures_of(browser: Browser, look: View, address: str, stem: Path) -> Iterator[Path]:
    with browser.new_page(**look) as tab:
        open_page(tab, address)
        for part in ("first", "whole"):
            path = stem.with_name(f"{stem.name}-{part}.png")
            tab.screenshot(path=path, full_page=part == "whole")
            yield path


def open_page(tab: Page, address: str) -> None:
    tab.goto(address, wait_until="load")
    tab.evaluate(SETTLED)


def main() -> None:
    arguments = parsed()
    if missing := [page for page in PAGES.values() if not (arguments.site / page).is_file()]:
        sys.exit(f"{arguments.site} has no {missing[0]}: build the site first, with `make docs`")
    try:
        for path in pictures(arguments.site, arguments.folder):
            print(path)
    except BrowserMissingError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
