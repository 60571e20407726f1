"""The checks of records, options, equations, training and systems: correct kinds pass them, each fault fails one."""

import random
from dataclasses import replace
from functools import partial
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Annotated, Any, Literal

import pytest
import torch
from pydantic import BeforeValidator, Field, PlainValidator
from torch import nn
from torch.nn import functional as F

from rnnkit import (
    Backbone,
    Catalog,
    Cell,
    CellStack,
    Kind,
    Options,
    Paper,
    Problem,
    StackOptions,
    cell_kind,
    register_kind,
)
from rnnkit.testing import all_checks, check_kind, use_catalog
from rnnkit.testing._lynx_data import TRAPPED, lynx_data
from rnnkit.testing.checks import data_parallel
from tests.helpers import planted
from tests.helpers.cells import SimpleCell
from tests.helpers.healthy import HEADS_EQUATION, HeadsCell, LinearAttentionCell, MemoryState
from tests.helpers.planted import Faults, assert_fails, assert_passes, report_of, result_of

MODULES = ["records", "option_effects", "equations", "learning", "serialization", "transforms"]
CHECKS = [each.name for each in all_checks() if each.function.__module__.rsplit(".")[-1] in MODULES]
PARALLEL = "ddp_equals_single_process"
EXAMPLE = Path(__file__).parents[2] / "docs/examples/rnnkit-nbrc/rnnkit_nbrc.py"
PAPER = Paper(title="Finding Structure in Time", authors="J. L. Elman", year=1990, link="https://example.org/elman")
EQUATION = r"h_t &= \tanh(W x_t + U h_{t-1} + b)"


FIELDS = {"equation": EQUATION, "papers": (PAPER,)}
faults = Faults(**FIELDS)
record_of = partial(planted.record_of, **FIELDS)


# Correct kinds


def nbrc():
    """The record of the example plugin."""
    spec = spec_from_file_location("rnnkit_nbrc", EXAMPLE)
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    kinds = []
    module.register_kinds(kinds.append)
    return kinds[0]


class OddOptions(Options):
    """Options of a kind that is not a stack of cells."""

    window: Annotated[int, Field(ge=1)] = 4
    """Number of steps that are averaged."""
    merge: Literal["sum", "product"] = "sum"
    """How the average and the last step are combined."""


class Odd(Backbone):
    """Reads a mean of the last steps; its state is nested, with a number of calls that all sequences share."""

    def __init__(self, spec, *, device, dtype):
        super().__init__(spec, features=spec.hidden_size)
        self.window, self.merge = spec.options.window, spec.options.merge
        make = {"device": device, "dtype": dtype}
        self.a = nn.Linear(spec.input_size, spec.hidden_size, **make)
        self.b = nn.Linear(spec.input_size, spec.hidden_size, **make)

    def state_shapes(self, batch_size):
        return ((torch.Size((self.window - 1, batch_size, self.input_size)),), torch.Size(()))

    def run(self, x, state, lengths):
        x = x.transpose(0, 1) if self.batch_first else x
        (before,), calls = self.initial_state(x.shape[1]) if state is None else state
        padded = torch.cat([before, x])
        ends = torch.full((x.shape[1],), len(x), device=x.device) if lengths is None else lengths
        index = (torch.arange(self.window - 1, device=x.device)[:, None] + ends)[..., None].expand(-1, -1, x.shape[2])
        weights = torch.arange(1.0, self.window + 1, dtype=x.dtype, device=x.device)
        mean = padded.unfold(0, self.window, 1) @ weights / weights.sum()
        of_all, of_last = torch.tanh(self.a(mean)), torch.tanh(self.b(x))
        output = of_all + of_last if self.merge == "sum" else of_all * of_last
        return (output.transpose(0, 1) if self.batch_first else output), ((padded.gather(0, index),), calls + 1)


