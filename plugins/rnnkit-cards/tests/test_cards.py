"""Model cards agree with the code and with the measurements, for built-in kinds and for plugins."""

import json
import re
import sys
from dataclasses import replace
from datetime import date
from html.parser import HTMLParser
from importlib.util import module_from_spec, spec_from_file_location
from itertools import pairwise

import pytest
import torch
import yaml
from click.testing import CliRunner
from torch.nn import functional as F
from torch.utils.data import TensorDataset

from docs.pictures import choose
from docs.site.example_plugin import example_installed
from docs.site.kinds import COMPARED, FOLDER, pages
from docs.site.kinds_index import ENTRIES
from rnnkit import (
    Backbone,
    Catalog,
    Cell,
    CellState,
    InputError,
    Kind,
    Paper,
    PluginError,
    RecurrentSpec,
    StackOptions,
    build_model,
    cell_kind,
    describe_options,
    get_kind,
    list_kinds,
    register_kind,
    summarize_spec,
)
from rnnkit.equation import FUNCTIONS as KNOWN_FUNCTIONS
from rnnkit.equation import Equation, name_of
from rnnkit.testing import all_checks, use_catalog
from rnnkit_cards import (
    Links,
    card_path,
    card_text,
    digits,
    load_measurements,
    measure,
    measurements_path,
    save_measurements,
)
from rnnkit_cards._command import command
from rnnkit_cards.baseline import TorchLSTM
from rnnkit_cards.capabilities import CAPABILITIES, support
from rnnkit_cards.card_context import CardContext
from rnnkit_cards.equation_lines import factor_after, gates_of
from rnnkit_cards.links import NO_LINKS
from rnnkit_cards.sections.header import header
from rnnkit_cards.symbols import FUNCTIONS, symbol_rows
from tests.helpers.cells import SimpleCell
from tests.helpers.healthy import HEADS_EQUATION, HeadsCell
from tests.helpers.pages import ROOT, run_page

KINDS = [*ENTRIES]
NAMES = [kind.rpartition("/")[2] for kind in KINDS]
ABOUT_ALL_KINDS = {"compare", "gallery", "index", "leaderboard", "spec_builder", "speed"}  # pages
each_kind = pytest.mark.parametrize("shown", KINDS, ids=NAMES)
# meanings of symbols that the author did not explain
UNEXPLAINED = {"", "defined by its line", "gate, between 0 and 1"}
OF_CORE = {"gru", "gru_cell", "lstm", "lstm_cell", "nbrc", "rnn", "rnn_cell"}
QUICK = {"only": ["step_matches_equation", "output_shape"], "epochs": 1, "seconds": 0.01}


@pytest.fixture(scope="module")
def rendered():
    """Each page as generated from today's code, by file name."""
    with example_installed():
        return {page.name: text for page, text in pages()}


@pytest.fixture
def _with_example():
    with example_installed():
        yield


def run_card(*arguments):
    """Run `rnnkit card` with the kinds that are installed now; return its output and exit status."""
    with use_catalog(Catalog()):
        result = CliRunner().invoke(command, [*map(str, arguments)], prog_name="rnnkit card", env={"COLUMNS": "80"})
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


def on_disk(kind):
    return card_path(FOLDER, kind).read_text(encoding="utf-8")


def measured(kind):
    """The measurements as plain JSON."""
    return json.loads(measurements_path(FOLDER, kind).read_text(encoding="utf-8"))


def section(page, heading):
    """The text below a heading, up to the next one of its level."""
    return re.split(rf"\n## {heading}(?: {{.*}})?\n", page, maxsplit=1)[1].split("\n## ", 1)[0]


def table_cells(text):
    """The rows of all Markdown tables in a text, without headings."""
    rows = [re.split(r"(?<!\\)\|", line)[1:-1] for line in text.splitlines() if line.startswith("|")]
    cells = [[cell.strip() for cell in row] for row in rows]
    rules = {place for place, row in enumerate(cells) if all(re.fullmatch(":?-+:?", cell) for cell in row)}
    return [row for place, row in enumerate(cells) if place not in rules and place + 1 not in rules]


