"""Options that are one value, or a tuple with one value for each layer."""

from enum import Enum
from typing import Annotated, Literal

import pytest
import torch
from jsonschema import Draft202012Validator
from pydantic import Field, ValidationError
from torch.nn import functional as F

from rnnkit import (
    Catalog,
    Options,
    PerLayer,
    PluginError,
    RecurrentSpec,
    StackOptions,
    build_model,
    cell_kind,
    describe_options,
    load_spec,
    override_spec,
    register_kind,
    save_spec,
    spec_schema,
)
from rnnkit.testing import check_kind, use_catalog
from rnnkit.testing.kind_under_test import KindUnderTest
from tests.helpers.cells import SimpleCell
from tests.helpers.commands import run


class LeakyOptions(StackOptions):
    dt: PerLayer[Annotated[float, Field(gt=0)]] = 0.1
    "Step size."
    activation: PerLayer[Literal["tanh", "relu"]] = "tanh"
    "Activation function."


class LeakyCell(SimpleCell):
    """h_t = (1 - dt) h_{t-1} + dt f(W x_t + U h_{t-1} + b)."""

    def __init__(self, input_size, hidden_size, *, dt=0.1, activation="tanh", bias=True, device=None, dtype=None):
        super().__init__(input_size, hidden_size, bias=bias, device=device, dtype=dtype)
        self.dt, self.name = dt, activation

    def step(self, projected_t, state):
        z = projected_t + F.linear(state.h, self.weight_hh)
        h = (1 - self.dt) * state.h + self.dt * (torch.tanh(z) if self.name == "tanh" else F.relu(z))
        return h, self.State(h)


@pytest.fixture(autouse=True)
def leaky():
    with register_kind(cell_kind(LeakyCell, name="leaky", summary="Leaky.", options=LeakyOptions)):
        yield


def make(num_layers=2, **options):
    return RecurrentSpec(kind="leaky", input_size=3, hidden_size=4, num_layers=num_layers, options=options)


def problems(call):
    with pytest.raises(ValidationError) as caught:
        call()
    return [(".".join(map(str, each["loc"])), each["msg"]) for each in caught.value.errors()]


def by_formula(model, x, steps, functions):
    """The output of a stack at each step, `(batch, time, hidden_size)`, layer by layer."""
    for cell, dt, function in zip(model.backbone.cells, steps, functions, strict=True):
        h, output = torch.zeros(len(x), 4, dtype=x.dtype), []
        for x_t in x.unbind(1):
            z = x_t @ cell.weight_ih.T + h @ cell.weight_hh.T + cell.bias
            h = h + dt * (function(z) - h)
            output.append(h)
        x = torch.stack(output, 1)
    return x


@pytest.mark.parametrize("steps", [(0.5, 0.25), 0.5])
def test_each_layer_has_its_own_value(steps):
    model, x = build_model(make(dt=steps), dtype=torch.float64), torch.randn(2, 6, 3, dtype=torch.float64)
    each = steps if isinstance(steps, tuple) else (steps, steps)
    torch.testing.assert_close(model.backbone(x)[0], by_formula(model, x, each, [torch.tanh] * 2))


def test_a_choice_may_differ_between_layers():
    model = build_model(make(dt=0.5, activation=("relu", "tanh")), dtype=torch.float64)
    x = torch.randn(2, 6, 3, dtype=torch.float64)
    torch.testing.assert_close(model.backbone(x)[0], by_formula(model, x, [0.5] * 2, [torch.relu, torch.tanh]))


def test_each_direction_of_a_layer_has_its_value():
    spec = RecurrentSpec(kind="leaky", input_size=3, hidden_size=4, num_layers=2, bidirectional=True)
    model = build_model(RecurrentSpec(**{**spec.to_dict(), "options": {"dt": [0.1, 0.2]}}))
    assert [cell.dt for cell in model.backbone.cells] == [0.1, 0.1, 0.2, 0.2]


def test_the_output_features_of_a_kind_are_those_of_its_last_layer():
    """`tie_weights` asks for the features of the last layer before a model exists."""

    class Widths(StackOptions):
        width: PerLayer[int] = 4

    class WideCell(LeakyCell):
        def __init__(self, input_size, hidden_size, *, width=4, device=None, dtype=None):
            super().__init__(input_size, hidden_size, device=device, dtype=dtype)
            self.output_size = width

    with register_kind(cell_kind(WideCell, name="wide", summary="Wide.", options=Widths)):
        fields = {"kind": "wide", "hidden_size": 4, "num_layers": 2, "num_embeddings": 9, "output_size": 9}
        spec = RecurrentSpec(**fields, input_size=7, tie_weights=True, options={"width": (5, 7)})
        assert spec.options.width == (5, 7)
        with pytest.raises(ValidationError, match="they have 7"):
            RecurrentSpec(**fields, input_size=5, tie_weights=True, options={"width": (5, 7)})


