"""The inventory of torch's names: it is up to date, its names exist, and docstrings link to them."""

from importlib import import_module
from io import BytesIO

import pytest
import yaml
from mkdocstrings import Inventory

from docs.site import torch_inventory
from docs.site.api_markdown import EXTENSIONS, documented
from tests.helpers.pages import ROOT


def test_file_is_up_to_date():
    stored = Inventory.parse_sphinx(BytesIO(torch_inventory.FILE.read_bytes()))
    assert len(stored) > 20
    assert {name: item.uri for name, item in stored.items()} == torch_inventory.ADDRESSES


@pytest.mark.parametrize("name", torch_inventory.ADDRESSES)
def test_names_exist(name):
    module, _, own = name.rpartition(".")
    found = getattr(import_module(module), own)
    assert isinstance(found, type) == (name in torch_inventory.CLASSES)


@pytest.mark.parametrize("name", torch_inventory.ADDRESSES)
def test_anchor_is_the_name(name):
    assert torch_inventory.address(name).rpartition("#")[2] in (name, "torch.nn.parameter.Parameter")


def test_settings_of_the_site_agree():
    settings = (ROOT / "mkdocs.yml").read_text("utf-8")
    assert f"base_url: {torch_inventory.BASE}\n" in settings
    extensions = yaml.safe_load("extensions" + settings.split("            extensions", 1)[1].split("\n")[0])
    assert extensions["extensions"] == [f"docs/site/{name}.py" for name in EXTENSIONS]


LINKED = {
    "an `nn.Module` is": "an [`nn.Module`][torch.nn.Module] is",
    "`torch.save`, or": "[`torch.save`][torch.save], or",
    "the [`nn.Module`][torch.nn.Module] of": "the [`nn.Module`][torch.nn.Module] of",
    "`Module` and `save` and `torch.nn` and `torch.no_such`": "`Module` and `save` and `torch.nn` and `torch.no_such`",
}


@pytest.mark.parametrize("text", LINKED)
def test_names_in_backticks_are_references(text):
    assert torch_inventory.linked(text) == LINKED[text]


def test_docstrings_in_the_markdown_have_references():
    assert "[`torch.save`][torch.save]" in documented("rnnkit.flatten_state", {})