def of_one_layer(spec):
    """The problems of a spec for a kind with one layer, one direction and a bias."""
    if spec.num_layers > 1:
        yield Problem("num_layers", "It has one layer")
    if spec.bidirectional:
        yield Problem("bidirectional", "It has one direction")
    if not spec.bias:
        yield Problem("bias", "It cannot do without")


CORRECT = {
    "nbrc": (nbrc(), {"pickle_round_trip"}),  # its module was not imported by its name
    "plain": (record_of(SimpleCell), set()),
    "no_backbone_of_ours": (
        record_of(Odd, options=OddOptions, check=of_one_layer, equation="", papers=()),
        {"step_matches_equation"},
    ),
}


@pytest.mark.parametrize(("record", "not_applicable"), CORRECT.values(), ids=CORRECT)
def test_correct_kinds_pass(record, not_applicable):
    assert_passes(record, CHECKS, not_applicable)


def test_lynx_data():
    assert (len(TRAPPED), sum(TRAPPED), TRAPPED[0], max(TRAPPED), TRAPPED[-1]) == (114, 175_334, 269, 6_991, 3_396)
    task = lynx_data()
    assert tuple(task.past.shape) == (106, 8, 1)
    torch.testing.assert_close(task.past[1:, -1], task.next[:-1])
    slope, constant = torch.tensor([[each.item(), 1] for each in task.past[:, -1]], dtype=torch.float64).T
    fitted = torch.linalg.lstsq(torch.stack([slope, constant], 1), task.next).solution
    residual = task.next - slope[:, None] * fitted[0] - fitted[1]
    assert task.linear_baseline == pytest.approx(residual.square().mean().item())


# Records

RECORDS = {
    "no_summary": ({"summary": " "}, "the summary must be a sentence"),
    "a_title": ({"summary": "A cell"}, "the summary must end with a period"),
    "two_sentences": ({"summary": "It has one gate. It forgets."}, "the summary must be one sentence"),
    "two_lines": ({"summary": "One\nand two."}, "the summary must be on one line"),
    "not_raw": ({"equation": "h_t &= \tanh(x_t)"}, r"the equation has '\t' in 'h_t &= \tanh(x_t)'"),
    "not_raw_either": ({"equation": "\rho_t &= x_t"}, r"the equation has '\r' in"),
    "of_python": ({"equation": r"h_t &= torch.tanh(x_t)"}, "the equation must be LaTeX, but contains 'torch.'"),
    "without_backslash": ({"equation": r"h_t &= tanh(x_t)"}, "the equation must be LaTeX, but contains 'tanh'"),
    "unbalanced": ({"equation": r"h_{t &= x_t \{"}, "the equation has 1 opening braces, but 0 closing braces"),
    "open_bracket": ({"equation": r"h_t &= \tanh(W x_t"}, "the equation is not complete: `)` is missing at the end"),
    "open_bracket_before_a_line": ({"equation": r"c_t &= \tanh(W x_t \\ h_t &= c_t"}, "`)` is missing at the end"),
    "closing_bracket": ({"equation": r"h_t &= \tanh(W x_t))"}, "the equation is not complete: `)` after"),
    "other_bracket": ({"equation": r"h_t &= \tanh([W x_t)"}, "`]` is missing before `)`"),
    "no_operand": ({"equation": r"h_t &= W x_t +"}, "the end of the line after"),
    "keywords_in_a_string": ({"keywords": "Mamba"}, "each keyword must be two or more characters on one line"),
    "spaces_around_a_keyword": ({"keywords": ["S6", " Mamba"]}, "but one is ' Mamba'"),
    "no_string_as_keyword": ({"keywords": [6]}, "but one is 6"),
    "no_title": ({"papers": (PAPER._replace(title=""),)}, "the title of the paper must be a nonempty string"),
    "no_authors": (
        {"papers": (PAPER._replace(authors=None),)},
        "the authors of the paper must be a nonempty string, but is None",
    ),
    "year": (
        {"papers": (PAPER._replace(year=20016),)},
        "the year of the paper must be a year of publication, but is 20016",
    ),
    "year_as_text": ({"papers": (PAPER._replace(year="2016"),)}, "but is '2016'"),
    "link": ({"papers": (PAPER._replace(link="arXiv 1603.09420"),)}, "the link to the paper must start with https://"),
}