# Up to date


@pytest.mark.parametrize("name", [*(f"{name}.md" for name in NAMES), "index.md"])
def test_page_on_disk_is_up_to_date(rendered, name):
    assert (FOLDER / name).read_text(encoding="utf-8") == rendered[name], "python -m docs.site.kinds"


def test_data_of_comparisons_are_up_to_date(rendered):
    assert (FOLDER.parent / COMPARED).read_text(encoding="utf-8") == rendered["compare_data.js"], "docs.site.kinds"


@pytest.mark.usefixtures("_with_example")
def test_every_builtin_kind_has_a_page_and_an_entry():
    assert {kind for kind in list_kinds() if "/" not in kind} <= set(KINDS) <= set(list_kinds())
    assert sorted(NAMES) == sorted(page.stem for page in FOLDER.glob("*.md") if page.stem not in ABOUT_ALL_KINDS)


@each_kind
def test_measurements_record_date_machine_and_versions(shown):
    found = measured(shown)
    assert found["kind"] == shown
    assert date(2025, 1, 1) < date.fromisoformat(found["date"]) <= date.today()  # noqa: DTZ011
    assert found["machine"]["processor"]
    assert found["machine"]["system"]
    assert set(found["versions"]) == {"rnnkit", "plugin", "torch", "python"}
    assert found["versions"]["plugin"].startswith("rnnkit-nbrc==" if "nbrc" in shown else "rnnkit==")


@each_kind
def test_measurements_contain_every_check(shown):
    assert [each["check"] for each in measured(shown)["checks"]] == [each.name for each in all_checks()]
    assert [each["text"] for each in measured(shown)["checks"]] == [each.text for each in all_checks()]


def test_measurements_round_trip(tmp_path):
    found = load_measurements(measurements_path(FOLDER, "lstm"))
    save_measurements(found, tmp_path / "new" / "lstm.json")
    assert load_measurements(tmp_path / "new" / "lstm.json") == found
    assert (tmp_path / "new" / "lstm.json").read_bytes() == measurements_path(FOLDER, "lstm").read_bytes()


# Content of the pages


@each_kind
def test_times_on_page_equal_measurements(shown):
    text = section(on_disk(shown), "Speed")
    for row, found in zip(table_cells(text), measured(shown)["speed"], strict=True):
        assert row[0].startswith(f"**{found['shape']}**")
        sizes = ", ".join(f"`{name}` {size}" for name, size in found["sizes"].items())
        assert f"\n- {found['shape']}: {sizes}\n" in text
        for cell, way in zip(row[1:], ("forward", "training"), strict=True):
            ratio, ours, theirs = map(float, re.findall(r"[\d.]+", cell))
            assert ratio == pytest.approx(found[way]["milliseconds"] / found[way]["lstm_milliseconds"], abs=0.006)
            assert ours == pytest.approx(found[way]["milliseconds"], abs=0.06)
            assert theirs == pytest.approx(found[way]["lstm_milliseconds"], abs=0.06)


@each_kind
def test_page_shows_date_and_machine(shown):
    found, text = measured(shown), section(on_disk(shown), "Speed")
    plugin = found["versions"]["plugin"].replace("==", " ")
    for fact in (found["date"], found["machine"]["processor"], f"torch {found['versions']['torch']}", plugin):
        assert fact in text


