"""Code of users and plugin authors; must pass mypy and pyright, and run."""

import dataclasses
from collections.abc import Callable, Iterator, Mapping
from typing import Annotated, Any, Literal, NamedTuple, assert_type

import numpy as np
import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_sequence

from rnnkit import (
    AmbiguousKindError,
    Backbone,
    BlockedKindError,
    Builder,
    Candidate,
    Catalog,
    Cell,
    CellStack,
    Kind,
    LocalKind,
    Options,
    Paper,
    Problem,
    Provider,
    RecurrentModel,
    RecurrentSpec,
    ReservedKindError,
    Resolution,
    RnnkitError,
    StackOptions,
    build_model,
    cell_kind,
    current_catalog,
    detach_state,
    flatten_state,
    get_kind,
    hookimpl,
    list_kinds,
    map_state,
    move_state,
    orthogonal_,
    register_kind,
    reorder_gates,
    resolve_kind,
    set_plugin_policy,
)
from rnnkit_builtin.lstm import LSTMOptions

# A spec from a mapping of options, from an object of options, and from neither

plain = RecurrentSpec(kind="gru", input_size=3, hidden_size=4, readout="mean")
assert_type(plain.readout, str)
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
assert_type(model(x, None, lengths), Tensor)
assert_type(model(x, lengths=[5, 3]), Tensor)
assert_type(model(x, lengths=np.array([5, 3])), Tensor)
assert_type(model(x, mask=torch.ones(2, 5, dtype=torch.bool)), Tensor)
assert_type(model(x, return_state=False), Tensor)
assert_type(model(x, return_state=True), tuple[Tensor, Any])

y, state = model(x, model.initial_state(2), lengths=lengths, return_state=True)
assert_type(y, Tensor)
assert_type(model.backbone(x, None, [5, 3]), Any)
assert_type(model.device, torch.device)
assert_type(model.dtype, torch.dtype)
assert_type(model.step(x[:, 0]), tuple[Tensor, Any])
y_t, state = model.step(x[:, 1], state)
model(pack_sequence([x[0], x[1, :3]]))

trained: nn.Module = model.to(torch.float64).eval()


# Installed kinds

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
    except (AmbiguousKindError, BlockedKindError):
        return True
    except RnnkitError:
        return False
    return True


# Resolution of names, and providers

resolution = resolve_kind("lstm")
assert_type(resolution, Resolution)
assert_type(resolution.chosen, Candidate | None)
assert_type(resolution.require().version, str)
assert_type(resolution.error, type[RnnkitError])
assert_type(resolution.providers, tuple[Provider, ...])
assert_type(resolution.providers[0].status, Literal["not loaded", "loaded", "blocked", "broken", "hidden"])
assert_type(Catalog(block=["other"]).canonical("rnnkit/lstm"), str)
assert_type([provider.note for provider in current_catalog().providers("lstm")], list[str])


def turn_plugins_off() -> None:
    set_plugin_policy(allow=["rnnkit-nbrc"], block={"other"}, strict=True)
    set_plugin_policy(allow=None)


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
        (hidden_size,) = set(spec.hidden_sizes)
        super().__init__(spec, features=hidden_size)
        self.leak = spec.options.leak
        self.read = nn.Linear(spec.input_size, hidden_size, device=device, dtype=dtype)

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
            papers=(Paper(title="A title", authors="An author", year=2000, link="https://example.org"),),
        )
    )


builder: Builder = LeakyBackbone
kinds: list[Kind] = []
register_kinds(kinds.append)
assert_type(LeakyOptions(leak=0.25).leak, float)
assert_type(LeakyOptions().nonlinearity, Literal["tanh", "relu"])


# A cell


class RotorState(NamedTuple):
    h: Tensor
    phase: Tensor


class RotorOptions(StackOptions):
    speed: Annotated[float, Field(gt=0)] = 1.0