@pytest.mark.parametrize(("fields", "words"), RECORDS.values(), ids=RECORDS)
def test_problems_of_a_record(fields, words):
    assert_fails("record_is_complete", words, record_of(SimpleCell, **fields))


def test_all_problems_of_a_record_are_reported():
    result = result_of(
        record_of(SimpleCell, summary="", equation="{", papers=(PAPER._replace(year=1),)), "record_is_complete"
    )
    assert result.reason.count(";") == 2


@pytest.mark.parametrize(
    "equation",
    [
        r"\sum_i (a_i | b) \in [0, 1)",
        r"h_t = \sum_i (a_i",
        r"\text{Gates} \\ h_t = x_t",
        r"h_t &= \tanh(x_t)",
        "\n\t\th_t &= x_t \\\\\n\t\tc_t &= h_t\n",
        r"h_t &= W_{\exp} x^{*}_t",
        "",
    ],
    ids=["unknown", "unknown_before_a_bracket", "text", "raw", "indented", "with_names", "none"],
)
def test_valid_equations(equation):
    assert result_of(record_of(SimpleCell, equation=equation), "record_is_complete").outcome == "passed"


class UndocumentedOptions(StackOptions):
    """The options of a kind."""

    scale: float = 1.0


@faults.planted("record_is_complete", "UndocumentedOptions.scale has no documentation", options=UndocumentedOptions)
class Scaled(SimpleCell):
    """Uses its option."""

    def __init__(self, *sizes, scale=1.0, **rest):
        super().__init__(*sizes, **rest)
        self.scale = scale

    def activation(self, x):
        return torch.tanh(self.scale * x)


def test_a_record_that_building_replaces():
    def build(spec, *, device, dtype):
        with pytest.warns(UserWarning, match="is replaced by its new version"):
            register_kind(Kind(name="made", builder=build, summary="Another.", options=StackOptions))
        return CellStack(spec, [SimpleCell] * spec.num_layers, device=device, dtype=dtype)

    with use_catalog(Catalog()):
        words = "get_kind('local/made') returns another record"
        assert_fails("name_resolves_to_kind", words, record_of(build, options=StackOptions))


# Options


def kind_with(option, default, **namespace):
    """The record of a kind with one option of a type."""
    namespace |= {"__annotations__": {"option": option}, "option": default, "__doc__": "Made."}

    class Heeding(SimpleCell):
        def __init__(self, *sizes, option, **rest):
            super().__init__(*sizes, **rest)

    return record_of(Heeding, options=type("MadeOptions", (StackOptions,), namespace))


def doubled(value):
    return 2 * value


def lowercase(value):
    return value.lower()


def named(value):
    return value["name"] if isinstance(value, dict) else value


OPTIONS = {
    "changes_what_it_made": (
        kind_with(Annotated[float, PlainValidator(doubled)], 1.0),
        "spec_round_trip",
        "after to_dict and from_dict, the spec is",
    ),
    "takes_anything": (
        kind_with(Annotated[str, BeforeValidator(str)], "x"),
        "options_are_validated",
        "options.option accepts any object",
    ),
    "has_no_type": (kind_with(Any, None), "options_are_validated", "options.option accepts any object"),
    "raises_something_else": (
        kind_with(Annotated[str, BeforeValidator(lowercase)], "x"),
        "options_are_validated",
        "'object' object has no attribute 'lower' (test_checks_systems.py, line",
    ),
    "raises_something_else_for_a_mapping": (
        kind_with(Annotated[str, BeforeValidator(named)], "x"),
        "options_are_validated",
        "options.option={'no such': 'value'} raised",
    ),
    "is_ignored": (kind_with(float, 1.0), "options_take_effect", "options.option=0.5 had no effect"),
    "is_an_ignored_choice": (
        kind_with(Literal["a", "b", "c"], "a"),
        "options_take_effect",
        "options.option='b' and options.option='c' had no effect",
    ),
    "is_an_ignored_flag": (kind_with(bool, False), "options_take_effect", "options.option=True had no effect"),
}


