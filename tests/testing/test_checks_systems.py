"""The kit's promises of records, options, equations, training and systems: healthy kinds keep them, faults do not."""

import random
from dataclasses import replace
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
    Cell,
    CellStack,
    CellState,
    Kind,
    Options,
    Paper,
    Problem,
    StackOptions,
    cell_kind,
    register_kind,
)
from rnnkit.catalog import Catalog
from rnnkit.catalog.catalog import using
from rnnkit.testing import all_checks, check_kind
from rnnkit.testing.checks import data_parallel
from rnnkit.testing.lynx_data import TRAPPED, lynx_data

MODULES = ["records", "option_effects", "equations", "learning", "copies", "transforms"]
PROMISES = [each.name for each in all_checks() if each.function.__module__.rsplit(".")[-1] in MODULES]
PARALLEL = "data_parallel_equals_one_process"
EXAMPLE = Path(__file__).parents[2] / "docs/examples/rnnkit-mgu/rnnkit_mgu.py"
PAPER = Paper(title="Finding Structure in Time", authors="J. L. Elman", year=1990, link="https://example.org/elman")
EQUATION = r"h_t &= \tanh(W x_t + U h_{t-1} + b)"


class Plain(Cell):
    """h_t = tanh(W x_t + U h_{t-1} + b)."""

    def __init__(self, input_size, hidden_size, *, bias=True, device=None, dtype=None):
        super().__init__(input_size, hidden_size, device=device, dtype=dtype)
        self.weight_ih = self.new_parameter(hidden_size, input_size)
        self.weight_hh = self.new_parameter(hidden_size, hidden_size)
        self.bias = self.new_parameter(hidden_size) if bias else None

    def project(self, x):
        return F.linear(x, self.weight_ih, self.bias)

    def step(self, projected_t, state):
        h = self.squash(projected_t + self.recur(state.h))
        return h, CellState(h)

    def squash(self, x):
        return torch.tanh(x)

    def recur(self, h):
        return F.linear(h, self.weight_hh)

    def symbols(self):
        return {"W": self.weight_ih, "U": self.weight_hh, "b": 0 if self.bias is None else self.bias}


def record_of(made, **fields):
    """The record of a kind of a cell, or of a backbone."""
    fields = {"name": "made", "summary": "Made for a test.", "equation": EQUATION, "paper": PAPER, **fields}
    is_cell = isinstance(made, type) and issubclass(made, Cell)
    return cell_kind(made, **fields) if is_cell else Kind(builder=made, **fields)


def put(record, *promises, **how):
    """The report of a kind that exists as long as that takes."""
    with register_kind(record) as kind:
        return check_kind(kind.name, only=promises or PROMISES, **how)


def result_of(record, promise, **how):
    [result] = put(record, promise, **how).results
    return result


def assert_breaks(record, promise, words, **how):
    result = result_of(record, promise, **how)
    assert result.outcome == "failed", result.reason
    assert words in result.reason


# Healthy kinds


def mgu():
    """The record of the example of a plugin."""
    spec = spec_from_file_location("rnnkit_mgu", EXAMPLE)
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    kinds = []
    module.register_kinds(kinds.append)
    return kinds[0]


class OddOptions(Options):
    """The options of a kind that is no stack of cells.

    Attributes:
        window: how many steps are averaged.
        merge: what becomes of that and of the last step.
    """

    window: Annotated[int, Field(ge=1)] = 4
    merge: Literal["sum", "product"] = "sum"


class Odd(Backbone):
    """Reads a mean of the last steps; its state has a tuple in a tuple, and a number of calls that all rows share."""

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
    """What a kind refuses that is in one piece, and cannot do without a bias."""
    if spec.num_layers > 1:
        yield Problem("num_layers", "It has one layer")
    if spec.bidirectional:
        yield Problem("bidirectional", "It has one direction")
    if not spec.bias:
        yield Problem("bias", "It cannot do without")