WRONG = {
    "too long": ((0.1, 0.2, 0.3), "options.dt", "dt has 3 values, but num_layers=2: give one value for each layer, or"),
    "too short": ((0.1,), "options.dt", "dt has 1 value, but num_layers=2"),
    "empty": ((), "options.dt", "dt has 0 values, but num_layers=2"),
    "empty list": ([], "options.dt", "dt has 0 values, but num_layers=2"),
    "bool": (True, "options.dt", "valid number"),
    "bool in a tuple": ((0.1, True), "options.dt.1", "valid number"),
    "nested": ((0.1, (0.2,)), "options.dt.1", "valid number"),
    "all nested": (((0.1, 0.2),), "options.dt.0", "valid number"),
    "text": ("0.1", "options.dt", "valid number"),
    "mapping": ({"0": 0.1}, "options.dt", "valid number"),
    "None": (None, "options.dt", "valid number"),
    "NaN": ((0.1, float("nan")), "options.dt.1", "finite|greater than 0"),
    "out of range": ((0.1, -0.2), "options.dt.1", "greater than 0"),
    "one out of range": (0.0, "options.dt", "greater than 0"),
}


@pytest.mark.parametrize(("value", "where", "message"), WRONG.values(), ids=WRONG)
def test_wrong_values_are_refused_once_with_their_place(value, where, message):
    [(place, text)] = problems(lambda: make(dt=value))
    assert place == where
    assert any(each in text for each in message.split("|"))


def test_wrong_lengths_of_several_options_are_reported_together():
    found = problems(lambda: make(dt=(0.1,), activation=("tanh",) * 3))
    assert [place for place, _ in found] == ["options.dt", "options.activation"]


@pytest.mark.parametrize("suffix", ["yaml", "toml", "json"])
@pytest.mark.parametrize("value", [(0.1, 0.25), 0.5])
def test_specs_survive_every_file_format(suffix, value, tmp_path):
    spec = make(dt=value, activation=("relu", "tanh"))
    save_spec(spec, tmp_path / f"model.{suffix}")
    assert load_spec(tmp_path / f"model.{suffix}") == spec
    assert RecurrentSpec.from_json(spec.to_json()) == spec == RecurrentSpec.from_dict(spec.to_dict())
    assert hash(spec) == hash(RecurrentSpec.from_dict(spec.to_dict()))


def test_overrides_set_a_value_for_each_layer():
    assert override_spec(make(), ["options.dt=[0.1, 0.2]"]).options.dt == (0.1, 0.2)
    assert override_spec(make(dt=(0.1, 0.2)), ["options.dt=0.3"]).options.dt == 0.3


def test_the_json_schema_accepts_both_forms():
    validator = Draft202012Validator(spec_schema(["leaky"]))
    accepted = [validator.is_valid(make().to_dict() | {"options": {"dt": dt}}) for dt in (0.1, [0.1, 0.2])]
    refused = [validator.is_valid(make().to_dict() | {"options": {"dt": dt}}) for dt in (0, [0.1, -1], "x", [[0.1]])]
    assert (accepted, refused) == ([True] * 2, [False] * 4)


def test_the_description_names_both_forms():
    described = {each.name: each for each in describe_options(LeakyOptions)}
    assert described["dt"][1:] == ("float > 0 or a list of them", "0.1", "Step size.")
    assert described["activation"].type == '"tanh" | "relu" or a list of them'


def test_the_command_line_shows_both_forms(plugins):
    plugins.install("per_layer_kind", source=PLUGIN)
    assert "float > 0 or a list of them" in run("show", "per_layer_kind").output


PLUGIN = """
from typing import Annotated
from pydantic import Field
from rnnkit import Options, Kind, PerLayer, hookimpl

class Own(Options):
    dt: PerLayer[Annotated[float, Field(gt=0)]] = 0.1

@hookimpl
def register_kinds(register):
    register(Kind(name="per_layer_kind", builder=lambda spec, **_: None, options=Own, summary="Has an option."))
"""