@pytest.mark.parametrize(("record", "check", "words"), OPTIONS.values(), ids=OPTIONS)
def test_faulty_options(record, check, words):
    assert_fails(check, words, record)


def test_mutable_options(monkeypatch):
    monkeypatch.setattr(UndocumentedOptions, "__setattr__", object.__setattr__)
    assert_fails("options_are_validated", "can be assigned", record_of(Scaled, options=UndocumentedOptions))


def test_an_option_without_sample_values_is_reported_and_tried_if_a_value_is_given():
    record = kind_with(Annotated[str, Field(pattern="^(one|two)$")], "one")
    result = result_of(record, "options_take_effect")
    assert result.outcome == "passed"
    assert "options.option: no other value was found; give one in `options`" in result.left_out
    assert_fails("options_take_effect", "options.option='two' had no effect", record, options=[{"option": "two"}])


def test_a_given_default_value_is_not_a_change():
    [result] = check_kind("rnn_cell", only=["options_take_effect"], options=[{"nonlinearity": "tanh"}]).results
    assert result.outcome == "passed", result.reason


def test_an_option_that_depends_on_another_is_tried_with_it():
    class TiedOptions(StackOptions):
        gated: bool = False
        slope: float = 1.0

    class Tied(SimpleCell):
        def __init__(self, *sizes, gated=False, slope=1.0, **rest):
            super().__init__(*sizes, **rest)
            self.slope = slope if gated else 1.0
            self.offset = float(gated)

        def activation(self, x):
            return torch.tanh(self.slope * x) + self.offset

    def check(spec):
        if spec.options.slope != 1 and not spec.options.gated:
            yield Problem("options.slope", "It needs a gate")

    result = result_of(record_of(Tied, options=TiedOptions, check=check), "options_take_effect")
    assert result.outcome == "passed", result.reason
    assert not any("slope" in each for each in result.left_out)


# Fields of a spec


def ignoring(**fields):
    """The record of a kind whose builder ignores some fields."""

    def build(spec, *, device, dtype):
        spec = replace(spec, **fields)
        return CellStack(spec, [SimpleCell] * spec.num_layers, device=device, dtype=dtype)

    return record_of(build, options=StackOptions)


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"num_layers": 2}, "num_layers=1 and num_layers=3 had no effect"),
        ({"bias": True}, "bias=False had no effect"),
        ({"bidirectional": False}, "bidirectional=True had no effect"),
        ({"dropout": 0.0}, "dropout=0.25 had no effect"),
        ({"hidden_size": 6}, "hidden_size=12 and hidden_size=18 had no effect"),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, dict) else "",
)
def test_ignored_fields(fields, words):
    assert_fails("fields_take_effect", words, ignoring(**fields))


# Equations


@pytest.mark.parametrize(
    ("equation", "words"),
    [
        (r"h_t &= \tanh(W x_t - U h_{t-1} + b)", "compared with the equation, the output and state of a step"),
        (r"h_t &= \tanh(W x_t + U (h_{t-1} + b))", "compared with the equation, the output"),
        (
            r"h_t &= \tanh(W x_t + V h_{t-1} + b)",
            "`symbols` of SimpleCell has no value for V of the equation",
        ),
        (r"h_t &= \tanh(W x_t + b)", "has a value for U, which the equation does not contain"),
        (
            r"s_t &= \tanh(W x_t + U h_{t-1} + b)",
            "the equation does not define h_t, for the field h of the state; it defines s_t",
        ),
        (r"h_t &= \tanh(x_t W + U h_{t-1} + b)", "a column of 3 stands before a matrix of 6 x 3"),
    ],
)
def test_wrong_equations(equation, words):
    record = record_of(SimpleCell, equation=equation)
    assert_fails("step_matches_equation", words, record)


