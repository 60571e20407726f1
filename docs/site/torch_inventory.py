"""Writes docs/site/torch.inv, where torch documents its names: `python -m docs.site.torch_inventory`.

The build reads it without a network. It has the names that the reference uses: signatures link to them, and so do
docstrings that have one as inline code. The addresses follow the scheme of docs.pytorch.org, and were not checked
there; its own objects.inv has all names, and can take the place of this file.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from griffe import Extension, Module, Object
from mkdocstrings import Inventory

FILE = Path(__file__).with_name("torch.inv")
BASE = "https://docs.pytorch.org/docs/stable/"  # as in mkdocs.yml
OWN_PAGE = "generated/{0}.html#{0}"
CLASSES = {
    "torch.Generator": OWN_PAGE,
    "torch.Size": "size.html#{0}",
    "torch.Tensor": "tensors.html#{0}",
    "torch.device": "tensor_attributes.html#{0}",
    "torch.dtype": "tensor_attributes.html#{0}",
    **dict.fromkeys((f"torch.nn.{name}" for name in ("Embedding", "GRU", "GRUCell", "LSTM", "LSTMCell")), OWN_PAGE),
    **dict.fromkeys((f"torch.nn.{name}" for name in ("Linear", "Module", "ModuleList", "RNN", "RNNCell")), OWN_PAGE),
    "torch.nn.Parameter": "generated/torch.nn.parameter.Parameter.html#torch.nn.parameter.Parameter",
    "torch.nn.utils.rnn.PackedSequence": OWN_PAGE,
    "torch.no_grad": OWN_PAGE,
}
FUNCTIONS = dict.fromkeys(
    ("torch.compile", "torch.func.jvp", "torch.func.vmap", "torch.load", "torch.manual_seed", "torch.save"), OWN_PAGE
)
ADDRESSES = {name: place.format(name) for name, place in (CLASSES | FUNCTIONS).items()}
# as inline code, not within a link
MENTION = re.compile(r"(?<!\[)`(?:torch\.)?((?:nn\.)?[A-Za-z_][\w.]*)`(?![\]`])")


class TorchLinks(Extension):
    """Turns torch's names in docstrings into references, for mkdocstrings and `llms.py`."""

    def on_package(self, *, pkg: Module, **_: Any) -> None:
        """Rewrite the docstrings of a package, from the modules down."""
        _link_docstrings(pkg)


def address(name: str) -> str | None:
    """Return the address of a name of torch; None if it is not in the inventory."""
    return BASE + ADDRESSES[name] if name in ADDRESSES else None


def linked(text: str) -> str:
    """Return a text in which names of torch, such as `nn.Module` and `torch.save` in backticks, are references."""

    def link(found: re.Match[str]) -> str:
        name = f"torch.{found[1]}"
        written_in_full = found[0].startswith(("`torch.", "`nn."))
        return f"[{found[0]}][{name}]" if written_in_full and name in ADDRESSES else found[0]

    return MENTION.sub(link, text)


def inventory() -> Inventory:
    """Return the inventory, in the format of Sphinx."""
    made = Inventory(project="PyTorch", version="")
    for name, place in ADDRESSES.items():
        made.register(name, domain="py", role="class" if name in CLASSES else "function", uri=place)
    return made


def _link_docstrings(parent: Object) -> None:
    if parent.docstring:
        parent.docstring.value = linked(parent.docstring.value)
    for member in parent.members.values():
        if isinstance(member, Object):
            _link_docstrings(member)


if __name__ == "__main__":
    FILE.write_bytes(inventory().format_sphinx())
