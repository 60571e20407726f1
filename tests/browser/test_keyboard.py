"""The site is used with the keyboard alone: what can be clicked is reached by Tab, in order, and is seen to be."""

import pytest

from tests.browser.visit import VIEWS, WIDTHS, View, accessibility, opened, settled

PAGES = [
    "index.html",
    "kinds/index.html",
    "kinds/lstm.html",
    "kinds/spec_builder.html",
    "tutorials/write_a_plugin.html",
]
LONGEST = 600  # presses of Tab that no page should need

# The focused element: its number, its position, and whether the focus is visible. The label of a hidden input stands in
# for it.
FOCUS = """() => {
  const element = document.activeElement
  if (!element || element === document.body) return null
  document.getAnimations().forEach(animation => animation.finish())
  const labels = [...document.querySelectorAll("label")]
  const shown = element.matches(".md-option") ? labels.find(label => label.previousElementSibling === element)
    : element.matches(".tabbed-set > input") ? labels.find(label => label.htmlFor === element.id)
    : element
  const box = shown.getBoundingClientRect()
  const style = getComputedStyle(shown)
  const inView = box.right > 0 && box.left < innerWidth && box.bottom > 0 && box.top < innerHeight
  return {
    number: element.dataset.number,
    is: element.outerHTML.slice(0, 100),
    part: ["md-skip", "md-header", "md-search", "md-tabs", "md-sidebar", "md-content", "md-footer"]
      .filter(part => element.closest("." + part)),
    seen: box.width > 1 && box.height > 1 && inView,
    marked: style.outlineStyle !== "none" && parseFloat(style.outlineWidth) >= 2,
  }
}"""
WANTED = """() => [...document.querySelectorAll("a[href], button, input, select, textarea, summary, [tabindex='0']")]
  .filter(element => element.checkVisibility({ visibilityProperty: true, opacityProperty: true })
    && element.getClientRects().length && element.tabIndex >= 0 && !element.disabled
    && !(element.type === "radio" && !element.checked))
  .map((element, index) => [element.dataset.number = String(index), element.outerHTML.slice(0, 100)])"""


def walk(tab):
    """Press Tab until the focus has gone through the page; what had it, in order."""
    steps = []
    for _ in range(LONGEST):
        tab.keyboard.press("Tab")
        step = tab.evaluate(FOCUS)
        if step is None or (steps and "md-skip" in step["part"]):
            return steps
        steps.append(step)
    pytest.fail(f"the focus does not leave the page within {LONGEST} steps: {steps[-3:]}")


@pytest.mark.parametrize("page", PAGES)
@pytest.mark.parametrize("view", WIDTHS, ids=str)
def test_everything_is_reached_and_seen_to_be(tab, site, page, view):
    opened(tab, site.address(page))
    wanted = tab.evaluate(WANTED)
    steps = walk(tab)
    assert len(wanted) > 20
    assert [step["is"] for step in steps if not step["seen"]] == []
    assert [step["is"] for step in steps if not step["marked"]] == []
    reached = {step["number"] for step in steps}
    assert [element for number, element in wanted if number not in reached] == []


def focused(tab):
    return tab.evaluate(FOCUS)


def tab_to(tab, selector):
    for _ in range(LONGEST):
        tab.keyboard.press("Tab")
        if tab.evaluate("selector => document.activeElement.matches(selector)", selector):
            return
    pytest.fail(f"Tab does not reach {selector}")


def test_search_comes_before_the_tabs_and_those_before_the_content(tab, site):
    opened(tab, site.address("kinds/lstm.html"))
    parts = [step["part"][0] for step in walk(tab) if step["part"]]
    first = {part: parts.index(part) for part in parts[::-1]}
    assert sorted(first, key=first.get) == ["md-skip", "md-header", "md-tabs", "md-sidebar", "md-content", "md-footer"]
    assert "md-search" in [part for step in walk(tab) for part in step["part"]]


@pytest.mark.parametrize("view", WIDTHS, ids=str)
def test_the_first_tab_leads_past_the_navigation(tab, site, view):
    opened(tab, site.address("kinds/lstm.html"))
    tab.keyboard.press("Tab")
    assert focused(tab)["part"] == ["md-skip"]
    assert focused(tab)["seen"]
    tab.keyboard.press("Enter")
    tab.keyboard.press("Tab")
    assert "md-content" in focused(tab)["part"]


