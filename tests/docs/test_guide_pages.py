"""Get started, the tutorials and the how-to pages: navigation, summaries, output, and pictures of measurements."""

import json
import re
import xml.etree.ElementTree as ET

import pytest
import torch
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from docs.pictures import draw_tutorials, measure_tutorials
from docs.pictures.chart import Chart
from tests.helpers.pages import DOCS, ROOT, blocks_of

HOW_TO = sorted(page for page in (DOCS / "how_to").glob("*.md") if page.name != "index.md")
TUTORIALS = sorted(page for page in (DOCS / "tutorials").glob("*.md") if page.name != "index.md")
TOOLS = sorted(page for page in (DOCS / "tools").glob("*.md") if page.name != "index.md")
GUIDES = [DOCS / "get_started.md", *HOW_TO, *TUTORIALS, *TOOLS]
PICTURES = {picture.__name__: picture for picture in draw_tutorials.PICTURES}
FIGURES = json.loads(measure_tutorials.FILE.read_text("utf-8"))
SVG = "{http://www.w3.org/2000/svg}"
REMEASURE = "python -m docs.pictures.measure_tutorials, then python -m docs.pictures.draw_tutorials"


def named(pages):
    return {"argvalues": pages, "ids": [page.stem for page in pages]}


def navigation():
    return re.findall(r"^ +- (?:\w[\w ]*: )?(\S+\.md)$", (ROOT / "mkdocs.yml").read_text("utf-8"), re.MULTILINE)


# that one finds them


@pytest.mark.parametrize("folder", ["how_to", "tutorials", "tools"])
def test_index_lists_each_page_once_in_navigation_order(folder):
    index = (DOCS / folder / "index.md").read_text("utf-8")
    listed = re.findall(r"^- (?:\*\*)?\[[^\]]+\]\((\w+\.md)\)", index, re.MULTILINE)
    reached = {path.removeprefix(f"{folder}/"): None for path in navigation() if path.startswith(f"{folder}/")}
    there = {page.name for page in (DOCS / folder).glob("*.md")}
    assert reached.keys() == there
    assert listed == [name for name in reached if name not in ("index.md", "use_a_model.md")]
    assert folder != "how_to" or "(use_a_model.md)" in index


@pytest.mark.parametrize("page", **named(GUIDES))
def test_page_starts_with_a_one_sentence_summary(page):
    [sentence] = re.findall(r"\A---\ndescription: (.+)\n", page.read_text("utf-8"))
    assert sentence.endswith(".")
    assert ". " not in sentence
    assert 40 < len(sentence) < 160


@pytest.mark.parametrize("page", **named(GUIDES))
def test_page_shows_output(page):
    languages = {language for language, _, _ in blocks_of(page)}
    shown = [shown for _, _, shown in blocks_of(page)]
    assert any(shown) or "console" in languages


@pytest.mark.parametrize("page", **named(GUIDES))
def test_code_fits_the_page(page):
    """Beside two sidebars there is room for 96 columns."""
    lines = [line for language, code, _ in blocks_of(page) if language == "python" for line in code.splitlines()]
    assert [line for line in lines if len(line) > 96] == [] or page.stem == "write_a_plugin"


# what was measured


@pytest.mark.parametrize("tutorial", measure_tutorials.MEASURES)
def test_figures_are_up_to_date(tutorial):
    assert FIGURES[tutorial]["code"] == measure_tutorials.digest_of(tutorial), REMEASURE


def test_figures_have_date_and_hardware():
    assert {"date", "processor", "torch", "rnnkit"} <= FIGURES["measured_on"].keys()


def test_confusion_matrix_counts_every_test_image():
    digits = load_digits().target
    _, test = train_test_split(digits, test_size=450, random_state=0, stratify=digits)
    assert torch.tensor(FIGURES["digits"]["confusion"]).sum(dim=1).tolist() == torch.tensor(test).bincount().tolist()