HEALTHY = {
    "mgu": (mgu(), {"pickles"}),  # its module was not imported by its name
    "plain": (record_of(Plain), set()),
    "no_backbone_of_ours": (
        record_of(Odd, options=OddOptions, check=of_one_layer, equation="", paper=None),
        {"step_matches_its_equation"},
    ),
}


@pytest.mark.parametrize(("record", "beyond_it"), HEALTHY.values(), ids=HEALTHY)
def test_a_healthy_kind_keeps_all_that_it_can(record, beyond_it):
    report = put(record)
    report.require()
    assert {each.check.name for each in report.not_applicable} == beyond_it


def test_the_lynx_are_those_that_were_trapped():
    assert (len(TRAPPED), sum(TRAPPED), TRAPPED[0], max(TRAPPED), TRAPPED[-1]) == (114, 175_334, 269, 6_991, 3_396)
    task = lynx_data()
    assert tuple(task.past.shape) == (106, 8, 1)
    torch.testing.assert_close(task.past[1:, -1], task.next[:-1])
    slope, constant = torch.tensor([[each.item(), 1] for each in task.past[:, -1]], dtype=torch.float64).T
    fitted = torch.linalg.lstsq(torch.stack([slope, constant], 1), task.next).solution
    residual = task.next - slope[:, None] * fitted[0] - fitted[1]
    assert task.loss_of_a_line == pytest.approx(residual.square().mean().item())


# Faults, each caught by the promise that should

FAULTS = []


def breaks(promise, words, **fields):
    """The cell or backbone below breaks a promise, for a reason in which these words stand."""

    def decorate(made):
        FAULTS.append(pytest.param(promise, words, record_of(made, **fields), id=f"{made.__name__}-{promise}"))
        return made

    return decorate


# Records

RECORDS = {
    "no_summary": ({"summary": " "}, "the summary must be a sentence"),
    "a_title": ({"summary": "A cell"}, "the summary must end with a period"),
    "two_sentences": ({"summary": "It has one gate. It forgets."}, "the summary must be one sentence"),
    "two_lines": ({"summary": "One\nand two."}, "the summary must be on one line"),
    "a_page": ({"summary": f"A {'very ' * 30}long one."}, "the summary must have 100 characters at most, but has 161"),
    "not_raw": ({"equation": "h_t &= \tanh(x_t)"}, r"the equation has '\t' in 'h_t &= \tanh(x_t)'"),
    "not_raw_either": ({"equation": "\rho_t &= x_t"}, r"the equation has '\r' in"),
    "of_python": ({"equation": r"h_t &= torch.tanh(x_t)"}, "the equation must be LaTeX, but has 'torch.'"),
    "without_backslash": ({"equation": r"h_t &= tanh(x_t)"}, "the equation must be LaTeX, but has 'tanh'"),
    "unbalanced": ({"equation": r"h_{t &= x_t \{"}, "the equation has 1 opening braces, but 0 closing ones"),
    "no_title": ({"paper": PAPER._replace(title="")}, "the title of the paper must be words"),
    "no_authors": ({"paper": PAPER._replace(authors=None)}, "the authors of the paper must be words, but are None"),
    "year": (
        {"paper": PAPER._replace(year=20016)},
        "the year of the paper must be that of a publication, but is 20016",
    ),
    "year_as_text": ({"paper": PAPER._replace(year="2016")}, "but is '2016'"),
    "link": ({"paper": PAPER._replace(link="arXiv 1603.09420")}, "the link to the paper must start with https://"),
}


@pytest.mark.parametrize(("fields", "words"), RECORDS.values(), ids=RECORDS)
def test_what_is_wrong_with_a_record_is_said(fields, words):
    assert_breaks(record_of(Plain, **fields), "record_is_complete", words)


def test_all_that_is_wrong_with_a_record_is_said_at_once():
    result = result_of(record_of(Plain, summary="", equation="{", paper=PAPER._replace(year=1)), "record_is_complete")
    assert result.reason.count(";") == 2


