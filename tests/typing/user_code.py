"""What users and plugin authors write; must satisfy mypy and pyright, and run."""

import dataclasses
from collections.abc import Callable, Iterator, Mapping
from typing import Annotated, Any, Literal, NamedTuple, assert_type

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_sequence

from rnnkit import (
    Backbone,
    Builder,
    Catalog,
    Kind,
    Options,
    Paper,
    Problem,
    RecurrentModel,
    RecurrentSpec,
    RnnkitError,
    build_model,
    current_catalog,
    get_kind,
    hookimpl,
    list_kinds,
)
from rnnkit_builtin.lstm import LSTMOptions

# A spec from a mapping of options, from an object of options, and from neither

plain = RecurrentSpec(kind="gru", input_size=3, hidden_size=4, readout="mean")
assert_type(plain.readout, Literal["last", "mean", "max", "all"])
assert_type(plain.output_size, int | None)

loose = RecurrentSpec(kind="lstm", input_size=3, hidden_size=4, output_size=2, options={"proj_size": 2})
assert_type(loose.options.proj_size, Any)

typed = RecurrentSpec(kind="lstm", input_size=3, hidden_size=4, output_size=2, options=LSTMOptions(proj_size=2))
assert_type(typed, RecurrentSpec[LSTMOptions])
assert_type(typed.options, LSTMOptions)
assert_type(typed.options.proj_size, int)

annotated: RecurrentSpec[LSTMOptions] = RecurrentSpec(kind="lstm", input_size=3, hidden_size=4, options={})
assert_type(annotated.options.proj_size, int)

subscripted = RecurrentSpec[LSTMOptions](kind="lstm", input_size=3, hidden_size=4)
assert_type(subscripted.options.proj_size, int)


# Changed, written down, read back


assert_type(dataclasses.replace(typed, hidden_size=8), RecurrentSpec[LSTMOptions])
assert_type(typed.to_dict(), dict[str, Any])
assert_type(typed.to_json(indent=2), str)
again: RecurrentSpec[LSTMOptions] = RecurrentSpec.from_json(typed.to_json())
also = RecurrentSpec.from_dict(typed.to_dict())


def names_of(specs: Mapping[RecurrentSpec[Options], str]) -> list[str]:
    """A function for specs of any kind; a spec is hashable."""
    return [name for spec, name in specs.items() if spec.options != Options()]


names_of({plain: "plain", loose: "loose"})


def any_options(spec: RecurrentSpec[Options]) -> Options:
    """A spec of one kind is a spec."""
    return spec.options


any_options(typed)


# From a spec to a model

model = build_model(dataclasses.replace(typed, options=LSTMOptions()), device="cpu", dtype=torch.float32)
assert_type(model, RecurrentModel)
assert_type(model.backbone, Backbone)

x = torch.randn(2, 5, 3)
lengths = torch.tensor([5, 3])
assert_type(model(x), Tensor)
assert_type(model(x, lengths=lengths), Tensor)
assert_type(model(x, return_state=False), Tensor)
assert_type(model(x, return_state=True), tuple[Tensor, Any])

y, state = model(x, model.initial_state(2), lengths=lengths, return_state=True)
assert_type(y, Tensor)
assert_type(model.step(x[:, 0]), tuple[Tensor, Any])
y_t, state = model.step(x[:, 1], state)
model(pack_sequence([x[0], x[1, :3]]))

trained: nn.Module = model.to(torch.float64).eval()


# What is installed

assert_type(list_kinds(), list[str])
assert_type(list_kinds("*lstm*"), list[str])
assert_type(get_kind("lstm"), Kind)
assert_type(get_kind("lstm").name, str)
assert_type(get_kind("lstm").options, type[Options])
assert_type(current_catalog(), Catalog)
assert_type(Catalog().distribution("lstm"), str)


def is_installed(name: str) -> bool:
    try:
        get_kind(name)
    except RnnkitError:
        return False
    return True


# A plugin


class LeakyOptions(Options):
    leak: Annotated[float, Field(gt=0, le=1)] = 0.5
    nonlinearity: Literal["tanh", "relu"] = "tanh"
    widths: tuple[int, ...] = ()


class LeakyState(NamedTuple):
    h: Tensor


class LeakyBackbone(Backbone):
    def __init__(
        self, spec: RecurrentSpec[LeakyOptions], *, device: torch.device | str | None, dtype: torch.dtype | None
    ) -> None:
        super().__init__(spec, features=spec.hidden_size)
        self.leak = spec.options.leak
        self.read = nn.Linear(spec.input_size, spec.hidden_size, device=device, dtype=dtype)

    def state_shapes(self, batch_size: int) -> Any:
        return (torch.Size((batch_size, self.features)),)

    def run(self, x: Tensor, state: Any | None, lengths: Tensor | None) -> tuple[Tensor, LeakyState]:
        (h,) = self.initial_state(x.shape[0]) if state is None else state
        outputs: list[Tensor] = []
        for x_t in self.read(x).unbind(1):
            h = h + self.leak * (x_t - h)
            outputs.append(h)
        return torch.stack(outputs, 1), LeakyState(h)


def check(spec: RecurrentSpec[LeakyOptions]) -> Iterator[Problem]:
    if spec.bidirectional:
        yield Problem("bidirectional", "a leaky mean reads forward only: set bidirectional to False")


@hookimpl
def register_kinds(register: Callable[[Kind], None]) -> None:
    register(
        Kind(
            name="leaky",
            builder=LeakyBackbone,
            options=LeakyOptions,
            check=check,
            summary="Leaky mean: an exponential moving average of a linear reading.",
            equation=r"h_t &= h_{t-1} + \alpha (W x_t + b - h_{t-1})",
            paper=Paper(title="A title", authors="An author", year=2000, link="https://example.org"),
        )
    )


builder: Builder = LeakyBackbone
kinds: list[Kind] = []
register_kinds(kinds.append)
assert_type(LeakyOptions(leak=0.25).leak, float)
assert_type(LeakyOptions().nonlinearity, Literal["tanh", "relu"])