@each_kind
def test_learning_curve_equals_measured_accuracies(shown):
    text, found = section(on_disk(shown), "Learning curve"), measured(shown)["learning"]
    assert f"**{100 * found['accuracies'][-1]:.1f} %**" in text
    assert f"`torch.nn.LSTM`: {100 * found['lstm_accuracies'][-1]:.1f} %" in text
    scale = [
        (float(y), int(percent) / 100)
        for y, percent in re.findall(r'<path d="M[\d.]+ ([\d.]+)H.*?\n<text.*?>(\d+) %</text>', text)
    ]
    (top, most), (bottom, least) = scale[0], scale[-1]
    lines = [re.findall(r"([\d.]+),([\d.]+)", points) for points in re.findall(r'polyline points="(.*?)"', text)]
    for line, accuracies in zip(lines, (found["lstm_accuracies"], found["accuracies"]), strict=True):
        heights = [most - (float(y) - top) / (bottom - top) * (most - least) for _, y in line]
        assert heights == pytest.approx(accuracies, abs=0.002)
        assert all(float(x) < float(later) for (x, _), (later, _) in pairwise(line))


@each_kind
@pytest.mark.usefixtures("_with_example")
def test_parameter_count_equals_that_of_a_model(shown):
    model = build_model(RecurrentSpec(kind=shown, input_size=64, hidden_size=128))
    count = sum(parameter.numel() for parameter in model.parameters())
    assert f"| parameters | {count:,} |" in section(on_disk(shown), "Parameters")


@each_kind
@pytest.mark.usefixtures("_with_example")
def test_page_lists_every_option(shown):
    rows = table_cells(section(on_disk(shown), "Options"))
    assert sorted(row[0].strip("`") for row in rows) == sorted(
        field.name for field in describe_options(get_kind(shown).options)
    )
    assert all(row[3] for row in rows)


@each_kind
@pytest.mark.usefixtures("_with_example")
def test_page_lists_every_part_of_the_state_with_its_shape(shown):
    rows = {row[0]: row[1:] for row in table_cells(section(on_disk(shown), "Shapes"))}
    backbone = build_model(RecurrentSpec(kind=shown, input_size=10, hidden_size=20)).backbone
    _, state = backbone(torch.zeros(32, 50, 10))
    layer = state if hasattr(state, "_fields") else state[0]
    for name, part in layer._asdict().items():
        [cells] = [cells for head, cells in rows.items() if f"`{name}`" in head]
        assert cells[0] == f"`{tuple(part.shape)}`"


@each_kind
@pytest.mark.usefixtures("_with_example")
def test_page_explains_every_symbol_of_the_equation(shown):
    latex = get_kind(shown).equation
    if not latex:
        return
    rows = table_cells(section(on_disk(shown), "Equation"))
    symbols = {symbol for row in rows for symbol in re.findall(r"\\\((.*?)\\\)", row[0])}
    explained = {name_of(symbol) for symbol in symbols - {r"\odot"}}
    equation = Equation(latex)
    assert explained == {*equation.symbols, *equation.defined}
    assert all(row[1] not in UNEXPLAINED for row in rows)
    assert (r"\(\odot\)" in section(on_disk(shown), "Equation")) == (r"\odot" in latex)


def test_every_symbol_of_an_installed_kind_has_a_meaning(kind):
    rows = symbol_rows(CardContext.of(kind)) if get_kind(kind).equation else []
    assert [row.symbols for row in rows if row.meaning in UNEXPLAINED] == []


@each_kind
@pytest.mark.usefixtures("_with_example")
def test_symbols_are_in_the_parameters_that_the_table_names(shown):
    if not get_kind(shown).equation:
        return
    context = CardContext.of(shown)
    backbone = context.layer.backbone
    module = backbone.cells[0] if hasattr(backbone, "cells") else backbone
    rows = [row for row in symbol_rows(context) if row.parameter]
    named = {row.parameter.split("`")[1] for row in rows}
    assert named <= {name for name, _ in module.named_parameters()}
    if shown not in OF_CORE:  # others may have parameters inside the functions of their equation, and blocks of them
        return
    assert named == {name for name, _ in module.named_parameters()}
    for row in rows:
        parameter = dict(module.named_parameters())[row.parameter.split("`")[1]]
        blocks = parameter.detach().chunk(len(row.symbols))
        for symbol, block in zip(row.symbols, blocks, strict=True):
            assert torch.equal(module.symbols()[symbol], block), symbol