@pytest.mark.parametrize(
    "equation",
    [r"h_t &= \tanh(x_t)", "\n\t\th_t &= x_t \\\\\n\t\tc_t &= h_t\n", r"h_t &= W_{\exp} x^{*}_t", ""],
    ids=["raw", "indented", "with_names", "none"],
)
def test_an_equation_may_be_indented_and_empty(equation):
    assert result_of(record_of(Plain, equation=equation), "record_is_complete").outcome == "passed"


class UndocumentedOptions(StackOptions):
    """The options of a kind."""

    scale: float = 1.0


@breaks("record_is_complete", "UndocumentedOptions.scale has no documentation", options=UndocumentedOptions)
class Scaled(Plain):
    """Has an option, and heeds it."""

    def __init__(self, *sizes, scale=1.0, **rest):
        super().__init__(*sizes, **rest)
        self.scale = scale

    def squash(self, x):
        return torch.tanh(self.scale * x)


def test_a_record_that_is_replaced_when_it_is_built_does_not_lead_to_the_kind():
    def build(spec, *, device, dtype):
        with pytest.warns(UserWarning, match="is replaced by its new version"):
            register_kind(Kind(name="made", builder=build, summary="Another.", options=StackOptions))
        return CellStack(spec, [Plain] * spec.num_layers, device=device, dtype=dtype)

    with using(Catalog()):
        words = "after one is built, get_kind('local/made') is another record"
        assert_breaks(record_of(build, options=StackOptions), "name_leads_to_the_kind", words)


# Options


def kind_with(option, default, **namespace):
    """The record of a kind with one option of a type."""
    namespace |= {"__annotations__": {"option": option}, "option": default, "__doc__": "Made."}

    class Heeding(Plain):
        def __init__(self, *sizes, option, **rest):
            super().__init__(*sizes, **rest)

    return record_of(Heeding, options=type("MadeOptions", (StackOptions,), namespace))


def doubled(value):
    return 2 * value


def told_apart(value):
    return value.lower()


def named(value):
    return value["name"] if isinstance(value, dict) else value


OPTIONS = {
    "changes_what_it_made": (
        kind_with(Annotated[float, PlainValidator(doubled)], 1.0),
        "specs_survive_files",
        "after to_dict and from_dict the spec is",
    ),
    "takes_anything": (
        kind_with(Annotated[str, BeforeValidator(str)], "x"),
        "options_are_checked",
        "options.option takes any object",
    ),
    "has_no_type": (kind_with(Any, None), "options_are_checked", "options.option takes any object"),
    "raises_something_else": (
        kind_with(Annotated[str, BeforeValidator(told_apart)], "x"),
        "options_are_checked",
        "'object' object has no attribute 'lower', no ValidationError",
    ),
    "raises_something_else_for_a_mapping": (
        kind_with(Annotated[str, BeforeValidator(named)], "x"),
        "options_are_checked",
        "options.option={'no such': 'value'} raised",
    ),
    "is_ignored": (kind_with(float, 1.0), "options_take_effect", "options.option=0.5 changed nothing"),
    "is_an_ignored_choice": (
        kind_with(Literal["a", "b", "c"], "a"),
        "options_take_effect",
        "options.option='b' and options.option='c' changed nothing",
    ),
    "is_an_ignored_flag": (kind_with(bool, False), "options_take_effect", "options.option=True changed nothing"),
}


@pytest.mark.parametrize(("record", "promise", "words"), OPTIONS.values(), ids=OPTIONS)
def test_an_option_that_is_wrong_breaks_a_promise(record, promise, words):
    assert_breaks(record, promise, words)


def test_options_that_can_be_set_break_a_promise(monkeypatch):
    monkeypatch.setattr(UndocumentedOptions, "__setattr__", object.__setattr__)
    assert_breaks(record_of(Scaled, options=UndocumentedOptions), "options_are_checked", "can be set")


def test_an_option_for_whose_type_there_is_no_idea_is_named_and_tried_if_its_author_gives_a_value():
    record = kind_with(Annotated[str, Field(pattern="^(one|two)$")], "one")
    result = result_of(record, "options_take_effect")
    assert result.outcome == "passed"
    assert "options.option: no other value of it was found; give one in `options`" in result.left_out
    assert_breaks(record, "options_take_effect", "options.option='two' changed nothing", options=[{"option": "two"}])