def test_figures_support_the_text():
    digits, names, forecast = (FIGURES[name] for name in ("digits", "variable_lengths", "truncated_bptt"))
    assert min(values[-1] for values in digits["accuracies"].values()) > 0.9
    shares = names["shares"]
    assert len(set(shares["with lengths"])) == 1
    assert round(100 * names["other"]) == 57, "variable_lengths.md says so"
    assert max(shares["without lengths"]) <= shares["with lengths"][0]
    assert min(shares["lengths in training only"]) < names["other"] < shares["with lengths"][0]
    assert forecast["errors"]["state carried"] < forecast["errors"]["state reset"]


# pictures


@pytest.mark.parametrize("name", PICTURES)
def test_picture_is_up_to_date(name):
    drawn = (DOCS / f"pictures/{name}.svg").read_text("utf-8")
    assert drawn == PICTURES[name](), "if that is right: python -m docs.pictures.draw_tutorials"


@pytest.mark.parametrize("name", PICTURES)
def test_picture_has_alt_text_and_theme_colors(name):
    text = PICTURES[name]()
    root = ET.fromstring(text)  # noqa: S314  # our own
    assert root.get("role") == "img"
    assert root.get("aria-label") == root.find(f"{SVG}title").text
    assert len(root.find(f"{SVG}desc").text) > 40
    used = [each.get(paint) for each in root.iter() for paint in ("fill", "stroke") if each.get(paint)]
    assert len(used) > 5
    assert all(re.fullmatch(r"none|var\(--(?:rnnkit|md)-[\w-]+, #\w{3,6}\)", colour) for colour in used)
    assert "\n\n" not in text, "an empty line would end the HTML that it stands in"


@pytest.mark.parametrize("name", PICTURES)
def test_picture_fits_its_view_box(name):
    root = ET.fromstring(PICTURES[name]())  # noqa: S314  # our own
    _, _, width, height = map(float, root.get("viewBox").split())
    assert len(list(root.iter(f"{SVG}text"))) > 3
    for each in root.iter(f"{SVG}text"):
        x, size = float(each.get("x")), float(each.get("font-size"))
        wide = 0.56 * size * len(each.text)  # more or less
        left = {"start": x, "middle": x - wide / 2, "end": x - wide}[each.get("text-anchor")]
        assert left > -8, each.text
        assert left + wide < width + 8, each.text
        assert size * 0.7 < float(each.get("y")) < height, each.text
    for each in root.iter(f"{SVG}path"):
        points = re.findall(r"[ML](\S+) ([^LM\s]+)", each.get("d"))
        assert all(0 <= float(x) <= width and 0 <= float(y) <= height for x, y in points)


@pytest.mark.parametrize("name", PICTURES)
def test_picture_is_in_exactly_one_tutorial(name):
    assert sum(f'--8<-- "docs/pictures/{name}.svg"' in page.read_text("utf-8") for page in TUTORIALS) == 1


def test_confusion_matrix_picture_has_its_counts_in_place():
    root = ET.fromstring(draw_tutorials.digits_confusion())  # noqa: S314  # our own
    at = {(float(each.get("x")), float(each.get("y"))): each.text for each in root.iter(f"{SVG}text")}
    columns = sorted(x for (x, y), text in at.items() if y == 42 and text in "0123456789")
    rows = sorted(y for (x, y), text in at.items() if x == 72 and text in "0123456789")
    counts = [[int(at.get((x, y), 0)) for x in columns] for y in rows]
    assert counts == FIGURES["digits"]["confusion"]


def test_chart_interpolates_between_grid_lines():
    plain = Chart(x=(0, 10), y=(50, 100), left=0, top=0, width=100, height=200)
    assert plain.at([0, 5, 10], [50, 75, 100]) == [(0, 200), (50, 100), (100, 0)]
    logarithmic = Chart(x=(1, 256), y=(0, 1), left=0, top=0, width=80, height=1, logarithmic=True)
    assert [logarithmic.across(2**power) for power in range(9)] == pytest.approx([10 * power for power in range(9)])