@pytest.mark.usefixtures("_with_example")
def test_torch_kinds_and_their_cells_use_the_same_symbols():
    for name in ("rnn", "lstm", "gru"):
        module = build_model(RecurrentSpec(kind=name, input_size=3, hidden_size=5)).backbone
        cell = build_model(RecurrentSpec(kind=f"{name}_cell", input_size=3, hidden_size=5)).backbone.cells[0]
        for part in ("weight_ih", "weight_hh", "bias_ih", "bias_hh"):
            getattr(cell, part).data = getattr(module.rnn, f"{part}_l0").data
        of_module, of_cell = module.symbols(), cell.symbols()
        assert of_module.keys() == of_cell.keys()
        for symbol, value in of_module.items():
            assert symbol == r"\phi" or torch.equal(value, of_cell[symbol]), symbol


def test_every_function_of_equations_has_a_meaning():
    assert set(KNOWN_FUNCTIONS) <= set(FUNCTIONS)


@pytest.mark.parametrize(
    ("name", "gates"), [("lstm", ("i_t", "f_t", "o_t")), ("gru", ("r_t", "z_t")), ("rnn", ()), ("nbrc", ("c_t",))]
)
@pytest.mark.usefixtures("_with_example")
def test_gates_are_lines_with_a_logistic_function(name, gates):
    assert gates_of(get_kind(name).equation) == gates


def test_a_logistic_function_inside_an_expression_is_not_a_gate():
    latex = r"a_t &= \sigma(x_t) \odot h_{t-1} \\ b_t &= \operatorname{sigmoid}(W x_t) \\ "
    latex += r"c_t &= \sigma(b_t) a_t \\ h_t &= 1 - \sigma(b_t) \\ d_t &= \sigma(b_t)^{-1}"
    assert gates_of(latex) == ("b_t",)


def test_factor_after_a_weight():
    latex = r"h_t &= \tanh(W^\top x_t + U (r_t \odot \mathbf{h}_{t-1}) + V [a; b])^2"
    factors = {"W": "x_t", "U": r"(r_t\odot\mathbf{h}_{t-1})", "V": "[a;b]", "b": ""}
    assert {name: factor_after(latex, name) for name in factors} == factors


@each_kind
@pytest.mark.usefixtures("_with_example")
def test_example_runs_and_prints_the_shown_output(shown, tmp_path):
    assert "```python" in on_disk(shown)
    run_page(card_path(FOLDER, shown), tmp_path)


@each_kind
def test_capabilities_agree_with_the_checks(shown):
    outcomes = {each["check"]: each["outcome"] for each in measured(shown)["checks"]}
    text = section(on_disk(shown), "Capabilities").partition("<details")[0]
    [supported] = re.findall(r"^\*\*Supported:\*\* (.*)\.$", text, re.MULTILINE)
    others = {re.sub(r"^\[(.*)\]\(.*", r"\1", row[0]): row[1:] for row in table_cells(text)}
    features = [re.sub(r"^\[(.*)\]\(.*", r"\1", feature) for feature in supported.split("; ")]
    for capability in CAPABILITIES:
        if all(outcomes[name] == "passed" for name in capability.checks):
            assert capability.feature in features
        else:
            answer, reason = others[capability.feature]
            assert answer == "**no**"
            assert reason
    assert len(features) + len(others) == len(CAPABILITIES)


def test_a_feature_with_a_check_that_was_not_run_is_not_measured(leaky):
    two = next(each for each in CAPABILITIES if len(each.checks) == 2)
    outcome = replace(leaky.checks[0], check=two.checks[0], outcome="passed")
    assert support(two, replace(leaky, checks=(outcome,))) == ("not measured", "")
    failed = replace(outcome, outcome="failed", reason="It is wrong.")
    assert support(two, replace(leaky, checks=(failed,)))[0] == "broken"


def test_capabilities_name_existing_checks():
    assert {name for each in CAPABILITIES for name in each.checks} <= {each.name for each in all_checks()}


# The index page


