"""Distributions written to disk as an installer would leave them: what the catalog finds and imports for real."""

import itertools
import sys
from pathlib import Path
from textwrap import dedent
from types import ModuleType

import pytest

# The start of each plugin; `calls` records that the hook was called.
PREAMBLE = '''
from rnnkit import Kind, Options, Paper, Problem, hookimpl

calls = []


def no_builder(spec, *, device, dtype):
    raise NotImplementedError


def kind(name, **fields):
    """A kind of which a test need say only what it is about."""
    paper = Paper(title="A title", authors="An author", year=2000, link="https://example.org")
    record = {"name": name, "builder": no_builder, "summary": "A test.", "equation": "h", "papers": (paper,)}
    return Kind(**record | fields)
'''

FIRST_READOUT = """
from rnnkit import Readout, hookimpl

class First(Readout):
    name = "first"

    def pool(self, output, lengths):
        return output[:, 0]

@hookimpl
def register_readouts(register):
    register(First)
"""

DECAY_CELL = """
import torch

from rnnkit import Cell, CellState, StackOptions, cell_kind
from rnnkit.deprecation import Deprecation, KindAlias


class DecayOptions(StackOptions):
    decay: float = 0.5


class DecayCell(Cell):
    def __init__(self, input_size, hidden_size, *, decay=0.5, device=None, dtype=None):
        super().__init__(input_size, hidden_size, device=device, dtype=dtype)
        self.decay = decay
        self.weight_ih = self.new_parameter(hidden_size, input_size)

    def step(self, x_t, state):
        h = self.decay * state.h + x_t @ self.weight_ih.t()
        return h, CellState(h)


def decay_kind(name, **fields):
    return cell_kind(DecayCell, name=name, summary="Forgets at one rate.", options=DecayOptions, **fields)
"""

USUAL = "Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n"

_numbers = itertools.count()


def write_distribution(
    root: Path,
    name: str,
    *,
    entry_points: str | bytes | None,
    source: str | None = "",
    module: str = "",
    metadata: str | bytes | None = USUAL,
) -> None:
    """Write a distribution of one module into a new folder, as an installer leaves it; a part that is None is missing.

    The module is called as the distribution is, unless said otherwise.
    """
    info = root / f"{name.replace('-', '_')}-1.0.dist-info"
    info.mkdir(parents=True)
    if source is not None:
        _write(root / f"{module or name.replace('-', '_')}.py", PREAMBLE + dedent(source))
    _write(info / "METADATA", metadata.replace("{name}", name) if isinstance(metadata, str) else metadata)
    _write(info / "entry_points.txt", entry_points)


class PluginsOnDisk:
    """Installs distributions into a folder and onto `sys.path` until the test ends."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self._folder = folder
        self._monkeypatch = monkeypatch
        self._modules: list[str] = []

    def install(
        self,
        *kinds: str,
        source: str | None = None,
        distribution: str = "",
        plugin: str = "",
        metadata: str | bytes | None = USUAL,
        group: str = "rnnkit",
    ) -> str:
        """Write a distribution whose one module has an entry point for each of `kinds`; the module's name.

        Without a source its hook registers each kind that it has an entry point for. `plugin` is the object in the
        module that the entry points name, if they do not name the module itself.
        """
        module = f"rnnkit_on_disk_{next(_numbers)}"  # a name of its own: no test sees another's module
        distribution = distribution or module  # two of one name would be taken for one
        root = self._folder / module  # a folder of its own: Python caches what it saw in one
        entries = "".join(f"{kind} = {module}{plugin and ':' + plugin}\n" for kind in kinds)
        write_distribution(
            root,
            distribution,
            module=module,
            source=_registers(kinds) if source is None else source,
            entry_points=f"[{group}]\n{entries}",
            metadata=metadata,
        )
        self._monkeypatch.syspath_prepend(root)
        self._modules.append(module)
        return module

    def imported(self) -> list[str]:
        """The modules of these distributions that something has imported."""
        return [name for name in self._modules if name in sys.modules]

    def folder(self, module: str) -> Path:
        """Where the distribution of a module lies."""
        return self._folder / module

    def module(self, name: str) -> ModuleType:
        """A module that something has imported."""
        return sys.modules[name]

    def forget(self) -> None:
        """Take the modules out of the process again."""
        for name in self.imported():
            del sys.modules[name]


def _write(path: Path, content: str | bytes | None) -> None:
    if content is not None:
        path.write_bytes(content.encode() if isinstance(content, str) else content)


def _registers(kinds: tuple[str, ...]) -> str:
    lines = [f"    register(kind({kind!r}))\n" for kind in kinds]
    return "\n\n@hookimpl\ndef register_kinds(register):\n    calls.append('called')\n" + "".join(lines)