def test_a_value_that_is_the_default_is_no_change():
    [result] = check_kind("rnn_cell", only=["options_take_effect"], options=[{"nonlinearity": "tanh"}]).results
    assert result.outcome == "passed", result.reason


def test_an_option_that_needs_another_is_tried_with_it():
    class TiedOptions(StackOptions):
        gated: bool = False
        slope: float = 1.0

    class Tied(Plain):
        def __init__(self, *sizes, gated=False, slope=1.0, **rest):
            super().__init__(*sizes, **rest)
            self.slope = slope if gated else 1.0
            self.offset = float(gated)

        def squash(self, x):
            return torch.tanh(self.slope * x) + self.offset

    def check(spec):
        if spec.options.slope != 1 and not spec.options.gated:
            yield Problem("options.slope", "It needs a gate")

    result = result_of(record_of(Tied, options=TiedOptions, check=check), "options_take_effect")
    assert result.outcome == "passed", result.reason
    assert not any("slope" in each for each in result.left_out)


# Fields of a spec


def ignoring(**fields):
    """The record of a kind whose builder takes some fields to be always the same."""

    def build(spec, *, device, dtype):
        spec = replace(spec, **fields)
        return CellStack(spec, [Plain] * spec.num_layers, device=device, dtype=dtype)

    return record_of(build, options=StackOptions)


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"num_layers": 2}, "num_layers=1 and num_layers=3 changed nothing"),
        ({"bias": True}, "bias=False changed nothing"),
        ({"bidirectional": False}, "bidirectional=True changed nothing"),
        ({"dropout": 0.0}, "dropout=0.25 changed nothing"),
        ({"hidden_size": 6}, "hidden_size=12 and hidden_size=18 changed nothing"),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, dict) else "",
)
def test_a_field_that_is_ignored_breaks_a_promise(fields, words):
    assert_breaks(ignoring(**fields), "fields_take_effect", words)


# Equations


@pytest.mark.parametrize(
    ("equation", "words"),
    [
        (r"h_t &= \tanh(W x_t - U h_{t-1} + b)", "beside the equation, the output and state of a step"),
        (r"h_t &= \tanh(W x_t + U (h_{t-1} + b))", "beside the equation, the output"),
        (r"h_t &= \tanh(W x_t + V h_{t-1} + b)", "`symbols` of Plain does not say what V of the equation stands for"),
        (r"h_t &= \tanh(W x_t + b)", "says what U stands for, which the equation does not have"),
        (
            r"s_t &= \tanh(W x_t + U h_{t-1} + b)",
            "the equation has no line for h_t, which the state has as h; it has s_t",
        ),
        (r"h_t &= \tanh(x_t W + U h_{t-1} + b)", "a column of 3 stands before a matrix of 6 x 3"),
    ],
)
def test_another_equation_breaks_a_promise(equation, words):
    record = record_of(Plain, equation=equation)
    assert_breaks(record, "step_matches_its_equation", words)


@breaks("step_matches_its_equation", "['weight_hh'] is 0")
class ForgetsAGradient(Plain):
    def recur(self, h):
        return F.linear(h, self.weight_hh.detach())


@breaks(
    "step_matches_its_equation",
    "`symbols` of Misspells has a name that is none in LaTeX: `h` after `W _ i` cannot be read",
)
class Misspells(Plain):
    def symbols(self):
        return {"W_ih": self.weight_ih}


class Unnamed(Plain):
    symbols = Cell.symbols


@pytest.mark.parametrize(
    ("record", "words"),
    [
        (record_of(Plain, equation=""), "its record has no equation"),
        (record_of(Unnamed), "Unnamed does not say what the symbols of its equation stand for: write its method"),
        (record_of(Plain, equation=r"h_t &= \sum_i x_t"), r"in the equation, `\sum` after `h _ t =` cannot be read"),
        (record_of(Plain, equation=r"h_t &= \tanh W x_t + U b h_{t-1}"), "what a function is of needs brackets"),
        (record_of(ignoring().builder, options=StackOptions), "it is no stack of one sort of cell"),
    ],
    ids=["no_equation", "no_symbols", "unknown_sign", "no_brackets", "no_cell"],
)
def test_an_equation_that_cannot_be_compared_says_why(record, words):
    result = result_of(record, "step_matches_its_equation")
    assert result.outcome == "not applicable"
    assert words in result.reason