class Table(HTMLParser):
    """The cells of the only HTML table in a text, and the attributes of its rows."""

    def __init__(self, text):
        super().__init__()
        self.rows, self.attributes = [], []
        self.feed(text[text.index("<table") : text.index("</table>")])

    def handle_starttag(self, tag, attrs):
        if tag == "tr":
            self.rows.append([])
            self.attributes.append(dict(attrs))
        elif tag in {"td", "th"}:
            self.rows[-1].append("")
        elif tag == "small":
            self.rows[-1][-1] += " "

    def handle_data(self, data):
        if self.rows and self.rows[-1]:
            self.rows[-1][-1] += data


def index_rows():
    table = Table((FOLDER / "index.md").read_text(encoding="utf-8"))
    [heads, *rows] = [[cell.strip() for cell in row] for row in table.rows]
    return [dict(zip(heads, row, strict=True)) for row in rows], table.attributes[1:]


@pytest.mark.usefixtures("_with_example")
def test_index_table_equals_measurements():
    rows, attributes = index_rows()
    for kind, row, filters in zip(KINDS, rows, attributes, strict=True):
        found, record = measured(kind), get_kind(kind)
        [medium] = [each for each in found["speed"] if each["shape"] == "medium"]
        assert row["kind"].split()[0] == kind.rpartition("/")[2]
        for way in ("forward", "training"):
            ratio = medium[way]["milliseconds"] / medium[way]["lstm_milliseconds"]
            assert float(row[f"{way} LSTM = 1"]) == pytest.approx(ratio, abs=0.006)
        assert row["digits accuracy"] == f"{100 * found['learning']['accuracies'][-1]:.1f} %"
        model = build_model(RecurrentSpec(kind=kind, input_size=64, hidden_size=128))
        assert int(row["parameters 64 to 128"].replace(",", "")) == sum(each.numel() for each in model.parameters())
        summary = summarize_spec(RecurrentSpec(kind=kind, input_size=64, hidden_size=128), time=1)
        assert int(row["state bytes"].replace(",", "")) == summary.state_bytes
        assert int(row["multiply-adds per step"].replace(",", "")) == summary.multiply_adds_per_step
        assert int(row["weights bytes"].replace(",", "")) == summary.weight_bytes
        [exported] = [each["outcome"] for each in found["checks"] if each["check"] == "onnx_file_equals_model"]
        assert row["export ONNX"] == filters["data-export"] == ("yes" if exported == "passed" else "no")
        assert row["family"] == filters["data-family"] == (record.family or "other")
        parallel = record.cell is not None and record.cell.parallel_over_time
        assert row["parallel over time"] == ("yes" if parallel else "no")
        assert filters["data-sizes"] == ("yes" if record.sizes_per_layer else "no")
        assert filters["data-own"] == ("no" if "/" in kind else "yes")
        assert row["paper"].endswith(str(record.papers[0].year)) if record.papers else row["paper"] == "none"


def test_advice_agrees_with_measurements():
    text = (FOLDER / "index.md").read_text(encoding="utf-8").partition("<table")[0]
    times = {(kind, each["shape"]): each["forward"] for kind in KINDS for each in measured(kind)["speed"]}
    ratios = {key: each["milliseconds"] / each["lstm_milliseconds"] for key, each in times.items()}
    gru, rnn = ratios["gru", "long"], ratios["rnn", "long"]
    assert f"takes {gru:.1f} times the time of `torch.nn.LSTM` for `gru`, and {rnn:.1f} times" in " ".join(text.split())
    exports = [each for kind in KINDS for each in measured(kind)["checks"] if "onnx" in each["check"]]
    assert {each["outcome"] for each in exports} == {"passed"}
    assert all(measured(kind)["learning"]["accuracies"][-1] > 0.5 for kind in KINDS)
    refused = {"vmap_equals_loop", "per_sample_gradients"}
    for kind in KINDS:
        outcomes = {each["outcome"] for each in measured(kind)["checks"] if each["check"] in refused}
        assert outcomes == ({"not applicable"} if kind in {"rnn", "lstm", "gru"} else {"passed"})


