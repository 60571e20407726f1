"""The page of small tasks is up to date."""

from docs.site import tasks


def test_the_page_shows_the_scores():
    assert tasks.main(["--check"]) == 0