# Training


@breaks("every_parameter_learns", "backbone.cells.0.unused has no gradient in 4 steps")
class HasAnUnusedParameter(Plain):
    def __init__(self, *sizes, **rest):
        super().__init__(*sizes, **rest)
        self.unused = self.new_parameter(2)


@breaks("every_parameter_learns", "backbone.cells.0.weight_hh has no gradient in 4 steps")
class DetachesAWeight(Plain):
    def recur(self, h):
        return F.linear(h, self.weight_hh.detach())


@breaks("every_parameter_learns", "is not finite")
class DividesByZero(Plain):
    def squash(self, x):
        return torch.where(x > 0, torch.sqrt(x), x) * self.weight_hh[0, 0]


@breaks("every_parameter_learns", "backbone.cells.0.weight_hh does not change")
class SetsAWeightAnew(Plain):
    def project(self, x):
        with torch.no_grad():
            self.weight_hh.fill_(0.25)
        return super().project(x)

    def recur(self, h):
        return F.linear(h, self.weight_hh)


@breaks("loss_falls", "the last output depends on the last input alone, so that the state does nothing")
class Forgets(Plain):
    def recur(self, h):
        return F.linear(0 * h, self.weight_hh)


@breaks("loss_falls", "in 100 steps the loss falls from")
class LearnsTheWrongWay(Plain):
    def squash(self, x):
        return torch.tanh(2 * x.detach() - x)


@breaks("training_repeats_under_a_seed", "after a second training under the same seed, of the parameters,")
class DrawsElsewhere(Plain):
    def squash(self, x):
        return torch.tanh(x) * (random.random() if self.training else 1)  # noqa: S311  # that is the fault


# Copies


@breaks("state_dict_round_trip", "after load_state_dict, of the other model, the output and state")
@breaks("saves_and_loads", "after load_model, the output and state")
class HidesAWeight(Plain):
    def __init__(self, *sizes, **rest):
        super().__init__(*sizes, **rest)
        self.weights = [torch.randn_like(self.weight_hh)]

    def recur(self, h):
        return F.linear(h, self.weight_hh + self.weights[0])


@breaks("state_dict_round_trip", "after load_state_dict, of the other model, the output and state")
class KeepsWhatItMadeOfAWeight(Plain):
    made = None

    def recur(self, h):
        if self.made is None or self.training:
            self.made = self.weight_hh.detach().exp()
        return F.linear(h, self.made)


@breaks("deep_copy_is_independent", "of a copy after a change of the original, the output and state")
class ReadsTheWeightsOfItsMaker(Plain):
    def __init__(self, *sizes, **rest):
        super().__init__(*sizes, **rest)
        self.recurrence = lambda h: F.linear(h, self.weight_hh)

    def recur(self, h):
        return self.recurrence(h)


@breaks("deep_copy_is_independent", "raised RuntimeError: Only Tensors created explicitly by the user")
class KeepsItsLastOutput(Plain):
    def squash(self, x):
        self.last = torch.tanh(x)
        return self.last


@breaks("pickles", "<lambda>")
class HoldsALambda(ReadsTheWeightsOfItsMaker):
    def __init__(self, *sizes, **rest):
        super().__init__(*sizes, **rest)
        self.activation = lambda x: x


@breaks("saves_and_loads", "it raised CheckpointError")
class GrowsWithUse(Plain):
    def squash(self, x):
        self.register_buffer("seen", x.detach()[:0])
        return torch.tanh(x)