def test_decision_diagram_links_to_existing_pages():
    drawn = choose.FILE.read_text(encoding="utf-8")
    assert drawn == choose.picture(), "run python -m docs.pictures.choose"
    pages = re.findall(r'href="(.+?)\.html"', drawn)
    assert len(pages) == len(choose.QUESTIONS) + 1
    assert [page for page in pages if not (FOLDER / f"{page}.md").is_file()] == []
    named = {name for *_, names in choose.QUESTIONS for name in re.findall(r"\w+", names)} - {"or"}
    assert named
    assert named <= {*KINDS}


# Measurements


def test_demo_task_equals_the_digits_example(monkeypatch):
    """Both give the same accuracies, because data, seed, batches and optimizer are the same."""
    spec = spec_from_file_location("digits_example", ROOT / "docs/examples/digits.py")
    example = module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "digits_example", example)
    spec.loader.exec_module(example)
    of_gru = RecurrentSpec(kind="gru", input_size=8, hidden_size=16, output_size=10)

    class Quiet:
        def track(self, epochs, description):
            return epochs

    theirs = example.train(of_gru, 2, small(example.load_data()), Quiet()).accuracies
    assert list(digits.train_on_digits(lambda: build_model(of_gru), small(digits.load_digits()), 2)) == theirs


def small(data):
    training, test = data
    return TensorDataset(*(tensor[:320] for tensor in training.tensors)), test


def test_baseline_equals_the_lstm_kind():
    spec = RecurrentSpec(kind="lstm", input_size=4, hidden_size=6, num_layers=2, output_size=3)
    torch.manual_seed(3)
    ours = build_model(spec)
    torch.manual_seed(3)
    theirs = TorchLSTM(4, 6, 2, 3)
    x = torch.randn(2, 5, 4)
    torch.testing.assert_close(theirs(x), ours(x))


def test_lstm_kind_learns_like_the_baseline():
    assert measured("lstm")["learning"]["accuracies"] == measured("lstm")["learning"]["lstm_accuracies"]


# Kinds of plugins


class LeakyOptions(StackOptions):
    """Options.

    Attributes:
        leak: share of the state that each step | replaces.
    """

    leak: float = 0.5


class LeakyCell(Cell):
    def __init__(self, input_size, hidden_size, *, leak=0.5, device=None, dtype=None):
        super().__init__(input_size, hidden_size, device=device, dtype=dtype)
        self.weight = self.new_parameter(hidden_size, input_size + hidden_size)
        self.leak = leak

    def step(self, projected_t, state):
        new = torch.tanh(F.linear(torch.cat([projected_t, state.h], -1), self.weight))
        h = torch.lerp(state.h, new, self.leak)
        return h, CellState(h)

    def symbols(self):
        return {"W": self.weight, r"\alpha": self.leak}


LEAKY = cell_kind(
    LeakyCell,
    name="leaky",
    summary="A leaky integrator.",
    options=LeakyOptions,
    equation=r"h_t &= (1 - \alpha) h_{t-1} + \alpha \tanh(W [x_t; h_{t-1}])",
    meanings={r"\alpha": "share of the state that each step replaces"},
)
PLUGIN = """
import torch
from torch.nn import functional as F
from rnnkit import Cell, CellState, cell_kind


class PlainCell(Cell):
    def __init__(self, input_size, hidden_size, *, device=None, dtype=None):
        super().__init__(input_size, hidden_size, device=device, dtype=dtype)
        self.weight = self.new_parameter(hidden_size, input_size)

    def step(self, projected_t, state):
        h = torch.sigmoid(F.linear(projected_t, self.weight)) * state.h + 0.1
        return h, CellState(h)


@hookimpl
def register_kinds(register):
    equation = r"g_t &= \\sigma(W x_t) \\\\ h_t &= g_t \\odot h_{t-1} + 0.1"
    register(cell_kind(PlainCell, name="plain", summary="A test.", equation=equation))
"""


