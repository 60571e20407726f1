"""The papers of kinds as BibTeX, read back by a parser of its grammar, and by bibtexparser where it is installed."""

import re

import bibtexparser

from rnnkit import Kind, Paper, get_kind
from tests.helpers.commands import run

ENTRY = re.compile(r"@(article|misc)\{([a-z]+\d{4}[a-z]?),\n((?:  \w+ = \{.*\},\n)+)\}")
FIELD = re.compile(r"  (\w+) = \{(.*)\},\n")
ODD = [
    Paper("A 50 % gain & more_of #1", "Jürgen Ødegård, Ann Lee", 2001, "https://arxiv.org/abs/cs/0101001v2"),
    Paper("A title", "J. Ødegård et al.", 2001, "https://dx.doi.org/10.1000/xyz"),
    Paper("A page", "Zoë de la Cruz", 2020, "https://example.org/a_page"),
]


def entries_of(text):
    """The entries by key, each with its type and fields; every character must belong to one."""
    assert ENTRY.sub("", text).strip() == ""
    return {key: {"type": kind, **dict(FIELD.findall(fields))} for kind, key, fields in ENTRY.findall(text)}


def bibtex_of(papers):
    return Kind(name="any", builder=lambda: None, summary="A kind.", papers=tuple(papers)).bibtex()


def test_entries_of_links_to_arxiv_to_a_doi_and_to_a_page():
    arxiv, doi, page = entries_of(bibtex_of(ODD)).items()
    assert arxiv == (
        "odegard2001",
        {
            "type": "misc",
            "title": r"{A 50 \% gain \& more\_of \#1}",
            "author": "Jürgen Ødegård and Ann Lee",
            "year": "2001",
            "eprint": "cs/0101001v2",
            "archivePrefix": "arXiv",
            "url": "https://arxiv.org/abs/cs/0101001v2",
        },
    )
    assert doi[0] == "odegard2001a"
    assert (doi[1]["type"], doi[1]["doi"], doi[1]["author"]) == ("article", "10.1000/xyz", "J. Ødegård and others")
    assert page[0] == "cruz2020"
    assert page[1].keys() == {"type", "title", "author", "year", "url"}


def test_every_paper_of_a_kind_has_an_entry(kind):
    record = get_kind(kind)
    entries = entries_of(record.bibtex())
    assert [each["url"] for each in entries.values()] == [paper.link for paper in record.papers]
    assert all(each["title"].count("{") == each["title"].count("}") for each in entries.values())


def test_bibtexparser_reads_the_entries():
    read = bibtexparser.loads(bibtex_of(ODD)).entries
    assert [each["ID"] for each in read] == ["odegard2001", "odegard2001a", "cruz2020"]
    assert read[0]["author"] == "Jürgen Ødegård and Ann Lee"


def test_show_prints_the_entries():
    shown = entries_of(run("show", "lstm", "--bibtex", width=1000).stdout)
    assert [*shown] == ["hochreiter1997", "gers2000"]
    assert shown["gers2000"]["doi"] == "10.1162/089976600300015015"


def test_show_says_that_a_kind_names_no_paper():
    result = run("show", "mixed", "--bibtex")
    assert result.exit_code == 1
    assert "The kind 'mixed' names no paper" in result.stderr
