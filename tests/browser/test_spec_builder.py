"""The spec builder in a browser: what it shows is what rnnkit builds; by keyboard alone, from a link, from disk."""

import re

import pytest

from docs.site.example_plugin import example_installed
from rnnkit import load_spec
from tests.browser.built_site import ON_DISK
from tests.browser.visit import AXE, VIEWS, View, opened

PAGE = "kinds/spec_builder.html"
CODE = ".spec-builder-code:visible"
COUNT = ".spec-builder-count strong"
STACK = (
    "kind=lstm_cell&input_size=8&hidden_size=32&output_size=10&num_layers=3&dropout=0.1&bidirectional=true"
    "&options.learn_initial_state=true&options.layer_norm=output&options.residual=true&options.zoneout=0.05,0.5"
)
CELLS = "kind=mixed&input_size=8&hidden_size=4,6,4&num_layers=3&options.cells=lstm_cell,rnnkit-nbrc/nbrc,gru_cell"


@pytest.fixture
def builder(tab, site):
    opened(tab, site.address(PAGE))
    return tab


def linked(tab, site, fragment):
    reopened(tab, f"{site.address(PAGE)}#{fragment}")


def reopened(tab, address):
    """Load an address, even if it differs from that of the open page only in its fragment."""
    tab.wait_for_load_state("networkidle")  # a request that is cut off would be noted as one that failed
    tab.goto("about:blank")
    opened(tab, address)


def count_shown(tab):
    return int(tab.locator(COUNT).inner_text().replace(",", ""))


def address_of(tab):
    return tab.evaluate("location.href")  # `tab.url` is updated later


def made_of(code):
    """The spec of the Python shown, and how many parameters its model has."""
    names = {}
    with example_installed():
        exec(compile(code, "shown", "exec"), names)  # noqa: S102  # our own words
    return names["spec"], sum(parameter.numel() for parameter in names["model"].parameters())


def press(tab, *keys):
    for key in keys:
        tab.keyboard.press(key)


def tab_to(tab, place):
    """Press Tab until an element has the focus."""
    for _ in range(200):
        if tab.evaluate("place => document.activeElement.matches(place)", place):
            return
        tab.keyboard.press("Tab")
    pytest.fail(f"Tab does not lead to {place}")


def test_the_page_begins_with_a_model(builder):
    spec, count = made_of(builder.locator(CODE).inner_text())
    assert count_shown(builder) == count == 232_714  # as the example on the page prints it
    assert (spec.kind, spec.num_layers) == ("lstm", 2)
    assert "#" not in address_of(builder)


def test_a_model_is_chosen_with_the_keyboard_alone(builder):
    tab_to(builder, "#spec-kind")
    builder.keyboard.type("gru_c")
    tab_to(builder, "#spec-hidden_size")
    press(builder, "Control+a")
    builder.keyboard.type("48, 24, 12")
    tab_to(builder, "#spec-num_layers")
    press(builder, "ArrowUp")
    tab_to(builder, "#spec-bidirectional")
    press(builder, "Space")
    tab_to(builder, "#spec-dropout")
    press(builder, "Control+a")
    builder.keyboard.type("0.25")
    tab_to(builder, "#spec-options-layer_norm")
    builder.keyboard.type("gat")
    tab_to(builder, "[role=tab][aria-selected=true]")
    spec, count = made_of(builder.locator(CODE).inner_text())
    assert count_shown(builder) == count
    assert (spec.kind, spec.hidden_size, spec.dropout) == ("gru_cell", (48, 24, 12), 0.25)
    assert (spec.num_layers, spec.bidirectional, spec.options.layer_norm) == (3, True, "gates")


def test_the_tabs_are_those_of_a_tab_list(builder, tmp_path):
    tab_to(builder, "[role=tab]")
    press(builder, "ArrowRight")
    assert builder.locator("[role=tab]:focus").inner_text() == "YAML"
    (tmp_path / "model.yaml").write_text(builder.locator(CODE).inner_text(), encoding="utf-8")
    assert load_spec(tmp_path / "model.yaml").kind == "lstm"
    press(builder, "End")
    assert "rnnkit summary" in builder.locator(CODE).inner_text()
    press(builder, "ArrowRight")
    assert builder.locator("[role=tab]:focus").inner_text() == "Python"
    assert builder.locator("[role=tabpanel]:visible").count() == 1


@pytest.mark.parametrize("fragment", [STACK, CELLS])
def test_a_link_brings_back_the_whole_state(tab, site, fragment):
    linked(tab, site, fragment)
    shown = tab.locator(CODE).inner_text()
    spec, count = made_of(shown)
    assert count_shown(tab) == count
    tab.get_by_role("button", name="Copy a link").click()
    tab.get_by_text("Copied", exact=True).first.wait_for()
    link = tab.evaluate("navigator.clipboard.readText()")
    reopened(tab, link)
    assert tab.locator(CODE).inner_text() == shown
    assert spec.kind == tab.locator("#spec-kind").input_value()


def test_the_address_follows_what_is_typed(builder, site):
    builder.fill("#spec-hidden_size", "7")
    assert re.search(r"#kind=lstm&.*hidden_size=7\b", address_of(builder))
    reopened(builder, address_of(builder))
    assert builder.locator("#spec-hidden_size").input_value() == "7"
    builder.evaluate("location.hash = 'kind=gru&input_size=3&hidden_size=5'")
    builder.wait_for_function("document.querySelector('#spec-kind').value === 'gru'")
    assert count_shown(builder) == 3 * 5 * (3 + 5 + 2)