@pytest.fixture(scope="module")
def measured_leaky():
    with register_kind(LEAKY):
        return measure("leaky", **QUICK)


@pytest.fixture
def leaky(measured_leaky):
    with register_kind(LEAKY):
        yield measured_leaky


def test_card_of_a_local_kind(leaky):
    page = card_text("leaky", leaky)
    assert page.count("\n## ") == 9
    assert "<svg" in section(page, "Equation")
    symbols = {row[0]: row[1:] for row in table_cells(section(page, "Equation"))}
    assert symbols[r"\(\alpha\)"][0] == "share of the state that each step replaces"
    assert symbols[r"\(W\)"][1:] == ["`(hidden_size, hidden_size + input_size)`", "`weight`"]
    assert table_cells(section(page, "Options"))[0][0] == "`leak`"
    assert "- **Streaming:** not measured\n" in page
    assert "- **Plan:** yes: an executor such as `rnnkit-kernels` can run the steps\n" in page
    assert table_cells(section(page, "Capabilities"))[0][:2] == ["bidirectional", "**not measured**"]
    assert "](../" not in page, "links to missing pages"


def test_links_point_to_rnnkit_docs(leaky):
    page = card_text("leaky", leaky, links=Links("../../docs"))
    assert "](../../docs/how_to/streams.md)" in page


def test_command_writes_and_checks_the_card_of_a_plugin(plugins, tmp_path, monkeypatch):
    plugins.install("plain", distribution="their-cells", source=PLUGIN)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("rnnkit_cards._measure.measure", lambda kind, progress: measure(kind, **QUICK))
    arguments = ("plain", "--folder", "pages")
    assert run_card(*arguments, "--measure").exit_code == 0
    page = tmp_path / "pages/plain.md"
    text = page.read_text(encoding="utf-8")
    assert "# their-cells/plain" in text.splitlines()
    assert "$$" in section(text, "Equation")
    assert "<svg" in section(text, "Equation")
    assert table_cells(section(text, "Capabilities"))

    green = run_card(*arguments, "--check")
    assert (green.exit_code, green.stdout) == (0, "pages/plain.md: up to date\n")
    assert run_card(*arguments).stdout == "pages/plain.md: up to date\n"
    page.write_text(text.replace("A test", "Another test"), encoding="utf-8")
    red = run_card(*arguments, "--check")
    assert red.exit_code == 1
    assert red.stderr == ("Error: pages/plain.md is out of date: run `rnnkit card their-cells/plain --folder pages`\n")
    assert page.read_text(encoding="utf-8") != text, "--check must not write"
    assert run_card(*arguments).stdout == "pages/plain.md: written\n"
    assert page.read_text(encoding="utf-8") == text
    page.unlink()
    assert "is missing" in run_card(*arguments, "--check").stderr


def test_command_without_measurements_says_what_to_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for arguments in ((), ("--check",)):
        result = run_card("gru", *arguments)
        assert result.exit_code == 1
        assert result.stderr.endswith("gru.json: run `rnnkit card gru --measure`\n")
    assert [*tmp_path.iterdir()] == []


