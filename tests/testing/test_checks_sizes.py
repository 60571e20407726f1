"""The checks of sizes: long sequences, large batches and wide layers. Each fault fails one, and healthy cells pass."""

from time import process_time

import pytest
import torch
from torch.nn import functional as F

from rnnkit import Backbone, Cell, CellState, InitOptions, Problem
from rnnkit.testing.checks import executor_sizes
from rnnkit_builtin.gru import GRUBackbone
from rnnkit_builtin.gru_cell import GRUCell
from tests.helpers.cells import SimpleCell
from tests.helpers.healthy import LinearAttentionCell
from tests.helpers.planted import Faults, assert_fails, assert_passes, record_of, report_of, result_of

faults = Faults()
EXECUTOR = "executors_at_many_sizes"
LONG = "long_sequences_equal_pieces"
EXACT = "long_sequences_are_exact"
BATCH = "large_batches_equal_sequences"
WIDE = "wide_layers_equal_narrow_layers"
EQUAL = "executors_equal_step_loop"


class Linear(Cell):
    """h_t = (1 - z_t) h_{t-1} + z_t W_c x_t with z_t = sigma(W_z x_t + b): the minGRU (arXiv 2410.01201)."""

    def __init__(self, input_size, hidden_size, *, bias=True, device=None, dtype=None):
        super().__init__(input_size, hidden_size, device=device, dtype=dtype)
        self.weight = self.new_parameter(2 * hidden_size, input_size)
        self.bias = self.new_parameter(2 * hidden_size) if bias else None

    def project(self, x):
        return F.linear(x, self.weight, self.bias).chunk(2, -1)

    def step(self, projected_t, state):
        k, c = projected_t
        h = torch.lerp(state.h, c, torch.sigmoid(k))
        return h, CellState(h)


class Scanned(Linear):
    """The same with a parallel scan."""

    def unroll(self, x, state, lengths):
        k, c = self.project(x)
        kept, added = torch.sigmoid(-k), torch.sigmoid(k) * c
        outputs = self.scan(kept, added, state.h)
        return outputs, CellState(outputs[-1] if lengths is None else outputs[lengths - 1, torch.arange(len(lengths))])

    def scan(self, kept, added, h):
        return doubling_scan(kept, added, h, steps_of(len(kept)))


def steps_of(time):
    """1, 2, 4, and so on below the number of steps."""
    return [2**power for power in range(16) if 2**power < time]


def doubling_scan(kept, added, h, steps):
    """Hillis and Steele's scan: each round combines every element with that `step` before."""
    added = torch.cat([added[:1] + kept[:1] * h, added[1:]])
    for step in steps:
        added = torch.cat([added[:step], added[step:] + kept[step:] * added[:-step]])
        kept = torch.cat([kept[:step], kept[step:] * kept[:-step]])
    return added


def loop_scan(kept, added, h):
    outputs = []
    for kept_t, added_t in zip(kept, added, strict=True):
        h = kept_t * h + added_t
        outputs.append(h)
    return torch.stack(outputs)


def chunked_scan(kept, added, h, size, carry):
    """Chunks one after another, each from what `carry` makes of the end of the last."""
    outputs = []
    for kept_part, added_part in zip(kept.split(size), added.split(size), strict=True):
        outputs.append(doubling_scan(kept_part, added_part, h, steps_of(len(kept_part))))
        h = carry(outputs[-1][-1])
    return torch.cat(outputs)


# Long sequences


@faults.planted(EXECUTOR, "17 steps")
class LosesTheCarryAfter16(Scanned):
    def scan(self, kept, added, h):
        return chunked_scan(kept, added, h, 16, torch.zeros_like)


@faults.planted(EXECUTOR, "65 steps")
class LosesTheCarryAfter64(Scanned):
    def scan(self, kept, added, h):
        return chunked_scan(kept, added, h, 64, torch.zeros_like)


@faults.planted(EXECUTOR, "gradient")
class CutsTheGradientBetweenChunks(Scanned):
    def scan(self, kept, added, h):
        return chunked_scan(kept, added, h, 32, torch.Tensor.detach)


@faults.planted(EXECUTOR, "9 steps")
class MissesTheLastDoubling(Scanned):
    def scan(self, kept, added, h):
        rounds = max(1, len(kept) - 1).bit_length() - (len(kept) > 8 and (len(kept) - 1).bit_count() == 1)
        return doubling_scan(kept, added, h, steps_of(len(kept))[:rounds])


