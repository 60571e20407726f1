"""HTML of specs and models in notebooks."""

import json
import re
from html.parser import HTMLParser
from typing import Annotated

import pytest
import torch
from pydantic import Field
from torch import nn

from rnnkit import Backbone, Catalog, Kind, Options, RecurrentSpec, build_model, register_kind
from rnnkit.specs import UnresolvedOptions
from rnnkit.testing import use_catalog
from tests.helpers.models import small_model, small_spec

HOSTILE = "<script>alert('&\"')<!--"
TAGS = {"div", "strong", "code", "span", "table", "thead", "tbody", "tr", "th", "td", "pre"}


class Page(HTMLParser):
    """The elements of a page with their attributes, and the cells of its tables by row."""

    def __init__(self, html):
        super().__init__()
        self.tags, self.attributes, self.open, self.rows, self.text = set(), [], [], [], ""
        self.feed(html)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attributes):
        self.tags.add(tag)
        self.attributes += attributes
        self.open.append(tag)
        if tag == "tr":
            self.rows.append(([], dict(attributes)))
        if tag in ("td", "th"):
            self.rows[-1][0].append("")

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_comment(self, data):
        raise AssertionError(data)

    def handle_data(self, data):
        self.text += data
        if self.open and ("td" in self.open or "th" in self.open):
            self.rows[-1][0][-1] += data

    @property
    def cells(self):
        return [cells for cells, _ in self.rows]

    @property
    def faint(self):
        return [cells[0] for cells, attributes in self.rows if "opacity" in attributes.get("style", "")]


def page(shown):
    return Page(shown._repr_html_())


def values(spec):
    return dict(page(spec).cells[1:])


@pytest.fixture
def hostile():
    class HostileOptions(Options):
        option: Annotated[str, Field(description=HOSTILE)] = HOSTILE

    class HostileBackbone(Backbone):
        def __init__(self, spec, *, device, dtype):
            super().__init__(spec, features=1)

        def state_shapes(self, batch_size):
            return ()

        def run(self, x, state, lengths):
            return x, ()

    HostileBackbone.__name__ = HOSTILE
    kind = HOSTILE.replace("/", "")
    with register_kind(
        Kind(name=kind, builder=HostileBackbone, options=HostileOptions, summary="A test.")
    ) as registered:
        yield RecurrentSpec(kind=registered.name, input_size=1, hidden_size=1, options={"option": HOSTILE + "!"})


def test_spec_shows_every_field_and_option(kind):
    spec = small_spec(kind, bidirectional=True, readout="mean")
    plain = spec.to_dict()
    options = {f"options.{name}": value for name, value in plain.pop("options").items()}
    assert plain.pop("kind") in page(spec).text
    assert values(spec) == {name: repr(value) for name, value in (plain | options).items()}


def test_defaults_are_faint():
    spec = RecurrentSpec(
        kind="rnn", input_size=3, hidden_size=4, output_size=None, bias=False, options={"nonlinearity": "relu"}
    )
    shown = page(spec)
    defaults = ["output_size", "num_layers", "batch_first", "dropout", "bidirectional", "readout"]
    defaults += ["readout_dropout", "num_embeddings", "padding_idx", "tie_weights"]
    assert shown.faint == [*defaults, "options.recurrent_init"]


def test_fields_have_tooltips():
    titles = [value for name, value in page(small_spec("lstm")).attributes if name == "title"]
    assert "Number of input features at each step." in titles
    assert len(titles) == len(values(small_spec("lstm")))


def test_model_shows_layers_size_dtype_and_device(kind):
    model = small_model(kind, bidirectional=True, dtype=torch.float32)
    shown = page(model)
    parameters = sum(parameter.numel() for parameter in model.parameters())
    assert [cells[0] for cells in shown.cells] == ["layer", "layer 0", "layer 1", "readout"]
    assert sum(int(cells[-1].replace(",", "")) for cells in shown.cells[1:]) == parameters
    assert shown.cells[-1][2] == "(batch, 2)"
    for fact in (kind, f"{parameters:,} parameters", "float32", "cpu", "training"):
        assert fact in shown.text
    assert "evaluation" in page(model.eval()).text