class SquaredCell(SimpleCell):
    def step(self, projected_t, state):
        h, _ = super().step(projected_t, state)
        return h**2, type(state)(h**2)


@pytest.mark.parametrize(
    ("cell", "equation", "outcome"),
    [
        (SimpleCell, r"\mathbf{h}^{(t)} = \tanh(W \mathbf{x}^{(t)} + U \mathbf{h}^{(t-1)} + b)", "passed"),
        (SquaredCell, r"h_t = \tanh(W x_t + U h_{t-1} + b)^2", "passed"),
        (SquaredCell, r"h_t = \tanh^2(W x_t + U h_{t-1} + b)", "passed"),
        (SquaredCell, r"h_t = \tanh((W x_t + U h_{t-1} + b)^2)", "failed"),
    ],
)
def test_spellings_of_an_equation(cell, equation, outcome):
    assert result_of(record_of(cell, equation=equation), "step_matches_equation").outcome == outcome


@faults.planted("step_matches_equation", "['weight_hh'] is 0")
class ForgetsAGradient(SimpleCell):
    def recurrence(self, h):
        return F.linear(h, self.weight_hh.detach())


@faults.planted(
    "step_matches_equation",
    "`symbols` of Misspells has a name that is not valid LaTeX: `h` after `W _ i` cannot be read",
)
class Misspells(SimpleCell):
    def symbols(self):
        return {"W_ih": self.weight_ih}


class Unnamed(SimpleCell):
    symbols = Cell.symbols


@pytest.mark.parametrize(
    ("right", "wrong"),
    [("C_t q_t", r"C_t^\top q_t"), (r"v_t k_t^{\top}", r"k_t v_t^\top"), (r"|n_t^\top q_t|", r"n_t^\top q_t")],
)
def test_wrong_equations_of_heads(right, wrong):
    record = cell_kind(HeadsCell, name="heads", summary="A cell.", equation=HEADS_EQUATION.replace(right, wrong))
    assert_fails("step_matches_equation", "compared with the equation, the output and state of a step", record)


class OfTwoAndThreeHeads(HeadsCell):
    def symbols(self):
        return {**super().symbols(), "b_f": [0.0, 0.0, 0.0]}


def test_lists_of_symbols_must_have_one_length():
    record = cell_kind(OfTwoAndThreeHeads, name="heads", summary="A cell.", equation=HEADS_EQUATION)
    assert_fails("step_matches_equation", "has lists of different lengths", record)


class Cubes(LinearAttentionCell):
    """The state has more axes than an equation can say."""

    def state_shapes(self, batch_size):
        return MemoryState(torch.Size((batch_size, 1, self.hidden_size, self.hidden_size)))

    def step(self, projected_t, state):
        output, after = super().step(projected_t, MemoryState(state.s[:, 0]))
        return output, MemoryState(after.s[:, None])

    def symbols(self):
        return {"a": 0.9}


@pytest.mark.parametrize(
    ("record", "words"),
    [
        (record_of(SimpleCell, equation=""), "its record has no equation"),
        (record_of(Unnamed), "Unnamed does not define `symbols`, which maps the symbols of the equation"),
        (
            record_of(SimpleCell, equation=r"h_t &= \sum_i x_t"),
            r"in the equation, `\sum` after `h _ t =` cannot be read",
        ),
        (
            record_of(SimpleCell, equation=r"h_t &= \tanh W x_t + U b h_{t-1}"),
            "the argument of a function needs brackets",
        ),
        (record_of(ignoring().builder, options=StackOptions), "not a stack of a single cell type"),
        (record_of(Cubes, equation=r"s_t &= a s_{t-1} \\ y_t &= s_t x_t"), "is not a number, column or matrix"),
    ],
    ids=["no_equation", "no_symbols", "unknown_sign", "no_brackets", "no_cell", "many_axes"],
)
def test_equations_that_cannot_be_compared_are_not_applicable(record, words):
    result = result_of(record, "step_matches_equation")
    assert result.outcome == "not applicable"
    assert words in result.reason