@faults.planted(EXECUTOR, "257 steps")
class CountsStepsInAByte(Scanned):
    def scan(self, kept, added, h):
        return doubling_scan(kept, added, h, [step for step in steps_of(len(kept)) if step < 256])


@faults.planted(EXACT, "at 4,096 steps in float32")
class LosesTheCarryAfter2048(Scanned):
    def scan(self, kept, added, h):
        return chunked_scan(kept, added, h, 2048, torch.zeros_like)


@faults.planted(EXACT, "at 4,096 steps in float32")
class DividesByAProduct(Scanned):
    """Underflows to 0 / 0 at some hundred steps."""

    def scan(self, kept, added, h):
        product = kept.cumprod(0)
        return product * (h + (added / product).cumsum(0))


def positive(x):
    return torch.where(x >= 0, x + 0.5, torch.sigmoid(x))


class Positive(Linear):
    """The minGRU of the paper with a positive candidate, for its scan in log space."""

    def step(self, projected_t, state):
        k, c = projected_t
        h = torch.lerp(state.h, positive(c), torch.sigmoid(k))
        return h, CellState(h)


@faults.planted(EXACT, "times the error of pieces")
class InLogSpace(Positive):
    """The parallel form of the paper, in logarithms (Heinsen, arXiv 2311.06281)."""

    def unroll(self, x, state, lengths):
        if lengths is not None or bool((state.h < 0).any()):
            return NotImplemented
        k, c = self.project(x)
        log_c = torch.where(c >= 0, (F.relu(c) + 0.5).log(), -F.softplus(-c))
        log_values = torch.cat([state.h.log()[None], -F.softplus(-k) + log_c])
        a_star = F.pad((-F.softplus(k)).cumsum(0), (0, 0, 0, 0, 1, 0))
        outputs = (a_star + (log_values - a_star).logcumsumexp(0)).exp()[1:]
        return outputs, CellState(outputs[-1])


@faults.planted(EXECUTOR, "steps, the output")
class AnotherFormulaAtRoundNumbers(Scanned):
    def scan(self, kept, added, h):
        return super().scan(kept, added * 0.9 if len(kept) % 100 == 0 else added, h)


class Reads(Backbone):
    """A minGRU in one direction that is not a stack of cells; faults change its scan."""

    def __init__(self, spec, *, device, dtype):
        super().__init__(spec, features=spec.hidden_size)
        self.cell = self.made(spec.input_size, spec.hidden_size, bias=spec.bias, device=device, dtype=dtype)

    made = Scanned

    def state_shapes(self, batch_size):
        return CellState(torch.Size((batch_size, self.features)))

    def run(self, x, state, lengths):
        x = x.transpose(0, 1) if self.batch_first else x
        start = self.initial_state(x.shape[1]) if state is None else state
        output, final = self.cell.unroll(x, start, None if lengths is None else lengths.clamp(min=1))
        if lengths is not None:
            final = CellState(torch.where((lengths > 0)[:, None], final.h, start.h))
        return (output.transpose(0, 1) if self.batch_first else output), final


def one_layer_one_direction(spec):
    if spec.num_layers > 1:
        yield Problem("num_layers", "It has one layer")
    if spec.bidirectional:
        yield Problem("bidirectional", "It has one direction")


@faults.planted(LONG, "at 65 steps", check=one_layer_one_direction)
class BackboneLosesTheCarry(Reads):
    made = LosesTheCarryAfter64


@faults.planted(LONG, "at 1,025 steps")
class ProjectsInChunks(SimpleCell):
    """Its table of positions ends."""

    def project(self, x):
        x = x if x.dim() < 3 else torch.cat([x[:512], 0 * x[512:]])
        return super().project(x)


# Large batches, and lengths


@faults.planted(BATCH, "in a batch of")
class MixesLargeBatches(SimpleCell):
    def recurrence(self, h):
        return super().recurrence(h - h.mean(0) if len(h) >= 16 else h)


@faults.planted(BATCH, "sequences with 6 times lengths=[")
class MixesBatchesFrom100(SimpleCell):
    def recurrence(self, h):
        return super().recurrence(h - h.mean(0) if len(h) >= 100 else h)


@faults.planted(BATCH, "in a batch of 1000 sequences")
class MixesBatchesFrom700(SimpleCell):
    def recurrence(self, h):
        return super().recurrence(h - h.mean(0) if len(h) >= 700 else h)


@faults.planted(BATCH, "in a batch of")
class MixesBatchesOf64(SimpleCell):
    """Only where the batch is a multiple of 64."""

    def recurrence(self, h):
        return super().recurrence(h.roll(1, 0) if len(h) % 64 == 0 else h)


