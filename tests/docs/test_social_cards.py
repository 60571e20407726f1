"""The images of pages: their size, that text is on them, and that what cannot be shown is refused."""

import pytest
from mkdocs.config import load_config
from PIL import Image

from docs.site import social_cards
from docs.site.llms import entries_of
from tests.helpers.pages import ROOT


def drawn_on(image):
    """The rows of an image that are not all background, below the bar at its top."""
    background = Image.new("RGB", (image.width, 1), social_cards.BACKGROUND)
    rows = range(20, image.height)
    return [row for row in rows if image.crop((0, row, image.width, row + 1)).tobytes() != background.tobytes()]


def test_texts_of_all_pages_fit():
    entries = list(entries_of(load_config(str(ROOT / "mkdocs.yml"))))
    assert len(entries) > 100
    for entry in entries:
        rows = drawn_on(social_cards.card(entry.section, entry.title, entry.description))
        assert rows[-1] < social_cards.HEIGHT - 40, entry


def test_image_has_the_size_of_open_graph():
    assert social_cards.card("Models", "lstm", "A cell state.").size == (1200, 630)


def test_a_longer_description_takes_more_rows():
    short, long = (len(drawn_on(social_cards.card("Models", "lstm", "A cell state. " * times))) for times in (1, 10))
    assert short < long


@pytest.mark.parametrize(("title", "text"), [("lstm", "word " * 200), ("W" * 60, "A cell."), ("word " * 30, "A cell.")])
def test_text_that_does_not_fit_is_refused(title, text):
    with pytest.raises(ValueError, match="does not fit on the image"):
        social_cards.card("Models", title, text)


def test_character_that_the_font_lacks_is_refused():
    with pytest.raises(ValueError, match=r"has no \['∳'\]"):
        social_cards.card("Models", "A ∳", "A cell.")


def test_image_is_drawn_once(tmp_path, monkeypatch):
    monkeypatch.setattr(social_cards, "CACHE", tmp_path)
    entry, *_ = entries_of(load_config(str(ROOT / "mkdocs.yml")))
    path = social_cards.cached(entry)
    monkeypatch.setattr(social_cards, "card", None)  # to draw again would fail
    assert social_cards.cached(entry) == path
    assert social_cards.cached(entry).stat().st_size < 50_000
    with Image.open(path) as image:
        assert image.size == social_cards.SIZE
