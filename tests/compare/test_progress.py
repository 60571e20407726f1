"""The progress: a bar in terminals, lines without rich, nothing elsewhere."""

import io
import sys

import pytest
from rich.cells import cell_len
from rich.console import Console

from rnnkit.compare import progress as progress_module
from rnnkit.compare.progress import Progress, result_text
from tests.compare.results import HOSTILE, failed, result

RESULTS = [result(), result(HOSTILE), failed("name" * 60, error="ValueError: " + "no " * 90)]


class Terminal(io.StringIO):
    def isatty(self):
        return True


class Closed(Terminal):
    def write(self, text):
        raise OSError(5, "Input/output error")


def show(monkeypatch, stream, **options):
    monkeypatch.setattr(sys, "stderr", stream)
    with Progress(5, 2, **{"show": None, **options}) as shown:
        for each in RESULTS:
            shown.add(result_text(each))
    return stream.getvalue() if stream else ""


@pytest.fixture(autouse=True)
def terminal(monkeypatch):
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "70")
    for name in ("FORCE_COLOR", "TTY_COMPATIBLE", "TTY_INTERACTIVE", "NO_COLOR"):
        monkeypatch.delenv(name, raising=False)


def test_nothing_is_shown_where_there_is_no_terminal(monkeypatch):
    assert show(monkeypatch, io.StringIO()) == ""


def test_a_terminal_shows_a_bar(monkeypatch):
    assert "5/5" in show(monkeypatch, Terminal())


def test_it_can_be_asked_for_and_refused(monkeypatch):
    assert "5/5" in show(monkeypatch, io.StringIO(), show=True)
    assert show(monkeypatch, Terminal(), show=False) == ""


def test_there_may_be_no_stderr(monkeypatch):
    assert show(monkeypatch, None) == ""
    assert show(monkeypatch, None, show=True) == ""


@pytest.mark.parametrize("has_rich", [True, False])
def test_a_terminal_that_is_gone_does_not_end_a_comparison(monkeypatch, has_rich):
    if not has_rich:
        monkeypatch.setattr(progress_module, "find_spec", lambda name: None)
    show(monkeypatch, Closed(), show=True)


def test_without_rich_each_result_is_a_line(monkeypatch):
    monkeypatch.setattr(progress_module, "find_spec", lambda name: None)
    lines = show(monkeypatch, Terminal()).splitlines()
    assert len(lines) == 3
    assert lines[0] == "3/5 accuracy 0.500: lstm, adding(length=100), seed 0"
    assert show(monkeypatch, io.StringIO()) == ""


def test_a_notebook_without_widgets_shows_lines(monkeypatch):
    def in_jupyter(**options):
        return Console(force_jupyter=True, width=70, height=20, **options)

    found = progress_module.find_spec
    monkeypatch.setattr(progress_module, "find_spec", lambda name: None if name == "ipywidgets" else found(name))
    monkeypatch.setattr("rich.console.Console", in_jupyter)
    assert len(show(monkeypatch, io.StringIO()).splitlines()) == 3


@pytest.mark.parametrize("width", [40, 80, 120])
@pytest.mark.parametrize("each", RESULTS, ids=["usual", "hostile", "long"])
def test_a_result_stays_on_one_line(width, each):
    console = Console(file=io.StringIO(), width=width, force_terminal=True, color_system=None)
    bar = progress_module._Bar(30, 10, console)
    bar.add(result_text(each))
    console.print(bar._bar.get_renderable())
    (line,) = console.file.getvalue().splitlines()
    assert cell_len(line) <= width
    assert "11/30" in line
    assert "\x1b" not in line


def test_the_text_of_a_result():
    assert result_text(failed()) == "failed: broken, adding(length=100), seed 0 (ValueError: no)"
    assert "[bold]" in result_text(RESULTS[1])
    assert "\n" not in result_text(failed(error="a\nb"))