@faults.planted(BATCH, "sequences with 6 times lengths=[")
class UnrollMixesBatchesFrom64(Scanned):
    def scan(self, kept, added, h):
        return super().scan(kept, added - added.mean(1, keepdim=True) if kept.shape[1] >= 64 else added, h)


class StepMixesBatchesFrom100(Scanned):
    """Its fused path is right."""

    def step(self, projected_t, state):
        k, c = projected_t
        h = torch.lerp(state.h, c - c.mean(0) if len(c) >= 100 else c, torch.sigmoid(k))
        return h, CellState(h)

    def unroll(self, x, state, lengths):
        return super().unroll(x, state, lengths)


faults.planted(BATCH, "in a batch of 100 sequences")(StepMixesBatchesFrom100)


@faults.planted(BATCH, "times lengths=[", options=InitOptions)
class MixesLargePaddedBatches(GRUBackbone):
    def run(self, x, state, lengths):
        if lengths is not None and len(lengths) >= 100:
            x = x - x.mean(0 if self.batch_first else 1, keepdim=True)
        return super().run(x, state, lengths)


@faults.planted(BATCH, "in a batch of", options=InitOptions)
class DropsTheLastOfLargeBatches(GRUBackbone):
    def run(self, x, state, lengths):
        output, final = super().run(x, state, lengths)
        axis = 0 if self.batch_first else 1
        if output.shape[axis] > 16:
            output = torch.cat([output.narrow(axis, 0, 16), 0 * output.narrow(axis, 16, output.shape[axis] - 16)], axis)
        return output, final


class ReverseBackbone(GRUBackbone):
    """Its reverse direction begins at the last step where one step is padding."""

    def run(self, x, state, lengths):
        time = x.shape[1 if self.batch_first else 0]
        if lengths is not None and self.rnn.bidirectional:
            lengths = torch.where(lengths == time - 1, time, lengths)
        return super().run(x, state, lengths)


faults.planted(BATCH, "in a batch of", options=InitOptions)(ReverseBackbone)


class ReverseStack(GRUCell):
    @staticmethod
    def unroll_layers(cells, x, states, lengths, *, directions, dropout):
        if lengths is not None and directions == 2:
            lengths = torch.where(lengths == len(x) - 1, len(x), lengths)
        return GRUCell.unroll_layers(cells, x, states, lengths, directions=directions, dropout=dropout)


faults.planted(EXECUTOR, "lengths=[")(ReverseStack)


# Wide layers


@faults.planted(EXECUTOR, "hidden_size=")
class AnotherFormulaInWideLayers(Scanned):
    def scan(self, kept, added, h):
        return super().scan(kept * (0.99 if kept.shape[-1] > 64 else 1), added, h)


class WideStep(SimpleCell):
    def activation(self, x):
        return F.hardtanh(x) if x.shape[-1] > 64 else torch.tanh(x)


faults.planted("step_matches_equation", "compared with the equation", equation=r"h_t = \tanh(W x_t + U h_{t-1} + b)")(
    WideStep
)


@faults.planted(WIDE, "of a layer of 256 features that contains one of 4")
class AnotherFormulaAbove200(SimpleCell):
    def activation(self, x):
        return F.hardtanh(x) if x.shape[-1] > 200 else torch.tanh(x)


@faults.planted(WIDE, "features that contains one of 4")
class AnotherFormulaAtMultiplesOf100(SimpleCell):
    def activation(self, x):
        return F.hardtanh(x) if x.shape[-1] % 100 == 0 else torch.tanh(x)


@faults.planted(WIDE, "features that contains one of 4")
class AnotherFormulaAboveManyInputs(SimpleCell):
    def project(self, x):
        return super().project(x) * (0.99 if x.shape[-1] > 200 else 1)


@faults.planted(WIDE, "features that contains one of 4")
class ReadsAPartOfWideMemory(LinearAttentionCell):
    """Zeros, unlike repeated features, leave its sums as they are."""

    def step(self, projected_t, state):
        output, state = super().step(projected_t, state)
        return output * (0.9 if self.hidden_size > 300 else 1), state


class LayerNormalized(SimpleCell):
    """Repeated features, unlike zeros, leave its mean and variance as they are."""

    def activation(self, x):
        return torch.tanh(F.layer_norm(x, x.shape[-1:]))


@faults.planted(WIDE, "features that contains one of 4")
class NormalizesAPartOfWideLayers(LayerNormalized):
    def activation(self, x):
        return (
            super().activation(x) if x.shape[-1] <= 300 else torch.cat([super().activation(x[:, :300]), x[:, 300:]], -1)
        )