# Training


@faults.planted("every_parameter_is_trained", "backbone.cells.0.unused has no gradient in 4 steps")
class HasAnUnusedParameter(SimpleCell):
    def __init__(self, *sizes, **rest):
        super().__init__(*sizes, **rest)
        self.unused = self.new_parameter(2)


@faults.planted("every_parameter_is_trained", "backbone.cells.0.weight_hh has no gradient in 4 steps")
class DetachesAWeight(SimpleCell):
    def recurrence(self, h):
        return F.linear(h, self.weight_hh.detach())


@faults.planted("every_parameter_is_trained", "is not finite")
class DividesByZero(SimpleCell):
    def activation(self, x):
        return torch.where(x > 0, torch.sqrt(x), x) * self.weight_hh[0, 0]


@faults.planted("every_parameter_is_trained", "backbone.cells.0.weight_hh does not change")
class SetsAWeightAnew(SimpleCell):
    def project(self, x):
        with torch.no_grad():
            self.weight_hh.fill_(0.25)
        return super().project(x)

    def recurrence(self, h):
        return F.linear(h, self.weight_hh)


@faults.planted("loss_decreases", "the last output depends on the last input only: the state has no effect")
class Forgets(SimpleCell):
    def recurrence(self, h):
        return F.linear(0 * h, self.weight_hh)


@faults.planted("loss_decreases", "in 100 steps the loss decreases from")
class LearnsTheWrongWay(SimpleCell):
    def activation(self, x):
        return torch.tanh(2 * x.detach() - x)


@faults.planted("seeded_training", "after a second training with the same seed, in the parameters,")
class DrawsElsewhere(SimpleCell):
    def activation(self, x):
        return torch.tanh(x) * (random.random() if self.training else 1)  # noqa: S311  # that is the fault


# Copies


@faults.planted("state_dict_round_trip", "after load_state_dict, the output and state")
@faults.planted("checkpoint_round_trip", "after load_model, the output and state")
class HidesAWeight(SimpleCell):
    def __init__(self, *sizes, **rest):
        super().__init__(*sizes, **rest)
        self.weights = [torch.randn_like(self.weight_hh)]

    def recurrence(self, h):
        return F.linear(h, self.weight_hh + self.weights[0])


@faults.planted("state_dict_round_trip", "after load_state_dict, the output and state")
class KeepsWhatItMadeOfAWeight(SimpleCell):
    made = None

    def recurrence(self, h):
        if self.made is None or self.training:
            self.made = self.weight_hh.detach().exp()
        return F.linear(h, self.made)


@faults.planted("deep_copy_is_independent", "after changing the original, the output and state of a copy")
class ReadsTheWeightsOfItsMaker(SimpleCell):
    def __init__(self, *sizes, **rest):
        super().__init__(*sizes, **rest)
        self.closure = lambda h: F.linear(h, self.weight_hh)

    def recurrence(self, h):
        return self.closure(h)


@faults.planted("deep_copy_is_independent", "raised RuntimeError: Only Tensors created explicitly by the user")
class KeepsItsLastOutput(SimpleCell):
    def activation(self, x):
        self.last = torch.tanh(x)
        return self.last


@faults.planted("pickle_round_trip", "<lambda>")
class HoldsALambda(ReadsTheWeightsOfItsMaker):
    def __init__(self, *sizes, **rest):
        super().__init__(*sizes, **rest)
        self.function = lambda x: x