def test_a_local_kind_of_a_class_made_in_a_function_is_no_fault():
    class Made(Plain):
        pass

    report = put(record_of(Made), "pickles", "specs_survive_files", PARALLEL)
    assert report["pickles"].outcome == "not applicable"
    assert "pickle finds classes of modules only" in report["pickles"].reason
    assert report["specs_survive_files"].outcome == "passed"
    assert report[PARALLEL].reason == "another process does not know a kind of this process alone"


# Transforms


class Cube(torch.autograd.Function):
    """x ** 3, with rules by hand, of which a class below has a wrong one."""

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


class NoSecond(Cube):
    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, gradient):
        return gradient * 3 * ctx.saved_tensors[0] ** 2


def through(function):
    """A cell that goes through a function with rules of its own."""

    class Through(Plain):
        def squash(self, x):
            return torch.tanh(function.apply(x))

    return Through


TRANSFORMS = ["vmap_equals_a_loop", "per_sample_gradients", "forward_mode", "double_backward"]


def test_rules_by_hand_that_are_right_break_no_promise():
    report = put(record_of(through(Cube)), *TRANSFORMS)
    assert [each.outcome for each in report.results] == ["passed"] * 4, str(report)


@pytest.mark.parametrize(
    ("function", "promise", "words"),
    [
        (WrongMap, "vmap_equals_a_loop", "under vmap the output is"),
        (WrongMap, "per_sample_gradients", "of each row the gradient"),
        (WrongTangent, "forward_mode", "the derivative in one direction is"),
        (WrongSecond, "double_backward", "Jacobian mismatch"),
    ],
)
def test_a_rule_by_hand_that_is_wrong_breaks_a_promise(function, promise, words):
    assert_breaks(record_of(through(function)), promise, words)


def test_a_rule_that_is_missing_is_told_and_no_fault():
    class Bare(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return x.clone()

        @staticmethod
        def backward(ctx, gradient):
            return gradient

    report = put(record_of(through(Bare)), *TRANSFORMS)
    assert {each.check.name: each.outcome for each in report.results} == {
        name: "passed" if name == "double_backward" else "not applicable" for name in TRANSFORMS
    }
    result = result_of(record_of(through(NoSecond)), "double_backward")
    assert result.outcome == "not applicable"
    assert "once_differentiable" in result.reason


@breaks("per_sample_gradients", ".weight_hh'] is 0")
class ReadsAWeightElsewhere(Plain):
    def __init__(self, *sizes, **rest):
        super().__init__(*sizes, **rest)
        self.elsewhere = [self.weight_hh]

    def recur(self, h):
        return F.linear(h, self.elsewhere[0])


@breaks("autocast_is_near", "under autocast, of two calls, the output and state")
class LosesDigits(Plain):
    def squash(self, x):
        return torch.tanh((x + 1000) - 1000)


@breaks("autocast_is_near", "is not finite")
class Overflows(Plain):
    def squash(self, x):
        steep = torch.where(x.abs() < 2**-7, torch.sqrt(x - x), x) if x.dtype == torch.bfloat16 else x
        return torch.tanh(steep)


@pytest.mark.parametrize(("promise", "words", "record"), FAULTS)
def test_a_fault_is_caught_by_its_promise(promise, words, record):
    assert_breaks(record, promise, words)


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
def test_what_cannot_be_trained_in_two_processes_breaks_a_promise(plugins, h, words):
    plugins.install("test_distributed", source=DISTRIBUTED.replace("{h}", h))
    with using(Catalog()):
        [result] = check_kind("test_distributed", only=[PARALLEL]).results
    assert result.outcome == "failed", result.reason
    assert words in result.reason


def test_where_processes_cannot_train_together_that_is_no_fault_of_the_kind(monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(data_parallel, "_loopback", lambda: {"GLOO_SOCKET_IFNAME": "no_such_interface"})
        [result] = check_kind("rnn", only=[PARALLEL]).results
        assert result.outcome == "not applicable"
        assert "two processes cannot train together here: init_process_group raised" in result.reason
    monkeypatch.setattr(torch.distributed, "is_gloo_available", lambda: False)
    [result] = check_kind("rnn", only=[PARALLEL]).results
    assert result.reason == "this torch has no torch.distributed with gloo"
