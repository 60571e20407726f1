"""The pages that explain: their drawings say what is so, and no mistake of hand-written models is left out."""

import ast
import json
import re
import tomllib

import pytest
import torch

import rnnkit
from docs.pictures import flow, padding
from docs.pictures import plan as plan_drawing
from docs.site import kernels
from rnnkit import RecurrentSpec, build_model
from tests.helpers.pages import PAGES, ROOT
from tests.helpers.torchrecurrent_cells import NAMES

EXPLANATION = ROOT / "docs/explanation"
DRAWINGS = {"architecture.md": flow, "padding_and_directions.md": padding, "plans.md": plan_drawing}
# what the patterns of hand-written models get wrong, each with the section that makes the mistake
MISTAKES = {
    "The last step of a bidirectional layer": ["out[:, -1]", "h_n[-1]"],
    "Padding changes the last step": ["torch.zeros(1, padding, 4)", "pad_packed_sequence"],
    "Sequences of length zero": ["torch.tensor([5, 0])", "clamp(min=1)"],
    "Hard-coded zero initial states": ["torch.zeros(2, x.size(0), 20)", '"meta"', "float64"],
    "One state tensor shared by all layers": ["[zeros] * 2"],
    "`batch_first` forgotten": ["nn.LSTM(10, 20)  #"],
    "Two dimensions instead of three": ["torch.randn(3, 10, "],
    "Dropout without effect": ["dropout=0.5", "num_layers=2"],
    "Initial weights of nn.LSTM": ["bias_hh_l0.chunk(4)[1]", "svdvals", "recurrent_init"],
    "torch.export with a dynamic number of steps": ["nn.RNN, nn.LSTM, nn.GRU", "class Loop", "Dim.AUTO"],
    "ONNX with a dynamic number of steps": ["torch.onnx.export", "onnxruntime.InferenceSession", "9 steps: False"],
}
PYTHON = re.compile(r"^```python\n.*?^```\n", re.DOTALL | re.MULTILINE)


def text_of(page):
    return (EXPLANATION / page).read_text(encoding="utf-8")


def room(module):
    """The room of a module: the first part of its dotted name."""
    return module.partition(".")[0]


def layers():
    """The place of each room in the order of imports, from the top down."""
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    [contract] = [each for each in settings["tool"]["importlinter"]["contracts"] if "Subpackages" in each["name"]]
    lines = [re.findall(r"rnnkit\.(\w+)", line) for line in contract["layers"]]
    return {name: place for place, names in enumerate(lines) for name in names}


def files_of(module):
    path = ROOT / "registry/rnnkit" / module.replace(".", "/")
    return sorted(path.rglob("*.py")) if path.is_dir() else [path.with_suffix(".py")]