@pytest.mark.parametrize("view", VIEWS, ids=str)
def test_the_colours_are_turned_and_kept(tab, site, view):
    opened(tab, site.address())
    own = {"light": "default", "dark": "slate"}[view.scheme]
    tab_to(tab, ".md-option")
    assert focused(tab)["seen"]
    assert focused(tab)["marked"]
    shown = []
    for _ in range(3):
        shown.append(tab.evaluate("document.body.dataset.mdColorScheme"))
        tab.keyboard.press("Enter")
    assert shown == [own, "default", "slate"]
    tab.keyboard.press("Enter")
    tab.keyboard.press("Enter")
    opened(tab, site.address("changelog.html"))
    assert tab.evaluate("document.body.dataset.mdColorScheme") == "slate"


@pytest.mark.parametrize("view", [View("light", 390)], ids=str)
def test_the_menu_of_a_narrow_screen_opens_and_closes(tab, site, view):
    opened(tab, site.address("plugins/cells.html"))
    menu = tab.get_by_role("button", name="Menu")
    tab_to(tab, "button[aria-label=Menu]")
    tab.keyboard.press("Enter")
    assert menu.get_attribute("aria-expanded") == "true"
    assert "md-sidebar" in focused(tab)["part"]
    tab.keyboard.press("Escape")
    assert menu.get_attribute("aria-expanded") == "false"
    assert menu.evaluate("menu => menu === document.activeElement")


@pytest.mark.parametrize("view", [View("light", 390)], ids=str)
def test_the_menu_of_a_narrow_screen_leads_up_and_to_another_page(tab, site, view):
    opened(tab, site.address("plugins/cells.html"))
    tab_to(tab, "button[aria-label=Menu]")
    tab.keyboard.press("Enter")
    tab.keyboard.press("Enter")  # on the title of the section: up to all sections
    tab_to(tab, "a[href='../changelog.html']")
    assert focused(tab)["seen"]
    with tab.expect_navigation():
        tab.keyboard.press("Enter")
    assert tab.url == site.address("changelog.html")


@pytest.mark.parametrize("view", [View("light", 390)], ids=str)
def test_the_menu_closes_when_the_focus_leaves_it(tab, site, view):
    opened(tab, site.address("plugins/cells.html"))
    tab_to(tab, "button[aria-label=Menu]")
    tab.keyboard.press("Enter")
    tab_to(tab, "main .md-content *")
    assert tab.get_by_role("button", name="Menu").get_attribute("aria-expanded") == "false"


@pytest.mark.parametrize("view", [View("light", 390)], ids=str)
def test_the_search_of_a_narrow_screen_opens_and_closes(tab, site, view):
    opened(tab, site.address())
    tab_to(tab, "button[aria-label=Search]")
    tab.keyboard.press("Enter")
    box = tab.locator("[data-md-component=search-query]")
    tab.wait_for_function("() => document.activeElement.matches('[data-md-component=search-query]')")
    tab.keyboard.type("lstm")
    assert box.input_value() == "lstm"
    tab.keyboard.press("Escape")
    assert tab.get_by_role("button", name="Search").evaluate("button => button === document.activeElement")


@pytest.mark.parametrize("scripts", [[]])  # an index is built
@pytest.mark.parametrize("view", VIEWS, ids=str)
def test_search_is_accessible(tab, site, view):
    opened(tab, site.address("how_to/tokens.html"))
    tab.keyboard.press("/")
    tab.keyboard.type("lstm")
    tab.locator(".md-search-result__item").first.wait_for()
    assert_accessible(tab, view)


@pytest.mark.parametrize("view", [view for view in VIEWS if view.width < 500], ids=str)
def test_menu_is_accessible(tab, site, view):
    opened(tab, site.address("how_to/tokens.html"))
    tab.get_by_role("button", name="Menu").click()
    assert_accessible(tab, view)


def assert_accessible(tab, view):
    settled(tab)
    problems, checks = accessibility(tab, view)
    assert not problems, "\n".join(map(str, problems))
    assert checks > 20
