"""Terms of the glossary get tooltips from it, once on a page, and not in headings, links or code."""

import re
from pathlib import Path

import markdown
import pytest

from docs.site import glossary

PAGE = Path(__file__).parents[2] / "docs/explanation/glossary.md"
EXECUTOR = "Code that runs a plan over a whole sequence, such as rnnkit-kernels."


def terms_in(text, **options):
    """The abbreviations in the HTML of Markdown, with their titles."""
    extensions = ["docs.site.glossary", "tables", "md_in_html", "pymdownx.arithmatex", "pymdownx.superfences"]
    html = markdown.markdown(text, extensions=extensions, extension_configs={"pymdownx.arithmatex": {"generic": True}})
    return [(term, title) for title, term in re.findall(r'<abbr tabindex="0" title="([^"]*)">([^<]*)</abbr>', html)]


def test_every_term_of_the_glossary_is_explained_or_left_out():
    listed = re.findall(r"^(\S.*)\n:   ", PAGE.read_text(encoding="utf-8"), flags=re.MULTILINE)
    explained = {name for entry in listed if entry not in glossary.WITHOUT_TOOLTIP for name in entry.split(", ")}
    assert len(explained) > 25
    assert set(glossary.explanations()) == explained


def test_explanations_are_plain_text_that_the_glossary_has():
    page = re.sub(r"[`\s]+", "", PAGE.read_text(encoding="utf-8"))
    for term, text in glossary.explanations().items():
        assert text.endswith("."), term
        assert re.sub(r"\s+", "", text) in page
        assert not re.search(r"[`\[\]]|See ", text), term


@pytest.mark.parametrize(
    "text", ["An executor runs.", "Executors run.", "*An executor*", "- an executor", "a | b\n-|-\nexecutor | c"]
)
def test_first_use_of_a_term_is_explained(text):
    assert [title for _, title in terms_in(text)] == [EXECUTOR]


@pytest.mark.parametrize(
    "text",
    [
        "# An executor",
        "### Executors { #x }",
        "[an executor](x.md)",
        "`executor`",
        "```python\nexecutor\n```",
        r"\(executor\)",
        "executor | b\n-|-\na | c",
        "ExecutorName, preexecutor",
        "macs, bptt",
    ],
)
def test_terms_are_left_alone_elsewhere(text):
    assert terms_in(text) == []


def test_only_the_first_use_is_explained_and_the_text_stays():
    text = "A scan, *an executor* and `code`, then executors and a scan. Zoneout, MACs and multiply-adds."
    assert [term for term, _ in terms_in(text)] == ["scan", "executor", "Zoneout", "MACs"]
    html = markdown.markdown(text, extensions=["docs.site.glossary"])
    assert re.sub(r"<[^>]+>", "", html) == text.replace("*", "").replace("`", "")


def test_pages_do_not_share_their_terms():
    converter = markdown.Markdown(extensions=["docs.site.glossary"])
    assert all("<abbr" in converter.reset().convert("An executor.") for _ in range(2))


def test_an_unknown_exception_is_reported(monkeypatch):
    monkeypatch.setattr(glossary, "WITHOUT_TOOLTIP", {"Xylophone"})
    with pytest.raises(ValueError, match="Xylophone"):
        glossary.explanations.__wrapped__()