@pytest.mark.parametrize(
    ("size", "words"),
    [
        (8, "8 bytes"),
        (996, "996 bytes"),
        (1_000, "1.0 kB"),
        (999_948, "999.9 kB"),
        (999_952, "1.0 MB"),
        (6_400_160_004, "6.4 GB"),
        (1_234_567_000_000_000_000, "1,234.6 PB"),
    ],
)
def test_model_shows_its_size(size, words):
    spec = RecurrentSpec(kind="rnn", input_size=1, hidden_size=1, bias=False)  # two parameters
    model = build_model(spec, device="meta", dtype=torch.float32)
    model.more = nn.Parameter(torch.empty(size // 4 - 2, device="meta"))
    assert f"· {words} ·" in page(model).text


def test_model_on_meta_device_has_html():
    model = build_model(RecurrentSpec(kind="lstm", input_size=1, hidden_size=10**5), device="meta")
    assert "meta" in page(model).text
    assert page(model).cells[1][-1] == f"{4 * 10**5 * (1 + 10**5 + 2):,}"


def test_modified_model_shows_its_current_layers():
    model = small_model("lstm_cell", dtype=torch.float32)
    before = sum(parameter.numel() for parameter in model.parameters())
    model.head = nn.Linear(2, 3)
    model.readout.linear = nn.Linear(6, 2, bias=False, dtype=torch.float64)
    model.backbone.requires_grad_(False)
    frozen = sum(parameter.numel() for parameter in model.backbone.parameters())
    shown = page(model)
    assert f"{before - 2 + 9:,} parameters ({frozen:,} frozen)" in shown.text
    assert shown.cells[-2:] == [["readout", "last, Linear", "(batch, 2)", "12"], ["added", "RecurrentModel", "", "9"]]
    assert "float32 · float64" in shown.text


def test_replaced_readout_or_backbone_is_shown():
    model = small_model("rnn")
    model.readout = nn.Identity()
    model.backbone = nn.Sequential(nn.Linear(3, 4), nn.Linear(4, 5))
    assert page(model).cells[1:] == [
        ["backbone.0", "Linear", "", "16"],
        ["backbone.1", "Linear", "", "25"],
        ["readout", "Identity", "", "0"],
    ]


def test_middle_rows_of_a_deep_model_are_left_out():
    cells = page(small_model("rnn", num_layers=200)).cells
    assert [row[0] for row in cells[10:13]] == ["layer 9", "181 more", "layer 191"]
    assert cells[-1][0] == "readout"
    assert [row[0] for row in page(small_model("rnn", num_layers=20)).cells[10:13]] == [
        "layer 9",
        "layer 10",
        "layer 11",
    ]


def test_html_is_escaped(hostile):
    spec, model = page(hostile), page(build_model(hostile))
    assert (spec.tags | model.tags) <= TAGS
    assert hostile.kind in spec.text
    assert hostile.kind in model.text
    assert spec.cells[-1] == ["options.option", repr(hostile.options.option)]
    assert ("title", HOSTILE) in spec.attributes
    assert model.cells[1] == ["backbone", HOSTILE, "(batch, time, 1)", "0"]
    assert {name for name, _ in [*spec.attributes, *model.attributes]} <= {"style", "title"}


@pytest.mark.parametrize("shown", [small_spec("lstm_cell"), small_model("lstm_cell")], ids=["spec", "model"])
def test_html_has_no_external_resources_and_no_fixed_colours(shown):
    html = shown._repr_html_()
    assert Page(html).tags <= TAGS
    styles = " ".join(value for name, value in Page(html).attributes if name == "style")
    assert not re.search(r"url\(|import|expression", styles)
    # no colour but half-transparent gray lines: text and ground are the page's own
    assert not re.search(r"(?<!-)\b(color|background)\b", styles)
    assert set(re.findall(r"#\w+|rgba?\([^)]*\)|hsl", styles)) == {"rgba(128,128,128,.45)"}


def test_cells_set_their_alignment():
    html = small_model("rnn")._repr_html_()
    cells = re.findall(r"<t[hd] ([^>]*)>", html)
    assert len(cells) == 4 * 4
    assert all("text-align:" in cell for cell in cells)
    assert sum("text-align:right" in cell for cell in cells) == 4  # the numbers


def test_unresolved_spec_has_html():
    options = UnresolvedOptions.of({"text": "{}", "deep": [None, 1]}, plugin="rnnkit-nbrc==0.1.0")
    spec = RecurrentSpec(kind="rnnkit-nbrc/nbrc", input_size=1, hidden_size=2, options=options)
    shown = page(spec)
    assert "not installed: rnnkit-nbrc==0.1.0" in shown.text
    assert {"options.text": "'{}'", "options.deep": "[None, 1]"}.items() <= values(spec).items()
    assert not any(name.startswith("options.") for name in shown.faint)


def test_fallback_is_the_repr():
    spec = small_spec("rnn")
    object.__setattr__(spec, "options", HOSTILE)
    shown = page(spec)
    assert shown.tags == {"pre"}
    model = small_model("rnn")
    del model.spec
    model.extra_repr = lambda: "a model without its spec"
    assert page(model).tags == {"pre"}
    assert page(model).text == repr(model)


def test_fallback_works_without_a_repr():
    def raising():
        raise RuntimeError("no words for this")

    model = small_model("rnn")
    del model.spec
    model.extra_repr = raising
    assert page(model).tags == {"pre"}
    assert "RecurrentModel object at" in page(model).text


def test_spec_of_a_removed_kind_has_html():
    spec = small_spec("lstm")
    with use_catalog(Catalog(list)):
        assert json.dumps(values(spec)["hidden_size"]) == '"6"'
