"""The pages of tools that the development environment does not have run, and print the output that they show."""

import pytest

from rnnkit import Catalog
from rnnkit.testing import use_catalog
from tests.helpers.pages import ROOT, TOOLS, run_page


@pytest.mark.parametrize("page", TOOLS, ids=lambda page: str(page.relative_to(ROOT)))
def test_code_of_page_runs_with_the_shown_output(page, tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.chdir(tmp_path)
    with use_catalog(Catalog()):
        run_page(page, tmp_path)
