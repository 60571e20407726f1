"""One mistake a line, each of which mypy and pyright must both refuse; nothing runs this file."""

from collections.abc import Iterator
from typing import Any, Literal

import torch
from torch import Tensor

import rnnkit
from rnnkit import (
    Backbone,
    Builder,
    Catalog,
    Cell,
    CellState,
    Kind,
    Options,
    Paper,
    Problem,
    RecurrentSpec,
    StackOptions,
    build_model,
    cell_kind,
    get_kind,
    list_kinds,
    register_kind,
    resolve_kind,
    set_plugin_policy,
)
from rnnkit_builtin.lstm import LSTMOptions

typed = RecurrentSpec(kind="lstm", input_size=3, hidden_size=4, options=LSTMOptions(proj_size=2))
other = RecurrentSpec(kind="gru", input_size=3, hidden_size=4, options=Options())
model = build_model(typed)
x = torch.randn(2, 5, 3)
paper = Paper(title="A title", authors="An author", year=2000, link="https://example.org")


def width_of(spec: RecurrentSpec[LSTMOptions]) -> int:
    return spec.options.proj_size or spec.hidden_sizes[0]


# Names
rnnkit.build_modle(typed)  # mistake: misspelt name
rnnkit.RecurentSpec(kind="lstm", input_size=3, hidden_size=4)  # mistake: misspelt name of a class

# A spec
RecurrentSpec(kind="lstm", input_size=3, hiden_size=4)  # mistake: misspelt field
RecurrentSpec(kind="lstm", hidden_size=4)  # mistake: no input_size
RecurrentSpec(input_size=3, hidden_size=4)  # mistake: no kind
RecurrentSpec("lstm", input_size=3, hidden_size=4)  # mistake: positional
RecurrentSpec(kind="lstm", input_size=3, hidden_size="4")  # mistake: str for an int
RecurrentSpec(kind="lstm", input_size=3, hidden_size=4.0)  # mistake: float for an int
RecurrentSpec(kind="lstm", input_size=None, hidden_size=4)  # mistake: None for an int
RecurrentSpec(kind="lstm", input_size=3, hidden_size=4, bias="yes")  # mistake: str for a bool
RecurrentSpec(kind="lstm", input_size=3, hidden_size=4, dropout="0.5")  # mistake: str for a float
RecurrentSpec(kind="lstm", input_size=3, hidden_size=4, readout=3)  # mistake: a readout is a name
RecurrentSpec(kind="lstm", input_size=3, hidden_size=4, options=[2])  # mistake: a list of options
RecurrentSpec(kind="lstm", input_size=3, hidden_size=4, proj_size=2)  # mistake: an option among the fields
typed.hidden_size = 8  # mistake: frozen
typed.options = LSTMOptions()  # mistake: frozen, too
width = typed.hiden_size  # mistake: misspelt field, read
typed.to_josn()  # mistake: misspelt method
width_of(other)  # mistake: a spec with other options
RecurrentSpec[int](kind="lstm", input_size=3, hidden_size=4)  # mistake: no class of options

# Its options
LSTMOptions(proj_sze=2)  # mistake: misspelt option
LSTMOptions(proj_size="2")  # mistake: str for an int
LSTMOptions(2)  # mistake: positional
proj_size = typed.options.proj_siz  # mistake: misspelt option, read
typed.options.proj_size = 3  # mistake: frozen

# A model
build_model({"kind": "lstm", "input_size": 3, "hidden_size": 4})  # mistake: a dict for a spec
build_model(kind="lstm", input_size=3, hidden_size=4)  # mistake: fields for a spec
build_model(typed, "cpu")  # mistake: positional device
build_model(typed, dtype="float32")  # mistake: str for a dtype
y: Tensor = model(x, return_state=True)  # mistake: a pair taken for a tensor
pair: tuple[Tensor, Any] = model(x)  # mistake: a tensor taken for a pair
model(x, lengths=5)  # mistake: int for lengths
model(x, mask=[[True]])  # mistake: list for a mask
model(x, length=torch.tensor([5, 3]))  # mistake: misspelt argument
shape = model.step(x[:, 0]).shape  # mistake: a pair taken for a tensor, too
model.initial_state()  # mistake: no batch_size
model.initial_stat(2)  # mistake: misspelt method