class RotorCell(Cell):
    State = RotorState
    recurrent_dropout_parts = ("h",)

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        *,
        speed: float = 1.0,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__(input_size, hidden_size, device=device, dtype=dtype)
        self.speed = speed
        self.weight_ih = self.new_parameter(hidden_size, input_size)
        self.weight_hh = self.new_parameter(hidden_size, hidden_size)

    def project(self, x: Tensor) -> tuple[Tensor, Tensor]:
        read = nn.functional.linear(x, self.weight_ih)
        return read, self.speed * read

    def step(self, projected_t: tuple[Tensor, Tensor], state: RotorState) -> tuple[Tensor, RotorState]:
        read, turn = projected_t
        phase = state.phase + turn
        h = torch.tanh(read + nn.functional.linear(state.h, self.weight_hh)) * torch.cos(phase)
        return h, RotorState(h, phase)


rotor = cell_kind(
    RotorCell, name="typing_rotor", summary="Turns.", options=RotorOptions, check=lambda spec: [Problem("bias", "")][1:]
)
assert_type(rotor, Kind)
with register_kind(rotor) as turning:
    turning_spec = RecurrentSpec(
        kind=turning.name,
        input_size=3,
        hidden_size=(4, 5),
        num_layers=2,
        options=RotorOptions(speed=2, zoneout=(0.1, 0)),
    )
    assert_type(turning_spec.hidden_size, int | tuple[int, ...])
    assert_type(turning_spec.hidden_sizes, tuple[int, ...])
    assert_type(turning_spec.directions, int)
    assert_type(turning_spec.options.speed, float)
    assert_type(turning_spec.options.layer_norm, Literal["none", "output", "gates"])
    turner = build_model(turning_spec)
    turner.backbone.force_step_loop = True
    every_output, every_state = turner.backbone.all_states(x)
    assert_type(every_output, Tensor)
    if isinstance(turner.backbone, CellStack):
        assert_type(turner.backbone.cells, nn.ModuleList)


class Pair(CellStack):
    def __init__(
        self, spec: RecurrentSpec[StackOptions], *, device: torch.device | str | None, dtype: torch.dtype | None
    ) -> None:
        super().__init__(spec, [RotorCell, RotorCell], device=device, dtype=dtype)


pair: Builder = Pair


# A state between steps

y_t, stream_state = turner.step(x[:, 0])
assert_type(y_t, Tensor)
stream_state = detach_state(stream_state)
stream_state = move_state(stream_state, "cpu", torch.float32)
assert_type(flatten_state(stream_state), dict[str, Tensor])
stream_state = turner.restore_state(flatten_state(stream_state))
stream_state = turner.reset_state(stream_state, torch.zeros(len(x), dtype=torch.bool))
stream_state = map_state(torch.clone, stream_state)
assert_type(orthogonal_(torch.empty(8, 4), 4), Tensor)
assert_type(reorder_gates(torch.empty(6, 4), "zrn", "rzn"), Tensor)


# Kinds of one's own process

record = Kind(name="typing_leaky", builder=LeakyBackbone, options=LeakyOptions, summary="A leaky mean.")
with register_kind(record) as local:
    assert_type(local, LocalKind)
    assert_type(local.name, str)
    leaky = build_model(RecurrentSpec(kind=local.name, input_size=3, hidden_size=4, options=LeakyOptions(leak=0.25)))
    assert_type(leaky(x), Tensor)


def in_a_notebook() -> type[Backbone] | None:
    """A decorated class or function stays what it is."""
    try:

        @register_kind("typing_mine", options=LeakyOptions, summary="Mine.", check=check)
        class Mine(LeakyBackbone):
            pass

        @register_kind("typing_other")
        def other(
            spec: RecurrentSpec[LeakyOptions], *, device: torch.device | str | None, dtype: torch.dtype | None
        ) -> Backbone:
            return Mine(spec, device=device, dtype=dtype)

    except ReservedKindError:
        return None
    assert_type(other(leaky.spec, device=None, dtype=None), Backbone)
    register_kind(record).remove()
    assert_type(Mine, type[Mine])
    return Mine