@faults.planted("checkpoint_round_trip", "it raised CheckpointError")
class GrowsWithUse(SimpleCell):
    def activation(self, x):
        self.register_buffer("seen", x.detach()[:0])
        return torch.tanh(x)


def test_a_local_kind_may_have_a_class_defined_in_a_function():
    class Made(SimpleCell):
        pass

    report = report_of(record_of(Made), "pickle_round_trip", "spec_round_trip", PARALLEL)
    assert report["pickle_round_trip"].outcome == "not applicable"
    assert "pickle cannot find classes defined inside a function" in report["pickle_round_trip"].reason
    assert report["spec_round_trip"].outcome == "passed"
    assert report[PARALLEL].reason == "other processes cannot build a kind that is registered in this process only"


# Transforms


class Cube(torch.autograd.Function):
    """x ** 3, with custom rules; subclasses have wrong ones."""

    generate_vmap_rule = False

    @staticmethod
    def forward(x):
        return x**3

    @staticmethod
    def setup_context(ctx, inputs, output):
        ctx.save_for_backward(*inputs)
        ctx.save_for_forward(*inputs)

    @staticmethod
    def backward(ctx, gradient):
        return gradient * 3 * ctx.saved_tensors[0] ** 2

    @staticmethod
    def jvp(ctx, tangent):
        return tangent * 3 * ctx.saved_tensors[0] ** 2

    @staticmethod
    def vmap(info, in_dims, x):
        return Cube.apply(x), in_dims[0]


class WrongMap(Cube):
    @staticmethod
    def vmap(info, in_dims, x):
        return Cube.apply(x.flip(in_dims[0])), in_dims[0]


class WrongTangent(Cube):
    @staticmethod
    def jvp(ctx, tangent):
        return tangent * 2 * ctx.saved_tensors[0] ** 2


class WrongSecond(Cube):
    @staticmethod
    def backward(ctx, gradient):
        return gradient * 3 * ctx.saved_tensors[0].detach() ** 2


class WrongSecondInFloat32(Cube):
    @staticmethod
    def backward(ctx, gradient):
        (x,) = ctx.saved_tensors
        return gradient * 3 * (x.detach() if x.dtype == torch.float32 else x) ** 2


class NoSecond(Cube):
    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, gradient):
        return gradient * 3 * ctx.saved_tensors[0] ** 2


def through(function):
    """A cell that applies a function with custom rules."""

    class Through(SimpleCell):
        def activation(self, x):
            return torch.tanh(function.apply(x))

    return Through


TRANSFORMS = ["vmap_equals_loop", "per_sample_gradients", "forward_mode_gradients", "double_backward"]


def test_correct_custom_rules_pass():
    report = report_of(record_of(through(Cube)), *TRANSFORMS)
    assert [each.outcome for each in report.results] == ["passed"] * 4, str(report)


@pytest.mark.parametrize(
    ("function", "check", "words"),
    [
        (WrongMap, "vmap_equals_loop", "under vmap, the output is"),
        (WrongMap, "per_sample_gradients", "the gradient of each sequence"),
        (WrongTangent, "forward_mode_gradients", "the directional derivative is"),
        (WrongSecond, "double_backward", "Jacobian mismatch"),
        (WrongSecondInFloat32, "double_backward", "in float32, the second derivative by"),
    ],
)
def test_wrong_custom_rules(function, check, words):
    assert_fails(check, words, record_of(through(function)))