def test_command_rejects_conflicting_arguments(plugins, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    plugins.install("twin", distribution="one-cells")
    plugins.install("twin", distribution="two-cells")
    assert run_card("gru", "--check", "--measure").exit_code == 2
    assert "have the same card" in run_card("one-cells/twin", "two-cells/twin").stderr
    assert run_card().exit_code == 2
    assert run_card("gruu").exit_code == 1


def test_wrong_measurements_are_rejected(tmp_path):
    with pytest.raises(InputError, match=r"'gru' needs measurements of it.*'lstm'"):
        card_text("gru", load_measurements(measurements_path(FOLDER, "lstm")))
    (tmp_path / "gru.json").write_text('{"format": 1, "kind": "gru"}')
    with pytest.raises(InputError, match="measure again"):
        load_measurements(tmp_path / "gru.json")


class SummingCell(SimpleCell):
    def step(self, projected_t, state):
        _, (h,) = super().step(projected_t, state)
        return h, CellState(torch.cumsum(h, -1))


def test_card_says_why_steps_have_no_plan():
    with register_kind(cell_kind(SummingCell, name="summing", summary="A sum of features.")):
        context = CardContext.of("summing")
        assert "- **Plan:** no: cumsum is not an instruction" in header(context, measure("summing", **QUICK), NO_LINKS)


def test_meanings_of_unknown_symbols_are_rejected():
    wrong = replace(LEAKY, meanings={r"\beta": "of nothing"})
    with register_kind(wrong), pytest.raises(PluginError, match=r"explains \\beta"):
        symbol_rows(CardContext.of("leaky"))


def test_symbols_of_heads_have_the_shapes_of_one_head():
    with register_kind(cell_kind(HeadsCell, name="heads", summary="Heads.", equation=HEADS_EQUATION)):
        shapes = {row.symbols: (row.shape, row.meaning) for row in symbol_rows(CardContext.of("heads"))}
    assert shapes["C_{t-1}", "C_t"][0] == "`(8, 8)`"
    assert shapes["y_t",] == ("`(8,)`", "output of the layer")
    assert shapes["w_f",] == ("`(input_size,)`", r"weights of \(x_t\)")


def test_card_shows_keywords_papers_family_differences_and_checks_that_do_not_apply():
    papers = [
        Paper("The first", "Ann Lee", 2001, "https://arxiv.org/abs/2001.00001", contribution="the cell"),
        Paper("The second", "Bo Ray et al.", 2002, "https://doi.org/10.1000/two", contribution="the gate"),
    ]
    record = cell_kind(
        SimpleCell,
        name="noted",
        summary="A cell.",
        papers=papers,
        notes=["Here it has no bias."],
        family="odd",
        keywords=["minimal cell", "Ann's cell"],
        inapplicable_checks={"loss_decreases": "It is not trained."},
    )
    with register_kind(record):
        page = card_text("noted", measure("noted", **QUICK))
    assert "- **Family:** odd\n" in page
    assert "- **Keywords:** minimal cell, Ann's cell\n" in page
    assert yaml.safe_load(page.split("---\n")[1])["tags"] == ["noted", "minimal cell", "Ann's cell"]
    assert "[Lee, 2001](https://arxiv.org/abs/2001.00001) (the cell); [Ray et al., 2002]" in page
    assert section(page, "Differences from the papers").strip() == "- Here it has no bias."
    assert "- `loss_decreases`: It is not trained." in section(page, "Capabilities")
    references = section(page, "References")
    assert "[The second](https://doi.org/10.1000/two), 2002: the gate." in references
    assert f"```bibtex\n{record.bibtex()}\n```" in references


@pytest.mark.parametrize(
    ("name", "parallel"), [("mingru", True), ("s5", True), ("sru", False), ("gru_cell", False), ("lstm", False)]
)
def test_cells_with_a_scan_are_parallel_over_time(name, parallel):
    assert CardContext.of(name).parallel_over_time is parallel


class Mean(Backbone):
    """A backbone without cells, equation and options."""

    def __init__(self, spec, *, device, dtype):
        super().__init__(spec, features=spec.hidden_sizes[0])
        self.linear = torch.nn.Linear(spec.input_size, spec.hidden_sizes[0], device=device, dtype=dtype)

    def state_shapes(self, batch_size):
        return (torch.Size((batch_size, self.features)),)

    def run(self, x, state, lengths):
        output = self.linear(x)
        return output, (output.mean(dim=1),)


def test_card_of_a_kind_without_equation_paper_and_options():
    with register_kind(Kind(name="mean", builder=Mean, summary="A mean.")):
        page = card_text("mean", measure("mean", **QUICK))
    assert "The record of this kind has no equation." in section(page, "Equation")
    assert "<svg" not in section(page, "Equation")
    assert "This kind has no options." in section(page, "Options")
    assert "Paper" not in page