@faults.planted(WIDE, "features that contains one of 4", options=InitOptions)
class WideBackbone(GRUBackbone):
    def run(self, x, state, lengths):
        output, final = super().run(x, state, lengths)
        return (output.clamp(max=0.1) if self.features > 200 else output), final


class MeasuresItsWidth(SimpleCell):
    """Its formula depends on the number of features."""

    def activation(self, x):
        return torch.tanh(x) / x.shape[-1]


def test_a_kind_that_depends_on_its_width_is_not_applicable():
    result = result_of(record_of(MeasuresItsWidth), WIDE)
    assert result.reason == "its results depend on the number of features already in small layers"


# Large states and inputs


class LimitsTheStateTo1(Scanned):
    """Its fused path is limited to values below `limit`."""

    limit = 1.0

    def unroll(self, x, state, lengths):
        return super().unroll(x, CellState(state.h.clamp(-self.limit, self.limit)), lengths)


faults.planted(EQUAL, "a state")(LimitsTheStateTo1)


@faults.planted(EQUAL, "a state with entries up to 30 ")
class LimitsTheStateTo10(LimitsTheStateTo1):
    limit = 10.0


@faults.planted(EQUAL, "of an input of 1000,")
class LimitsTheInput(Scanned):
    def unroll(self, x, state, lengths):
        return super().unroll(x.clamp(-100, 100), state, lengths)


@pytest.mark.parametrize(("check", "words", "record"), faults.parameters)
def test_a_fault_fails_its_check(check, words, record):
    assert_fails(check, words, record)


class Chunked(Scanned):
    """A correct scan in chunks."""

    def scan(self, kept, added, h):
        return chunked_scan(kept, added, h, 16, lambda last: last)


class Running(Scanned):
    """A correct running sum, whose values grow with the number of steps."""

    def step(self, projected_t, state):
        h = state.h + projected_t[1]
        return h, CellState(h)

    def unroll(self, x, state, lengths):
        return NotImplemented if lengths is not None else self.summed(self.project(x)[1], state.h)

    def summed(self, x, h):
        outputs = h + x.cumsum(0)
        return outputs, CellState(outputs[-1])


class Chaotic(SimpleCell):
    """Its rounding errors grow from step to step, so that long sequences cannot be compared."""

    def recurrence(self, h):
        return 3 * h + F.linear(h, self.weight_hh)

    def activation(self, x):
        return torch.sin(x)


@pytest.mark.parametrize("cell", [Linear, Scanned, Chunked, Running, Chaotic, LayerNormalized])
def test_a_correct_cell_passes(cell):
    assert_passes(record_of(cell), [LONG, EXACT, EXECUTOR, BATCH, WIDE])


def test_a_cell_whose_state_is_a_matrix_passes():
    assert_passes(record_of(LinearAttentionCell), [WIDE], not_applicable=set())


def test_the_speed_of_a_fused_path_is_a_figure():
    figures = result_of(record_of(Chunked), EXECUTOR).figures
    assert figures["speedup"] > 0


def test_the_speed_is_measured_by_a_clock_with_large_steps(monkeypatch):
    monkeypatch.setattr(executor_sizes, "process_time", lambda: process_time() // 0.05 * 0.05)
    result = result_of(record_of(Running), EXECUTOR)
    assert result.outcome == "passed", result.reason
    assert 0 < result.figures["speedup"] < float("inf")


@pytest.mark.parametrize(("seconds", "words"), [(2.0, "takes 2 times as long as the step loop"), (0.5, "")])
def test_a_slow_fused_path_is_a_warning(monkeypatch, seconds, words):
    monkeypatch.setattr(executor_sizes, "_seconds", lambda *_, force_step_loop: 1.0 if force_step_loop else seconds)
    report = report_of(record_of(Chunked), EXECUTOR)
    assert not report.failed
    assert bool(report.warnings) == bool(words)
    assert words in report.text(200)


def test_drawn_sizes_depend_on_the_seed_that_the_report_shows():
    record = record_of(MixesLargeBatches)
    first, again, other = (result_of(record, BATCH, seed=seed).reason for seed in (0, 0, 1))
    assert first == again != other
    assert result_of(record_of(SimpleCell), BATCH, seed=3).figures["seed"] == 3


def test_a_report_without_an_equation_warns():
    report = report_of(record_of(SimpleCell), "step_matches_equation")
    assert "warning: step_matches_equation: no formula was compared" in str(report)
    assert report.to_dict()["warnings"] == list(report.warnings)
