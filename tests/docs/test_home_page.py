"""Home shows what was measured, and a picture that its script draws."""

import json
import re

import pytest

from docs.pictures import unrolled
from docs.site import speed
from rnnkit import get_kind, list_kinds
from rnnkit.catalog import Catalog
from tests.helpers.pages import DOCS

HOME = (DOCS / "index.md").read_text(encoding="utf-8")
RECORD = json.loads((DOCS / "measured/benchmarks.json").read_text(encoding="utf-8"))


def rows_of(table):
    """The cells of each row of a table in Markdown, without those of its head."""
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines() if line[:3] == "| ["]


def test_table_matches_the_figures():
    shown = (DOCS / "measured/benchmarks.md").read_text(encoding="utf-8")
    assert shown == speed.text(), "run python -m docs.site.speed"
    rows = rows_of(shown)
    assert len(rows) == 7
    for kind, against, *figures in rows:
        name, other = re.search(r"`(\w+)`", kind)[1], against.partition(" ")[0].strip("`")
        whom = {"a": "loop", "torchrecurrent's": "torchrecurrent"}.get(other, "torch.nn")
        taken = {
            (each["shape"], each["what"]): each["ours"] / each["theirs"]
            for each in RECORD["results"]
            if each["kind"] == name and each["against"] == whom and each["threads"] == 1
        }
        if name == "lstm":  # the baseline of the cards is the same, and each quantity has one record
            card = json.loads((DOCS / "kinds/measured/lstm.json").read_text(encoding="utf-8"))
            taken = {
                (each["shape"], what): each[what]["milliseconds"] / each[what]["lstm_milliseconds"]
                for each in card["speed"]
                for what in ("forward", "training")
            }
        wanted = [taken[shape, what] for shape in ("medium", "long") for what in ("forward", "training")]
        assert [float(figure) for figure in figures] == pytest.approx(wanted, abs=0.0051)


def test_figures_have_date_and_hardware():
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT.*", RECORD["date"])
    assert all(RECORD[name] for name in ("processor", "cores", "system", "torch", "python", "rnnkit"))
    text = speed.text()
    assert RECORD["date"][:10] in text
    assert RECORD["processor"] in text


def test_home_includes_the_table_and_the_picture():
    included = re.findall(r'^--8<-- "(.+)"$', HOME, re.MULTILINE)
    assert included == ["docs/pictures/unrolled.svg", "docs/measured/benchmarks.md"]


def test_home_starts_with_the_page_for_readers_who_have_code():
    links = re.findall(r"\]\(([^)]+)\)", HOME)
    assert links[0] == "how_to/coming_from.md"
    assert "examples/padded_classifier.py" in links


def test_picture_is_up_to_date():
    drawn = unrolled.FILE.read_text(encoding="utf-8")
    assert drawn == unrolled.picture(), "run python -m docs.pictures.unrolled"
    assert "\n\n" not in drawn.strip()  # which would end it in Markdown


def test_picture_names_a_kind_of_each_family():
    named = {name for names in unrolled.CHIPS for name in names} - {"rnnkit-nbrc/nbrc", "your own"}
    assert named <= set(list_kinds())
    assert {get_kind(kind).family for kind in named} == {"gated", "linear", "matrix", "continuous", "simple"}


def test_home_has_the_number_of_kinds():
    own = [kind for kind in list_kinds() if Catalog().distribution(kind) == "rnnkit"]
    assert f"[{len(own)} kinds](kinds/index.md)" in HOME


def test_missing_figure_is_an_error():
    with pytest.raises(LookupError, match="has 0 figures"):
        speed.table({"results": [], "shapes": RECORD["shapes"]})