def test_missing_rules_are_not_applicable():
    class Bare(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return x.clone()

        @staticmethod
        def backward(ctx, gradient):
            return gradient

    report = report_of(record_of(through(Bare)), *TRANSFORMS)
    assert {each.check.name: each.outcome for each in report.results} == {
        name: "passed" if name == "double_backward" else "not applicable" for name in TRANSFORMS
    }
    result = result_of(record_of(through(NoSecond)), "double_backward")
    assert result.outcome == "not applicable"
    assert "once_differentiable" in result.reason


@faults.planted("per_sample_gradients", ".weight_hh'] is 0")
class ReadsAWeightElsewhere(SimpleCell):
    def __init__(self, *sizes, **rest):
        super().__init__(*sizes, **rest)
        self.elsewhere = [self.weight_hh]

    def recurrence(self, h):
        return F.linear(h, self.elsewhere[0])


@faults.planted("autocast_is_close", "under autocast to torch.bfloat16, the outputs and states of two calls")
class LosesDigits(SimpleCell):
    def activation(self, x):
        return torch.tanh((x + 1000) - 1000)


@faults.planted("autocast_is_close", "is not finite")
class Overflows(SimpleCell):
    def activation(self, x):
        steep = torch.where(x.abs() < 2**-7, torch.sqrt(x - x), x) if x.dtype == torch.bfloat16 else x
        return torch.tanh(steep)


@pytest.mark.parametrize(("check", "words", "record"), faults.parameters)
def test_a_fault_fails_its_check(check, words, record):
    assert_fails(check, words, record)


# Processes

DISTRIBUTED = """
    import sys

    import torch
    from torch.nn import functional as F

    from rnnkit import Cell, CellState, cell_kind

    class Made(Cell):
        def __init__(self, input_size, hidden_size, *, device=None, dtype=None):
            super().__init__(input_size, hidden_size, device=device, dtype=dtype)
            self.weight = self.new_parameter(hidden_size, input_size)
            self.more = self.new_parameter(hidden_size)

        def project(self, x):
            return F.linear(x, self.weight)

        def step(self, projected_t, state):
            h = {h}
            return h, CellState(h)

    @hookimpl
    def register_kinds(register):
        register(cell_kind(Made, name="test_distributed", summary="A test."))
"""


@pytest.mark.parametrize(
    ("h", "words"),
    [
        ("torch.tanh(projected_t + self.more - projected_t.mean(0))", "in process 0 of 2, the"),
        ("sys.exit('it is over') if torch.distributed.is_initialized() else self.more + projected_t", "it is over"),
    ],
    ids=["over_the_batch", "ends_the_process"],
)
def test_kinds_that_cannot_be_trained_in_two_processes(plugins, h, words):
    plugins.install("test_distributed", source=DISTRIBUTED.replace("{h}", h))
    with use_catalog(Catalog()):
        [result] = check_kind("test_distributed", only=[PARALLEL]).results
    assert result.outcome == "failed", result.reason
    assert words in result.reason


def test_processes_that_cannot_be_forked(monkeypatch):
    monkeypatch.setattr(data_parallel, "_CAN_FORK", False)
    monkeypatch.setattr(data_parallel, "_RANKS", [(0,), (1,)])
    [result] = check_kind("rnn", only=PARALLEL).results
    assert result.outcome == "passed", result.reason


def test_processes_that_fail_before_training(tmp_path, monkeypatch):
    (tmp_path / "torch.py").write_text("raise ImportError('torch is damaged')")
    monkeypatch.syspath_prepend(tmp_path)
    [result] = check_kind("rnn", only=PARALLEL).results
    assert result.outcome == "failed"
    assert result.reason.count("failed with exit status 1") == 2
    assert "ImportError: torch is damaged" in result.reason


def test_unavailable_distributed_training_is_not_applicable(monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(data_parallel, "_loopback", lambda: {"GLOO_SOCKET_IFNAME": "no_such_interface"})
        [result] = check_kind("rnn", only=[PARALLEL]).results
        assert result.outcome == "not applicable"
        assert "distributed training does not work on this machine: init_process_group raised" in result.reason
    monkeypatch.setattr(torch.distributed, "is_gloo_available", lambda: False)
    [result] = check_kind("rnn", only=[PARALLEL]).results
    assert result.reason == "torch.distributed with gloo is not available"