def test_the_code_is_copied_as_it_is_shown(builder):
    builder.locator(".spec-builder-bar .spec-builder-copy").click()
    builder.get_by_text("Copied", exact=True).first.wait_for()
    copied = builder.evaluate("navigator.clipboard.readText()")
    assert copied.strip() == builder.locator(CODE).inner_text().strip()
    assert made_of(copied)[1] == count_shown(builder)


def test_problem_is_shown_at_its_field_and_the_output_stays_valid(builder):
    before = builder.locator(CODE).inner_text()
    address = address_of(builder)
    builder.fill("#spec-num_layers", "1")
    builder.fill("#spec-dropout", "0.5")
    field = builder.locator("#spec-dropout")
    assert field.get_attribute("aria-invalid") == "true"
    described = field.get_attribute("aria-describedby").split()
    message = "Dropout acts between layers, so with num_layers=1 it does nothing"
    assert message in builder.locator(f"#{described[0]}").inner_text()
    assert "dropout" not in builder.locator(CODE).inner_text()
    assert "dropout" not in address_of(builder)
    assert builder.locator(".spec-builder-wrong").is_visible()
    builder.locator("[role=status]").filter(has_text=message).wait_for(state="attached")  # it is read out
    builder.locator(".spec-builder-go").click()
    assert builder.evaluate("document.activeElement.id") == "spec-dropout"
    builder.fill("#spec-dropout", "0")
    builder.fill("#spec-num_layers", "2")
    assert field.get_attribute("aria-invalid") is None
    assert not builder.locator(".spec-builder-wrong").is_visible()
    assert builder.locator(CODE).inner_text() == before
    assert address_of(builder).startswith(address)


def test_link_to_an_invalid_spec_shows_only_the_problems(tab, site):
    linked(tab, site, "kind=lstm&input_size=8&hidden_size=0")
    assert tab.locator(".spec-builder-wrong").inner_text().startswith("hidden_size")
    assert tab.locator(CODE).count() == 0
    assert not tab.locator(COUNT).is_visible()
    tab.fill("#spec-hidden_size", "4")
    assert made_of(tab.locator(CODE).inner_text())[1] == count_shown(tab)


def test_the_count_is_read_out_when_nothing_is_typed_any_more(builder):
    builder.fill("#spec-output_size", "3")
    count = builder.locator(COUNT).inner_text()
    builder.locator("[role=status][aria-live=polite]").filter(has_text=f"{count} parameters").wait_for(state="attached")


def test_what_a_kind_never_takes_cannot_be_chosen(tab, site):
    linked(tab, site, "kind=rnnkit-nbrc/nbrc&input_size=3&hidden_size=5&options.forget_bias=1")
    forget_bias = tab.locator("#spec-options-forget_bias")
    assert forget_bias.is_enabled()  # to be put right
    tab.fill("#spec-options-forget_bias", "")
    assert forget_bias.is_disabled()
    assert "has no forget gate" in tab.locator("#spec-options-forget_bias-never").inner_text()
    assert tab.locator("#spec-options-layer_norm option[value=gates]").is_disabled()


def test_the_cells_of_a_mixed_stack_are_chosen_one_by_one(builder):
    builder.select_option("#spec-kind", "mixed")
    for choice in ("gru_cell", "rnnkit-nbrc/nbrc"):
        builder.get_by_role("button", name="Add one").click()
        assert builder.evaluate("document.activeElement.tagName") == "SELECT"
        builder.locator("#spec-options-cells select").last.select_option(choice)
    spec, count = made_of(builder.locator(CODE).inner_text())
    assert spec.options.cells == ("gru_cell", "rnnkit-nbrc/nbrc")
    assert count_shown(builder) == count


@pytest.mark.parametrize("view", VIEWS, ids=str)
@pytest.mark.parametrize("fragment", [STACK, CELLS, f"{STACK}&options.forget_bias=x&readout=all"])
def test_no_state_is_hard_to_read(tab, site, view, fragment):
    linked(tab, site, fragment)
    assert tab.evaluate("document.documentElement.scrollWidth <= innerWidth")
    tab.evaluate(f"() => {{ {AXE} }}")
    found = tab.evaluate("async () => await axe.run('#spec-builder-place')")
    violations = found["violations"]
    assert len(found["passes"]) > 10
    assert [(rule["id"], [node["html"] for node in rule["nodes"]]) for rule in violations] == []


@pytest.mark.parametrize("view", [View("light", 390)], ids=str)
def test_the_count_stays_in_view_while_the_form_is_filled_in(builder):
    builder.locator("#spec-options-recurrent_init").focus()
    box = builder.locator(COUNT).bounding_box()
    assert 0 <= box["y"] < 844 - box["height"]


def test_it_works_from_disk(tab):
    address = (ON_DISK / PAGE).as_uri()
    tab.goto(f"{address}#{CELLS}")
    assert made_of(tab.locator(CODE).inner_text())[1] == count_shown(tab)
    tab.fill("#spec-input_size", "9")
    assert "input_size=9" in address_of(tab)
    tab.locator(".spec-builder-bar .spec-builder-copy").click()
    tab.get_by_text("Copied", exact=True).first.wait_for()


def test_one_name_is_added_to_those_of_the_page(builder):
    own = builder.evaluate(
        """() => {
          const frame = document.body.appendChild(document.createElement("iframe"))
          const names = Object.getOwnPropertyNames(window).filter(name => !(name in frame.contentWindow))
          frame.remove()
          return names.filter(name => /spec|builder|rnnkit/i.test(name))
        }"""
    )
    assert sorted(own) == ["rnnkitMakeEnlargeable", "rnnkitSpecBuilder"]  # the former is on every page