def imported_by(module):
    """Return the rnnkit modules, and the rooms of public names, that a module or package imports at any level."""
    names = set()
    for path in files_of(module):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and node.module == "rnnkit":
                names |= {room(rnnkit._ROOM_OF.get(alias.name, alias.name)) for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("rnnkit."):
                names |= {node.module.removeprefix("rnnkit."), room(node.module.removeprefix("rnnkit."))}
    return names


@pytest.mark.parametrize("page", DRAWINGS)
def test_drawing_is_up_to_date(page):
    drawing = DRAWINGS[page]
    assert f'--8<-- "{drawing.FILE.relative_to(ROOT).as_posix()}"' in text_of(page)
    drawn = drawing.FILE.read_text(encoding="utf-8")
    assert drawn == drawing.picture(), f"if that is right: python -m {drawing.__name__}"


@pytest.mark.parametrize("page", DRAWINGS)
def test_drawing_uses_the_theme_colors(page):
    """Any colour is a variable of the page, with one of its own where the drawing stands alone."""
    drawn = DRAWINGS[page].picture()
    without = re.sub(r"var\(--[\w-]+, #[0-9a-f]{3,6}\)", "", drawn)
    assert "var(--rnnkit-" in drawn
    assert not re.search(r"#[0-9a-fA-F]{3,6}\b|rgb|(fill|stroke): (?!;|none|\d)\w", without)


def test_boxes_of_the_flow_are_existing_modules():
    drawn = [module for box in (*flow.BOXES, flow.MODEL) for module in box.modules]
    assert len(drawn) > 5
    assert [module for module in drawn if not all(path.exists() for path in files_of(module))] == []
    assert set(map(room, drawn)) <= layers().keys()
    packages = [each for each in drawn if (ROOT / "registry/rnnkit" / each.replace(".", "/")).is_dir()]
    assert sorted(flow.PACKAGES) == sorted(packages)


@pytest.mark.parametrize(("importer", "imported"), [arrow.imports for arrow in flow.ARROWS if arrow.imports])
def test_arrows_of_the_flow_are_downward_imports(importer, imported):
    if room(importer) == room(imported):
        assert imported in imported_by(importer)
    else:
        assert room(imported) in imported_by(importer)
        assert layers()[room(importer)] < layers()[room(imported)]


def boxes_at(point):
    """The modules of the boxes on whose border a point is."""
    x, y = point
    return {
        module
        for box in (*flow.BOXES, flow.MODEL)
        for module in box.modules
        if max(abs(x - box.middle[0]) * 2 - box.size[0], abs(y - box.middle[1]) * 2 - box.size[1]) == 0
    }


@pytest.mark.parametrize("arrow", flow.ARROWS, ids=lambda arrow: "-".join(arrow.imports or ["plugin"]))
def test_arrows_of_the_flow_connect_boxes(arrow):
    start, end = boxes_at(arrow.points[0]), boxes_at(arrow.points[-1])
    assert start
    assert end
    if arrow.imports is not None:
        assert any({one, other} == {*arrow.imports} for one in start for other in end)


def test_arrows_without_an_import_belong_to_plugins():
    made = [boxes_at(arrow.points[0]) for arrow in flow.ARROWS if arrow.imports is None]
    assert all("kind" in modules for modules in made)


def test_imports_run_down_the_layers():
    [chain] = re.findall(r"^```text\n(cli >.*?)^```$", text_of("architecture.md"), re.DOTALL | re.MULTILINE)
    places = [{layers()[module] for module in re.findall(r"\w+", link)} for link in chain.split(">")]
    assert [len(place) for place in places] == [1] * len(places), "modules between commas are of one layer"
    assert places == sorted(places, key=min)


@pytest.mark.parametrize("name", kernels.TABLES)
def test_tables_match_the_figures(name):
    shown = (ROOT / "docs/measured" / name).read_text(encoding="utf-8")
    assert shown == kernels.TABLES[name](), "run python -m docs.site.kernels"


def test_every_cell_of_torchrecurrent_is_measured():
    """`tauGRU` is left out, whose layer hands delayed states to its cell."""
    results = json.loads((ROOT / "docs/measured/third_party.json").read_text(encoding="utf-8"))["results"]
    assert {f"{each['name']}Cell" for each in results} == set(NAMES) - {"tauGRUCell"}
    assert {each["executor"] for each in results} == {"kernels"}


def test_plan_drawing_shows_the_operators_of_the_page():
    [plan] = re.findall(r"^```text\n(  stage 0.*?)^```$", text_of("plans.md"), re.DOTALL | re.MULTILINE)
    _, *stages = plan.split("  stage ")
    names = [re.findall(r"= (?!copy)(\w+)\(", stage) for stage in stages]
    assert names == [list(stage) for stage in plan_drawing.STAGES]


def test_padding_drawing_shows_the_steps_that_were_read(kind):
    """By the gradients of a model: on which steps each half of its output depends, and what its readout takes."""
    spec = RecurrentSpec(kind=kind, input_size=3, hidden_size=4, bidirectional=True, readout="all")
    x = torch.randn(len(padding.LENGTHS), padding.TIME, 3, requires_grad=True)
    output = build_model(spec)(x, lengths=torch.tensor(padding.LENGTHS))

    def read(row, step, half):
        (gradient,) = torch.autograd.grad(output[row, step, half].sum(), x, retain_graph=True)
        steps = gradient[row].any(-1).nonzero().flatten().tolist()
        assert steps == list(range(steps[0], steps[-1] + 1))
        return steps[0], steps[-1]

    for row, length in enumerate(padding.LENGTHS):
        found = [[read(row, step, half) for step in range(length)] for half in (slice(4), slice(4, 8))]
        assert found == [padding.forward_reads(length), padding.reverse_reads(length)]


def test_readout_selects_the_highlighted_boxes():
    """Where the drawing has a thick box, a direction has read its whole row, and `last` gives what it has there."""
    spec = RecurrentSpec(kind="gru", input_size=3, hidden_size=4, bidirectional=True)
    model = build_model(spec)
    x, lengths = torch.randn(len(padding.LENGTHS), padding.TIME, 3), torch.tensor(padding.LENGTHS)
    output, _ = model.backbone(x, lengths=lengths)
    for row, length in enumerate(padding.LENGTHS):
        ends = [
            reads.index((0, length - 1)) for reads in (padding.forward_reads(length), padding.reverse_reads(length))
        ]
        taken = torch.cat([output[row, ends[0], :4], output[row, ends[1], 4:]])
        torch.testing.assert_close(model(x, lengths=lengths)[row], taken)
        lanes = [padding.forward(0, length), padding.reverse(0, length)]
        thick = [[box for box in lane if "taken" in box] for lane in lanes]
        middles = [f'x="{padding.at(end) - padding.BOX[0] / 2:g}"' for end in ends]
        assert all(middle in box for middle, [box] in zip(middles, thick, strict=True))


def sections():
    """The sections of the page about hand-written models, by their headings."""
    _, *parts = re.split(r"^## (.*)\n", text_of("handwritten_models.md"), flags=re.MULTILINE)
    return dict(zip(parts[::2], parts[1::2], strict=True))


def test_each_mistake_of_handwritten_models_has_a_section():
    assert list(sections()) == list(MISTAKES)


@pytest.mark.parametrize("mistake", MISTAKES)
def test_mistake_is_shown_explained_and_fixed(mistake):
    """By code that prints what goes wrong, then by words, then by code that does without."""
    made, explained, undone = re.split(r"^\*\*(?:Why\.|In rnnkit)\*\*", sections()[mistake], flags=re.MULTILINE)
    assert re.search(r"^```\n\n```text\n.+", made, re.MULTILINE), "nothing shows the mistake"
    assert len(explained.split()) > 30
    assert "build_model(" in "".join(PYTHON.findall(undone)), "nothing shows what rnnkit does"
    assert [words for words in MISTAKES[mistake] if words not in sections()[mistake]] == []


def test_table_of_mistakes_links_to_each_section():
    table = re.findall(r"^\| \[.*\]\(#(.+?)\) \|", text_of("handwritten_models.md"), re.MULTILINE)
    anchors = [re.sub(r"[^\w\s-]", "", heading).lower().replace(" ", "-") for heading in sections()]
    assert table == anchors


def test_links_to_issues_have_their_number():
    text = "".join(text_of(page.name) for page in EXPLANATION.glob("*.md"))
    links = re.findall(r"\[([\w-]+)#(\d+)\]\(https://github\.com/[\w-]+/([\w-]+)/issues/(\d+)\)", text)
    assert len(links) > 5
    for name, number, repository, reported in links:
        assert (name.lower(), number) == (repository.lower(), reported)
    assert text.count("github.com/") == len(links)


def test_every_page_is_tested():
    assert {*EXPLANATION.glob("*.md")} <= {*PAGES}
