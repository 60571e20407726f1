"""Draws the images that networks show for links to pages: `python -m docs.site.social_cards build/site`.

Each page has one, `assets/social/PAGE.png`, with its title and description; `overrides/main.html` names it. An image
that was drawn before, for the same words by the same code, is copied from `build/social`.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import shutil
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from mkdocs.config import load_config
from PIL import Image, ImageDraw, ImageFont

from docs.site.llms import Entry, entries_of

ROOT = Path(__file__).parents[2]
CACHE = ROOT / "build/social"
FONTS = ROOT / "docs/assets/vendor/fonts"
SANS, MONO = FONTS / "inter-latin-wght-normal.woff2", FONTS / "jetbrains-mono-latin-wght-normal.woff2"
SIZE = WIDTH, HEIGHT = 1200, 630
MARGIN = 80
BACKGROUND, ACCENT, TITLE, TEXT = "#10282e", "#3bc9db", "#ffffff", "#c3d4d8"
TITLE_SIZES, TITLE_LINES = (76, 64, 54, 46), 2
TEXT_SIZES, TEXT_LINES = (36, 32, 28), 4
COLORS = 64  # of the palette, with those of smooth edges


def write(site: Path) -> None:
    """Write the image of each page into a site that MkDocs has built."""
    for entry in entries_of(load_config(str(ROOT / "mkdocs.yml"), site_dir=str(site))):
        path = site / image_of(entry.target)
        path.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(cached(entry), path)


def image_of(page: str) -> str:
    """Return the path of the image of a page such as `kinds/lstm.md`, from the root of the site."""
    return f"assets/social/{page.removesuffix('.md')}.png"


def cached(entry: Entry) -> Path:
    """Return the file with the image of a page, which is drawn if there is none."""
    words = "\0".join([Path(__file__).read_text("utf-8"), entry.section, entry.title, entry.description])
    path = CACHE / f"{hashlib.sha256(words.encode()).hexdigest()}.png"
    if not path.exists():
        CACHE.mkdir(parents=True, exist_ok=True)
        image = card(entry.section, entry.title, entry.description)
        # an interrupted build leaves no half image, and two builds may run at the same time
        partial = path.with_suffix(f".{os.getpid()}.part")
        image.quantize(COLORS).save(partial, format="PNG")
        partial.replace(path)
    return path


def card(section: str, title: str, description: str) -> Image.Image:
    """Draw the image of a page.

    Raises:
        ValueError: the fonts lack a character, or a text does not fit.
    """
    image = Image.new("RGB", SIZE, BACKGROUND)
    draw = ImageDraw.Draw(image)
    draw.rectangle((0, 0, WIDTH, 12), fill=ACCENT)
    draw.text((MARGIN, 64), "rnnkit", font=_font(MONO, 44, 700), fill=ACCENT)
    draw.text((WIDTH - MARGIN, 72), section, font=_font(SANS, 32, 400), fill=TEXT, anchor="ra")
    below = _draw_text(draw, 190, title, TITLE, (TITLE_SIZES, 700, TITLE_LINES))
    _draw_text(draw, below + 28, description, TEXT, (TEXT_SIZES, 400, TEXT_LINES))
    return image


def _draw_text(
    draw: ImageDraw.ImageDraw, top: int, text: str, color: str, style: tuple[tuple[int, ...], int, int]
) -> int:
    """Draw a text in the largest size in which it fits, and return where it ends."""
    sizes, weight, most = style
    for size in sizes:
        font = _font(SANS, size, weight)
        lines = list(_lines(text, font))
        if len(lines) <= most and max(map(font.getlength, lines)) <= WIDTH - 2 * MARGIN:
            break
    else:
        raise ValueError(f"{text!r} does not fit on the image of its page: shorten it")
    if missing := {character for character in text if not _has(font, character)}:
        raise ValueError(f"{SANS.name} has no {sorted(missing)}, which are in {text!r}: use other characters")
    height = round(1.3 * size)
    for number, line in enumerate(lines):
        draw.text((MARGIN, top + number * height), line, font=font, fill=color)
    return top + len(lines) * height


def _lines(text: str, font: ImageFont.FreeTypeFont) -> Iterator[str]:
    line = ""
    for word in text.split():
        longer = f"{line} {word}".strip()
        if line and font.getlength(longer) > WIDTH - 2 * MARGIN:
            yield line
            line = word
        else:
            line = longer
    yield line


@cache
def _font(path: Path, size: int, weight: int) -> ImageFont.FreeTypeFont:
    font = ImageFont.truetype(str(path), size)
    font.set_variation_by_axes([weight])
    return font


@cache
def _has(font: ImageFont.FreeTypeFont, character: str) -> bool:
    """Whether a font has a character: it draws all that it lacks alike."""
    return character.isspace() or bytes(font.getmask(character)) != bytes(font.getmask("\uffff"))


def main() -> None:
    """Draw the images of the site that the command line names."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("site", type=Path)
    write(parser.parse_args().site)


if __name__ == "__main__":
    main()