# Installed kinds
list_kinds(3)  # mistake: int for a pattern
get_kind()  # mistake: no name
summary = get_kind("lstm").sumary  # mistake: misspelt attribute
get_kind("lstm").summary = "Another."  # mistake: frozen, a record
canonical = resolve_kind("lstm").chosen.name  # mistake: chosen may be None
resolve_kind("lstm").chosen = None  # mistake: frozen, a resolution
known: Literal["loaded", "blocked"] = resolve_kind("lstm").providers[0].status  # mistake: may be another
version = resolve_kind("lstm").require().versoin  # mistake: misspelt attribute
Catalog(blocked=["other"])  # mistake: misspelt argument
Catalog().canonical(None)  # mistake: None for a name
set_plugin_policy(["other"])  # mistake: positional
set_plugin_policy(block=None)  # mistake: None for no names
set_plugin_policy(strict="yes")  # mistake: str for a bool


# A plugin
def builder(
    spec: RecurrentSpec[LSTMOptions], *, device: torch.device | str | None, dtype: torch.dtype | None
) -> Backbone:
    raise NotImplementedError


def check(spec: RecurrentSpec[LSTMOptions]) -> Iterator[Problem]:
    yield Problem("options.proj_size")  # mistake: no message
    yield "options.proj_size"  # mistake: str for a problem


class Unfinished(Backbone):
    def state_shapes(self, batch_size: int) -> Any:
        return ()


class MyOptions(Options):
    order: int = 2


Kind(name="my", builder=builder, equation="h", papers=(paper,))  # mistake: no summary
Kind(name="my", builder=builder, equation="h", papers="a link", summary="Mine.")  # mistake: str for papers
Kind(name="my", builder=Kind, equation="h", papers=(paper,), summary="Mine.")  # mistake: builds something else
Kind(name="my", builder=builder, equation="h", papers=(paper,), summary="", options=MyOptions())  # mistake: not a class
Kind(name="my", builder=builder, papers=(paper,), summary="Mine.", chek=check)  # mistake: misspelt argument
Paper(title="A title", authors="An author", year="2000", link="https://example.org")  # mistake: str for a year
MyOptions(order=2).order = 3  # mistake: frozen options of one's own
MyOptions(ordre=3)  # mistake: misspelt option of one's own
no_backbone: Builder = len  # mistake: no builder
Unfinished(typed, features=4)  # mistake: abstract, has no run


class Halting(Cell):
    def project(self, x: Tensor) -> Tensor:
        return x


class Steady(Cell):
    def step(self, projected_t: Tensor, state: CellState) -> tuple[Tensor, CellState]:
        return projected_t, state


Halting(3, 4)  # mistake: abstract, has no step
Steady(3)  # mistake: no hidden_size
Steady(3, 4, devcie="cpu")  # mistake: misspelt argument
CellState(c=Tensor())  # mistake: no such part
cell_kind(Steady, name="steady")  # mistake: no summary
cell_kind(Steady(3, 4), name="steady", summary="")  # mistake: a cell for its class
cell_kind(Steady, name="steady", summary="", options=MyOptions)  # mistake: no options of a stack
RecurrentSpec(kind="lstm_cell", input_size=3, hidden_size=("4",))  # mistake: str for a size
StackOptions(layer_norm="input")  # mistake: no such value
StackOptions(zonout=0.1)  # mistake: misspelt option
StackOptions().zoneout = 0.2  # mistake: frozen
model.backbone.force_step_loop = "yes"  # mistake: str for a bool
model.reset_state((), 3)  # mistake: int for a mask
model.restore_state([])  # mistake: list for tensors by their path

# A kind of one's own process
record = Kind(name="my", builder=builder, summary="Mine.")
register_kind("my", builder)  # mistake: the builder is what is decorated
register_kind(record, options=MyOptions)  # mistake: a record has its options
register_kind("my", options=MyOptions())  # mistake: no class of options
register_kind("my", sumary="Mine.")  # mistake: misspelt field
register_kind("my")(len)  # mistake: decorates no builder
register_kind(builder)  # mistake: no name
with register_kind("my"):  # mistake: a decorator is not a scope
    pass
name = register_kind(record).nam  # mistake: misspelt attribute of a local kind