def test_members_of_enumerations_and_missing_values_may_differ_between_layers():
    class Merge(Enum):
        SUM = "sum"
        MEAN = "mean"

    class Own(StackOptions):
        merge: PerLayer[Merge] = Merge.SUM
        limit: PerLayer[float | None] = None

    class MergingCell(SimpleCell):
        def __init__(self, input_size, hidden_size, *, merge, limit, bias=True, device=None, dtype=None):
            super().__init__(input_size, hidden_size, bias=bias, device=device, dtype=dtype)
            self.own = merge, limit

    with register_kind(cell_kind(MergingCell, name="merging", summary="Merging.", options=Own)):
        values = {"merge": (Merge.MEAN, Merge.SUM), "limit": (None, 2.0)}
        spec = RecurrentSpec(kind="merging", input_size=3, hidden_size=4, num_layers=2, options=values)
        assert RecurrentSpec.from_dict(spec.to_dict()) == spec == RecurrentSpec.from_json(spec.to_json())
        assert [cell.own for cell in build_model(spec).backbone.cells] == [(Merge.MEAN, None), (Merge.SUM, 2.0)]


def declare(annotation, default):
    return type("Own", (Options,), {"__module__": __name__, "__annotations__": {"dt": annotation}, "dt": default})


DECLARATIONS = {
    "a default for each layer": (PerLayer[float], (0.1,), "The default of Own.dt must be one value"),
    "inside of a union": (PerLayer[float] | None, None, "Own.dt must be PerLayer as a whole"),
    "inside of a tuple": (tuple[PerLayer[float], ...], (), "Own.dt must be PerLayer as a whole"),
    "constraints outside": (Annotated[PerLayer[float], Field(gt=0)], 0.1, "constraints of Own.dt must be inside of"),
    "tuples": (PerLayer[tuple[float, float]], 0.1, "is ambiguous"),
    "optional tuples": (PerLayer[tuple[float, ...] | None], None, "is ambiguous"),
    "a wrong default": (PerLayer[float], "x", "needs a valid and hashable default"),
}


@pytest.mark.parametrize(("annotation", "default", "message"), DECLARATIONS.values(), ids=DECLARATIONS)
def test_a_declaration_that_cannot_work_is_an_error_of_the_class(annotation, default, message):
    with pytest.raises(TypeError, match=message):
        declare(annotation, default)


def test_a_description_may_stand_outside():
    assert declare(Annotated[PerLayer[float], Field(description="Step.")], 0.1)(dt=(0.1, 0.2)).dt == (0.1, 0.2)


def test_lengths_are_checked_for_other_kinds_too(plugins):
    plugins.install("per_layer_kind", source=PLUGIN)
    fields = {"kind": "per_layer_kind", "input_size": 3, "hidden_size": 4, "num_layers": 2}
    with use_catalog(Catalog()):
        assert RecurrentSpec(**fields, options={"dt": (0.1, 0.2)})
        assert problems(lambda: RecurrentSpec(**fields, options={"dt": (0.1,)}))[0][0] == "options.dt"


def test_the_conformance_kit_tries_layers_that_differ():
    options = [each["options"] for each in KindUnderTest("leaky").variants if "options" in each]
    assert any(isinstance(each.get("dt"), tuple) and len(set(each["dt"])) == 2 for each in options)
    assert {"activation": ("tanh", "relu")} in options


def test_the_conformance_kit_passes():
    report = check_kind("leaky", only=["output_shape", "layers_do_not_share_weights", "options_take_effect"])
    assert not report.failed, report


def test_the_conformance_kit_finds_a_fused_path_that_uses_one_value_for_all_layers():
    class OneValueCell(LeakyCell):
        @staticmethod
        def unroll_layers(cells, x, states, lengths, *, directions, dropout):
            if lengths is not None or directions == 2 or dropout:
                return NotImplemented
            final = []
            for cell, state in zip(cells, states, strict=True):
                cell.dt, own = cells[0].dt, cell.dt
                outputs = []
                for projected_t in cell.project(x).unbind(0):
                    output, state = cell.step(projected_t, state)  # noqa: PLW2901  # the state of the loop
                    outputs.append(output)
                cell.dt = own
                x = torch.stack(outputs)
                final.append(state)
            return x, tuple(final)

    with register_kind(cell_kind(OneValueCell, name="one_value", summary="Wrong.", options=LeakyOptions)):
        report = check_kind("one_value", only=["executors_equal_step_loop"])
    assert report.failed
    assert "dt" in str(report)


def test_a_cell_that_fails_for_a_value_of_its_layer_is_reported():
    class FailingCell(LeakyCell):
        def __init__(self, input_size, hidden_size, *, dt=0.1, **kwargs):
            if dt > 1:
                raise ArithmeticError("dt is too large")
            super().__init__(input_size, hidden_size, dt=dt, **kwargs)

    with register_kind(cell_kind(FailingCell, name="failing", summary="Fails.", options=LeakyOptions)):
        spec = {"kind": "failing", "input_size": 3, "hidden_size": 4, "num_layers": 2}
        with pytest.raises(PluginError, match="dt is too large"):
            RecurrentSpec(**spec, options={"dt": (0.1, 2.0), "recurrent_init": "orthogonal"})
