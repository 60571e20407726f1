"""The summary after the browser tests: the numbers of pages, checks and bytes.

A test adds its visit to the properties of its report, which pytest-xdist sends from the workers to the main process.
"""

from tests.browser.visit import VIEWS

PROPERTY = "visit"


def of_visit(findings):
    """The figures of a visit to a page, as a dict of plain values."""
    return {
        "page": findings.page,
        "views": findings.views,
        "checks": findings.checks,
        "problems": len(findings.problems),
        "bytes": findings.bytes(),
        "without fonts": findings.bytes(fonts=False),
        "uncompressed": findings.bytes(compressed=False),
        "uncompressed without fonts": findings.bytes(fonts=False, compressed=False),
    }


def visits_in(reports):
    """The visits of all tests."""
    return [value for report in reports for name, value in getattr(report, "user_properties", ()) if name == PROPERTY]


def lines(visits):
    views = sum(each["views"] for each in visits)
    yield f"{len(visits)} pages in up to {len(VIEWS)} views ({', '.join(map(str, VIEWS))}): {views} page views"
    yield f"{sum(each['checks'] for each in visits):,} checks, {sum(each['problems'] for each in visits)} violations"
    yield _weight("the largest page", max(visits, key=lambda each: each["bytes"]))
    yield from (_weight("Home's first view", each) for each in visits if each["page"] == "index.html")


def _weight(name, visit):
    return (
        f"{name}: {visit['page']}, {visit['bytes']:,} bytes transferred, {visit['without fonts']:,} of them no fonts"
        f" ({visit['uncompressed']:,} and {visit['uncompressed without fonts']:,} uncompressed)"
    )
