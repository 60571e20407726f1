"""The checks of shapes, states and numerics: correct kinds pass them, and each fault fails one."""

import random
from dataclasses import replace
from typing import Any, ClassVar, NamedTuple

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from rnnkit import (
    Backbone,
    CellStack,
    CellState,
    InitOptions,
    Problem,
    StackOptions,
    map_state,
)
from rnnkit.testing import all_checks
from rnnkit.testing.checks import placement
from rnnkit_builtin.gru import GRUBackbone
from tests.helpers.cells import SimpleCell
from tests.helpers.healthy import Noisy, Normalized, Reservoir, Sums
from tests.helpers.planted import Faults, assert_fails, assert_passes, record_of, result_of
from tests.testing import test_checks_batches

MODULES = "shapes states restarts padding directions layers independence gradients executors placement".split()  # noqa: SIM905  # one line
CHECKS = [each.name for each in all_checks() if each.function.__module__.rsplit(".")[-1] in MODULES]


faults = Faults()


# Correct kinds


class Identity(SimpleCell):
    """Starts from matrices that are the same in every layer and under every seed, and from zeros."""

    def __init__(self, *sizes, **where):
        super().__init__(*sizes, **where)
        nn.init.eye_(self.weight_hh)
        if self.bias is not None:
            nn.init.zeros_(self.bias)

    def step(self, projected_t, state):
        h = torch.relu(projected_t + F.linear(state.h, self.weight_hh))
        return h, CellState(h)


class NoisyNormalized(Noisy, Normalized):
    pass


class Tied(SimpleCell):
    """Reads the state twice through one matrix, under two names."""

    def __init__(self, *sizes, **where):
        super().__init__(*sizes, **where)
        self.weight_again = self.weight_hh

    def step(self, projected_t, state):
        return super().step(projected_t + F.linear(state.h, self.weight_again) / 2, state)


class Wide(SimpleCell):
    """Its output is wider than its state, and a constant number is no buffer."""

    def __init__(self, *sizes, **where):
        super().__init__(*sizes, **where)
        self.output_size = self.hidden_size + 1
        self.half = torch.tensor(0.5, dtype=torch.float64)

    def step(self, projected_t, state):
        h, after = super().step(projected_t * self.half, state)
        return F.pad(h, (1, 0), value=1.0) * self.half, after


class LayeredSums(Sums):
    """The same through all layers at once, in one direction."""

    @staticmethod
    def unroll_layers(cells, x, states, lengths, *, directions, dropout):
        if directions == 2:
            return NotImplemented
        final = []
        for index, (cell, state) in enumerate(zip(cells, states, strict=True)):
            x = F.dropout(x, dropout) if index and dropout else x
            x, after = cell.unroll(x, state, lengths)
            final.append(after)
        return x, tuple(final)


class Clock(NamedTuple):
    shared: Tensor  # how many calls there were: no axis of the batch
    steps: Tensor  # how many steps each sequence has made: int64


class Memory(NamedTuple):
    sums: tuple[Tensor, Tensor]  # `(2, batch, features)` and `(features, batch)`
    clock: Clock


class Counting(Backbone):
    """Adds up what it reads, scaled by the steps so far; its state is nested, and partly of integers."""

    def __init__(self, spec, *, device, dtype):
        super().__init__(spec, features=spec.hidden_size)
        self.weight = nn.Parameter(torch.randn(spec.hidden_size, spec.input_size, device=device, dtype=dtype))

    def state_shapes(self, batch_size):
        sums = (torch.Size((2, batch_size, self.features)), torch.Size((self.features, batch_size)))
        return Memory(sums, Clock(torch.Size(()), torch.Size((batch_size,))))

    def initial_state(self, batch_size, *, device=None, dtype=None):
        zeros = super().initial_state(batch_size, device=device, dtype=dtype)
        return zeros._replace(clock=map_state(Tensor.long, zeros.clock))

    def run(self, x, state, lengths):
        x = x if self.batch_first else x.transpose(0, 1)
        (pair, last), (shared, steps) = self.initial_state(len(x)) if state is None else state
        read = F.linear(x, self.weight).cumsum(1)
        numbers = steps[:, None] + torch.arange(1, x.shape[1] + 1, device=x.device)
        output = (read + pair.sum(0)[:, None] + last.t()[:, None]) / numbers[..., None].to(x.dtype)
        sums = (pair + torch.stack([read[:, -1]] * 2), last + read[:, -1].t())
        clock = Clock(shared + 1, steps + (x.shape[1] if lengths is None else lengths))
        return (output if self.batch_first else output.transpose(0, 1)), Memory(sums, clock)


class Looking(Backbone):
    """Each step attends to the last three; the state is a window on them. Its heads divide its size."""

    def __init__(self, spec, *, device, dtype):
        super().__init__(spec, features=spec.hidden_size)
        self.inside = nn.ModuleList(
            nn.Linear(spec.input_size, spec.hidden_size, device=device, dtype=dtype) for _ in range(3)
        )

    def state_shapes(self, batch_size):
        return torch.Size((2, batch_size, self.input_size))

    def run(self, x, state, lengths):
        x = x if self.batch_first else x.transpose(0, 1)
        before = self.initial_state(len(x)) if state is None else state
        extended = torch.cat([before.transpose(0, 1), x], dim=1)
        query, key, value = (part(each) for part, each in zip(self.inside, (x, extended, extended.tanh()), strict=True))
        heads = [part.unflatten(-1, (4, -1)).transpose(1, 2) for part in (query, key, value)]
        step, other = torch.arange(x.shape[1])[:, None], torch.arange(x.shape[1] + 2)
        mask = ((other >= step) & (other <= step + 2)).to(x.device)
        output = F.scaled_dot_product_attention(*heads, attn_mask=mask).transpose(1, 2).flatten(2)
        ends = torch.full((len(x),), x.shape[1], device=x.device) if lengths is None else lengths
        index = (ends[:, None] + torch.arange(2, device=x.device))[..., None].expand(-1, -1, self.input_size)
        return (output if self.batch_first else output.transpose(0, 1)), extended.gather(1, index).transpose(0, 1)


class Forgetful(Backbone):
    """Carries nothing from step to step."""

    def __init__(self, spec, *, device, dtype):
        super().__init__(spec, features=spec.hidden_size)
        self.inside = nn.Linear(spec.input_size, spec.hidden_size, device=device, dtype=dtype)

    def state_shapes(self, batch_size):
        return ()

    def run(self, x, state, lengths):
        return self.inside(x).tanh(), ()


def in_one_layer_and_direction(spec):
    if spec.num_layers > 1:
        yield Problem("num_layers", "It has one layer")
    if spec.bidirectional:
        yield Problem("bidirectional", "It has one direction")
    if not spec.bias:
        yield Problem("bias", "It has no choice")
    if spec.hidden_size % 4 and spec.kind == "local/looking":
        yield Problem("hidden_size", "It has four heads")


NO_FUSED_PATH = "executors_equal_step_loop"
ONE_OF_EACH = {NO_FUSED_PATH, "directions_are_symmetric", "dropout_between_layers", "hidden_size_per_layer"}
CORRECT = {
    "plain": (record_of(SimpleCell), {NO_FUSED_PATH}),
    "identity": (record_of(Identity), {NO_FUSED_PATH}),
    "reservoir": (record_of(Reservoir), {NO_FUSED_PATH, "output_depends_on_every_layer"}),
    "noisy": (record_of(NoisyNormalized), {NO_FUSED_PATH}),
    "tied": (record_of(Tied), {NO_FUSED_PATH}),
    "wide": (record_of(Wide), {NO_FUSED_PATH}),
    "sums": (record_of(Sums), set()),
    "layered_sums": (record_of(LayeredSums), set()),
    "counting": (record_of(Counting, check=in_one_layer_and_direction), {*ONE_OF_EACH, "restarts_equal_pieces"}),
    "looking": (record_of(Looking, check=in_one_layer_and_direction, name="looking"), ONE_OF_EACH),
    "forgetful": (record_of(Forgetful, check=in_one_layer_and_direction), ONE_OF_EACH),
}


@pytest.mark.parametrize(("record", "not_applicable"), CORRECT.values(), ids=CORRECT)
def test_correct_kinds_pass(record, not_applicable):
    assert_passes(record, CHECKS, not_applicable)


# Faults, each caught by one check


class Gru(GRUBackbone):
    """A correct backbone of torch's module; faults change its `run`."""


def hidden_size_of(spec):
    return spec.hidden_size


def gru(check_name, words, **fields):
    return faults.planted(check_name, words, options=InitOptions, **fields)


# Shapes


@gru("output_shape", "the output of the backbone is (4, 5, 12), but should be (4, 5, 6)")
class CountsOneDirection(Gru):
    def __init__(self, spec, **where):
        super().__init__(spec, **where)
        self.features = spec.hidden_size


@gru("output_shape", "the output of the backbone is (5, 4, 6), but should be (4, 5, 6)")
class AnswersTimeFirst(Gru):
    def run(self, x, state, lengths):
        output, final = super().run(x, state, lengths)
        return output.transpose(0, 1), final


@gru("output_shape", "Kind.features returns 6, but the backbone has 12 features", features=hidden_size_of)
class HasARecordOfOneDirection(Gru):
    """Its record forgets the second direction."""


@gru("batch_first_is_a_transpose", "with batch_first=False, the output is")
class ReadsRowsBackwards(Gru):
    def run(self, x, state, lengths):
        output, final = super().run(x, state, lengths)
        return (output if self.batch_first else output.flip(1)), final


@gru("batch_first_is_a_transpose", "with batch_first=False, the final state .h_n is")
class EndsWithRowsBackwards(Gru):
    def run(self, x, state, lengths):
        output, final = super().run(x, state, lengths)
        return output, (final if self.batch_first else map_state(lambda part: part.flip(1), final))


@gru("batch_first_is_a_transpose", "must be a tensor of shape")
class AlwaysBatchFirst(Gru):
    def __init__(self, spec, **where):
        super().__init__(replace(spec, batch_first=True), **where)
        self.batch_first = spec.batch_first


@faults.planted("empty_batch", "max(): Expected reduction dim")
class ScalesByTheLargest(SimpleCell):
    def step(self, projected_t, state):
        return super().step(projected_t / projected_t.detach().abs().max().clamp(min=1), state)


@gru("empty_batch", "the final state of an empty batch [0] is a torch.float64 tensor of shape (1, 2, 6)")
class HasOneRowAtLeast(Gru):
    def run(self, x, state, lengths):
        output, final = super().run(x, state, lengths)
        return output, (self.initial_state(1) if 0 in x.shape else final)


@faults.planted("single_step_of_one_sequence", "the output of one step of one sequence is")
class CentersOverTheBatch(SimpleCell):
    def project(self, x):
        return super().project(x - x.mean(-2, keepdim=True))


@faults.planted("single_step_of_one_sequence", "it raised")
class Squeezes(SimpleCell):
    def step(self, projected_t, state):
        h = torch.tanh(projected_t.squeeze() + F.linear(state.h.squeeze(), self.weight_hh))
        return h, CellState(h)


class Orders(StackOptions):
    order: int = 1


@faults.planted("valid_specs_build_and_run", "order must be positive", options=Orders)
class WithoutACheck(SimpleCell):
    def __init__(self, *sizes, order=1, **where):
        super().__init__(*sizes, **where)
        if order < 1:
            raise RuntimeError("order must be positive")


@faults.planted("valid_specs_build_and_run", "the output is not finite", options=Orders)
class DividesByTheOrder(SimpleCell):
    def __init__(self, *sizes, order=1, **where):
        super().__init__(*sizes, **where)
        self.order = order

    def step(self, projected_t, state):
        h, after = super().step(projected_t, state)
        return h / self.order, after


@gru("valid_specs_build_and_run", "the output is not finite")
class DividesByZeroWithoutAState(Gru):
    def run(self, x, state, lengths):
        output, final = super().run(x, state, lengths)
        return output / (state is not None), final


@gru("valid_specs_build_and_run", "and the state of another call, the output is not finite")
class DividesByZeroWithAState(Gru):
    def run(self, x, state, lengths):
        output, final = super().run(x, state, lengths)
        return output / (state is None), final


@faults.planted("valid_specs_build_and_run", "unsupported operand")
class NeedsItsBias(SimpleCell):
    def project(self, x):
        return F.linear(x, self.weight_ih) + self.bias


# States


@faults.planted(
    "state_layout", "ForgetsTheNames.step must return the output and the state, as in `return output, CellState(h)`"
)
class ForgetsTheNames(SimpleCell):
    def step(self, projected_t, state):
        h, _ = super().step(projected_t, CellState(state[0]))
        return h, (h,)


@gru("state_layout", "but state_shapes(1) is HiddenState(h_n=(2, 1, 7))")
class SaysAnotherShape(Gru):
    def initial_state(self, batch_size, **where):
        return map_state(lambda part: part[..., :-1], super().initial_state(batch_size, **where))

    def state_shapes(self, batch_size):
        return map_state(lambda shape: torch.Size((*shape[:-1], shape[-1] + 1)), super().state_shapes(batch_size))


@faults.planted("state_layout", "the final state has dtypes")
class WidensItsState(SimpleCell):
    def initial_state(self, batch_size, *, device=None, dtype=None):
        return map_state(Tensor.float, super().initial_state(batch_size, device=device, dtype=dtype))

    def step(self, projected_t, state):
        return super().step(projected_t, CellState(state.h.to(projected_t)))


@gru("default_initial_state", "without a state, the output and state")
class StartsElsewhere(Gru):
    def initial_state(self, batch_size, **where):
        return map_state(lambda part: part + 1, super().initial_state(batch_size, **where))


@faults.planted("default_initial_state", "initial_state returns a tensor on cpu instead of meta")
class StartsOnTheCPU(SimpleCell):
    def initial_state(self, batch_size, *, device=None, dtype=None):
        return CellState(torch.zeros(batch_size, self.hidden_size, dtype=dtype))


@faults.planted("default_initial_state", "initial_state returns a torch.float64 tensor instead of torch.float32")
class StartsInItsOwnDtype(SimpleCell):
    def initial_state(self, batch_size, *, device=None, dtype=None):
        return super().initial_state(batch_size, device=device, dtype=self.weight_hh.dtype)


@faults.planted("state_round_trip", "from the loaded state, the output and state")
class RemembersInTheModule(SimpleCell):
    memory = 0

    def step(self, projected_t, state):
        self.memory = self.memory + 1
        return super().step(projected_t * (1 + 0.1 * self.memory), state)


@faults.planted("reset_state_per_sequence", "after resetting sequences 0 and 2, the state of sequences [0, 2]")
class DrawsItsStart(SimpleCell):
    def initial_state(self, batch_size, *, device=None, dtype=None):
        return CellState(torch.randn(batch_size, self.hidden_size, device=device, dtype=dtype))


class MixesRows(SimpleCell):
    def step(self, projected_t, state):
        return super().step(projected_t + state.h.mean(0), state)


faults.planted("reset_state_per_sequence", "after resetting sequences 0 and 2, the output of sequences [0, 2]")(
    MixesRows
)
faults.planted("sequences_are_independent", "in a batch, the output is")(MixesRows)


@gru("zero_length_keeps_state", "with lengths=[0, 0, 0, 0], the state of sequences of length 0")
class TakesAStepAnyway(Gru):
    def _restore_empty(self, final, state, empty):
        return final


# Padding


class ReadsPadding(Gru):
    def run(self, x, state, lengths):
        return super().run(x, state, None)


gru("padding_has_no_effect", "with padding of nan, the final state [0] is")(ReadsPadding)
gru("zero_length_keeps_state", "the state of sequences of length 0")(ReadsPadding)


@gru("padding_has_no_effect", "with padding of nan, the output is")
class StartsInThePadding(Gru):
    """Has the right state, and a reverse direction that begins at the end of the tensor."""

    def run(self, x, state, lengths):
        _, final = super().run(x, state, lengths)
        return super().run(x, state, None)[0], final


@gru("padding_has_no_effect", "with padding of nan, the gradient by input 0 is")
class HasAGradientInThePadding(Gru):
    def forward(self, x, state=None, *, lengths=None):
        output, final = super().forward(x, state, lengths=lengths)
        finite = x.nan_to_num()
        return output + (finite - finite.detach()).sum(), final


@gru("padding_has_no_effect", "in padding of 1e+30, the gradient by input 0 is")
class HasAHintOfAGradientInThePadding(Gru):
    def forward(self, x, state=None, *, lengths=None):
        output, final = super().forward(x, state, lengths=lengths)
        finite = x.nan_to_num()
        return output + 1e-14 * (finite - finite.detach()).sum(), final


@gru("full_lengths_equal_no_lengths", "with full lengths of torch.int64, the output and state")
class IsAnotherWithLengths(Gru):
    def run(self, x, state, lengths):
        output, final = super().run(x, state, lengths)
        return (output if lengths is None else output * (1 + 1e-6)), final


# Directions


@gru("each_direction_is_causal", "the influence of later inputs on the reverse output")
class LeavesTheReverseReversed(Gru):
    def run(self, x, state, lengths):
        output, final = super().run(x, state, lengths)
        forward, *reverse = output.chunk(self.rnn.bidirectional + 1, dim=-1)
        return torch.cat([forward, *(part.flip(1) for part in reverse)], dim=-1), final


@faults.planted("each_direction_is_causal", "the influence of later inputs on the forward output")
class CentersOverTime(SimpleCell):
    def project(self, x):
        return super().project(x - x.mean(0) if x.dim() == 3 else x)


@faults.planted("each_direction_is_causal", "the forward output at steps [0, 1, 2, 3, 4] does not depend")
class AnswersTheStateBefore(SimpleCell):
    def step(self, projected_t, state):
        return state.h, super().step(projected_t, state)[1]


@gru("directions_are_symmetric", "with swapped directions, the output is")
class HalvesTheReverse(Gru):
    def run(self, x, state, lengths):
        output, final = super().run(x, state, lengths)
        if self.rnn.bidirectional:
            forward, reverse = output.chunk(2, dim=-1)
            output = torch.cat([forward, reverse / 2], dim=-1)
        return output, final


@gru("directions_are_symmetric", "with swapped directions, the final state")
class InterchangesStates(Gru):
    def run(self, x, state, lengths):
        output, final = super().run(x, state, lengths)
        return output, final._replace(h_n=torch.cat([final.h_n[:1], final.h_n[1:] / 2]))


@gru("directions_are_symmetric", "compared with a unidirectional model, the forward output")
class IsAnotherInOneDirection(Gru):
    def run(self, x, state, lengths):
        output, final = super().run(x, state, lengths)
        return output * (1 if self.rnn.bidirectional else 2), final


# Layers


@faults.planted("layers_do_not_share_weights", "weights are shared: cells.1.weight_hh with cells.0.weight_hh")
class SharesAMatrix(SimpleCell):
    made: ClassVar[dict[Any, nn.Parameter]] = {}

    def __init__(self, input_size, hidden_size, **where):
        super().__init__(input_size, hidden_size, **where)
        key = (hidden_size, where.get("dtype"), str(where.get("device")), torch.initial_seed())
        self.weight_hh = self.made.setdefault(key, self.weight_hh)


@faults.planted("layers_do_not_share_weights", "have the same random initial values: cells.0.weight_hh and cells.1")
class StartsAllEqual(SimpleCell):
    def __init__(self, *sizes, **where):
        super().__init__(*sizes, **where)
        generator = torch.Generator().manual_seed(torch.initial_seed())
        with torch.no_grad():
            self.weight_hh.copy_(torch.randn(self.weight_hh.shape, generator=generator))


class Layers(Backbone):
    """A correct stack of torch modules in one direction; faults change it."""

    def __init__(self, spec, *, device, dtype):
        super().__init__(spec, features=spec.hidden_size)
        sizes = [spec.input_size] + [spec.hidden_size] * (spec.num_layers - 1)
        self.inside = nn.ModuleList(self.made(size, spec.hidden_size, device=device, dtype=dtype) for size in sizes)
        self.dropout = spec.dropout

    def made(self, *sizes, **where):
        return nn.GRU(*sizes, batch_first=self.batch_first, **where)

    def state_shapes(self, batch_size):
        return tuple(torch.Size((1, batch_size, self.features)) for _ in self.inside)

    def run(self, x, state, lengths):
        starts, finals = state or self.initial_state(x.shape[0 if self.batch_first else 1]), []
        for index, (module, start) in enumerate(zip(self.inside, starts, strict=True)):
            x, final = module(self.read(x, index), start)
            finals.append(final)
        return x, tuple(finals)

    def read(self, x, index):
        return F.dropout(x, self.dropout, self.training) if index else x


def one_way(spec):
    if spec.bidirectional:
        yield Problem("bidirectional", "It has one direction")


@faults.planted("layers_do_not_share_weights", "weights are shared: inside.1.weight", check=one_way)
class OneModuleForAll(Layers):
    def made(self, *sizes, **where):
        kept = self.__dict__.setdefault("kept", {})
        return kept.setdefault(sizes[-1], super().made(*sizes, **where))


@faults.planted("layers_do_not_share_weights", "there are 294 weights, in two directions as in one")
class OneModuleForBothDirections(Backbone):
    def __init__(self, spec, *, device, dtype):
        super().__init__(spec, features=spec.directions * spec.hidden_size)
        size = spec.hidden_size
        self.below = nn.Linear(spec.input_size, size, device=device, dtype=dtype)
        inside = (nn.GRU(size, size, device=device, dtype=dtype, batch_first=True) for _ in range(spec.num_layers))
        self.inside = nn.ModuleList(inside)

    def state_shapes(self, batch_size):
        return ()

    def run(self, x, state, lengths):
        return x, ()


@faults.planted("layers_do_not_share_weights", "with 2 layers there are 252 weights, no more than", check=one_way)
class HasOneLayerAlways(Layers):
    def __init__(self, spec, **where):
        super().__init__(replace(spec, num_layers=1), **where)


@faults.planted(
    "output_depends_on_every_layer", "with 2 layers there are 252 weights that the output depends on", check=one_way
)
class ReadsTheInputInEachLayer(Layers):
    def run(self, x, state, lengths):
        self.__dict__["first"] = x
        return super().run(x, state, lengths)

    def read(self, x, index):
        return F.pad(self.first, (0, self.inside[index].input_size - self.first.shape[-1]))


@faults.planted("dropout_between_layers", "the gradient of the output", check=one_way)
class DropsNothing(Layers):
    def read(self, x, index):
        return x


@faults.planted("dropout_between_layers", "the input is dropped", check=one_way)
class DropsTheInput(Layers):
    def read(self, x, index):
        return F.dropout(x, self.dropout, self.training)


@faults.planted("dropout_between_layers", "the last output is dropped", check=one_way)
class DropsTheOutput(Layers):
    def run(self, x, state, lengths):
        output, final = super().run(x, state, lengths)
        return F.dropout(output, self.dropout, self.training), final


@faults.planted("dropout_between_layers", "in evaluation, the output with dropout=0.5", check=one_way)
class DropsInEvaluation(Layers):
    def read(self, x, index):
        return F.dropout(x, self.dropout) if index else x


@faults.planted("dropout_between_layers", "two calls give the same output", check=one_way)
class DropsTheSameAlways(Layers):
    def read(self, x, index):
        with torch.random.fork_rng():
            torch.manual_seed(0)
            return super().read(x, index)


def of_the_first_size(spec, **where):
    return CellStack(replace(spec, hidden_size=spec.hidden_sizes[0]), [SimpleCell] * spec.num_layers, **where)


def of_the_last_size(spec, **where):
    return CellStack(replace(spec, hidden_size=spec.hidden_sizes[-1]), [SimpleCell] * spec.num_layers, **where)


def of_other_cells_with_sizes(spec, **where):
    cell = Identity if isinstance(spec.hidden_size, tuple) else SimpleCell
    return CellStack(spec, [cell] * spec.num_layers, **where)


def of_sizes_reversed(spec, **where):
    return CellStack(replace(spec, hidden_size=spec.hidden_sizes[::-1]), [SimpleCell] * spec.num_layers, **where)


SIZES = {"options": StackOptions, "sizes_per_layer": True}
faults.planted("hidden_size_per_layer", "has 6 features, which is not the last size", **SIZES)(of_the_first_size)
faults.planted("hidden_size_per_layer", "492 weights, as if all layers had one size", **SIZES)(of_the_last_size)
faults.planted("hidden_size_per_layer", "the output with hidden_size=(6, 6) is", **SIZES)(of_other_cells_with_sizes)
faults.planted("hidden_size_per_layer", "has 6 features, which is not the last size", **SIZES)(of_sizes_reversed)


# Independence


@gru("sequences_are_independent", "in a batch, by sequence, the final state [0] is")
class EndsWithTheMean(Gru):
    def run(self, x, state, lengths):
        output, final = super().run(x, state, lengths)
        return output, map_state(lambda part: part - part.mean(1, keepdim=True), final)


@faults.planted("inputs_are_not_modified", "after a call, of the arguments, the x is")
class ScalesItsInputInPlace(SimpleCell):
    def project(self, x):
        return super().project(x.mul_(0.5))


@faults.planted("inputs_are_not_modified", "after a call, of the arguments, the state [")
class ScalesItsStateInPlace(SimpleCell):
    def step(self, projected_t, state):
        return super().step(projected_t, CellState(state.h.mul_(0.5) if not state.h.requires_grad else state.h))


@gru("inputs_are_not_modified", "after a call, of the arguments, the lengths is 1 at [2], but should be 0")
class ClampsLengthsInPlace(Gru):
    def run(self, x, state, lengths):
        return super().run(x, state, lengths if lengths is None else lengths.clamp_(min=1))


@faults.planted(
    "inputs_are_not_modified", "after a call in evaluation mode, in the state_dict, ['backbone.cells.0.seen'] is"
)
class CountsInEvaluation(SimpleCell):
    def __init__(self, *sizes, **where):
        super().__init__(*sizes, **where)
        self.register_buffer("seen", torch.zeros((), device=where.get("device")))

    def project(self, x):
        self.seen += 1
        return super().project(x)


@faults.planted("calls_are_independent", "after other calls, the output and state")
class KeepsTheLargest(SimpleCell):
    """Scales by the largest input that it has ever seen."""

    largest = 0.0

    def project(self, x):
        self.largest = max(self.largest, float(x.detach().abs().max())) if x.numel() else self.largest
        return super().project(x / (self.largest or 1.0))


@faults.planted("evaluation_is_deterministic", "a call in evaluation mode draws random numbers")
class DropsAlways(SimpleCell):
    def step(self, projected_t, state):
        return super().step(F.dropout(projected_t, 0.5), state)


@faults.planted("evaluation_is_deterministic", "a call in evaluation mode draws random numbers")
class DrawsWithPython(SimpleCell):
    def step(self, projected_t, state):
        return super().step(projected_t * random.uniform(0.9, 1.1), state)  # noqa: S311  # no secret


@faults.planted("evaluation_is_deterministic", "the output and state of a second call")
class DrawsFromItsOwn(SimpleCell):
    generator = np.random.default_rng(0)

    def step(self, projected_t, state):
        return super().step(projected_t * self.generator.uniform(0.9, 1.1), state)


@faults.planted("seeded_initialization", "with the same seed, in the weights,")
class DrawsItsWeightsWithNumPy(SimpleCell):
    def __init__(self, *sizes, **where):
        super().__init__(*sizes, **where)
        with torch.no_grad():
            drawn = np.random.standard_normal(self.weight_hh.shape)  # noqa: NPY002  # what is global
            self.weight_hh.copy_(torch.from_numpy(drawn))


@faults.planted("seeded_initialization", "building the model sets torch's seed")
class SetsTheSeed(SimpleCell):
    def __init__(self, *sizes, **where):
        torch.manual_seed(0)
        super().__init__(*sizes, **where)


@faults.planted("seeded_initialization", "the weights are the same with every seed")
class HasASeedOfItsOwn(SimpleCell):
    def __init__(self, *sizes, **where):
        with torch.random.fork_rng():
            torch.manual_seed(0)
            super().__init__(*sizes, **where)


# Derivatives


@faults.planted("gradients_pass_gradcheck", "Jacobian mismatch for output 0")
class ForgetsTheGradientOfAGate(SimpleCell):
    def step(self, projected_t, state):
        gate = torch.sigmoid(projected_t).detach()
        h, _ = super().step(projected_t, state)
        h = gate * h + (1 - gate) * state.h
        return h, CellState(h)


# Fused paths

FUSED = "executors_equal_step_loop"


class Gated(SimpleCell):
    """A correct cell with a fused path: the same loop, without the stack."""

    def __init__(self, *sizes, **where):
        super().__init__(*sizes, **where)
        self.weight_g = self.new_parameter(self.hidden_size, self.hidden_size)

    def step(self, projected_t, state):
        return self.stepped(projected_t, state, self.gate(state))

    def gate(self, state):
        return torch.sigmoid(F.linear(state.h, self.weight_g))

    def stepped(self, projected_t, state, gate):
        h = gate * state.h + (1 - gate) * torch.tanh(projected_t + F.linear(state.h, self.weight_hh))
        return h, CellState(h)

    def unroll(self, x, state, lengths):
        outputs, states = [], [state]
        for projected_t in self.project(x):
            output, after = self.fused_step(projected_t, states[-1])
            outputs.append(output)
            states.append(after)
        return torch.stack(outputs), self.end(states, lengths)

    def fused_step(self, projected_t, state):
        return self.stepped(projected_t, state, self.gate(state))

    def end(self, states, lengths):
        if lengths is None:
            return states[-1]
        return CellState(torch.stack([state.h for state in states])[lengths, torch.arange(len(lengths))])


@faults.planted(FUSED, "the output is")
class HasAGateInFloat32(Gated):
    def fused_step(self, projected_t, state):
        return self.stepped(projected_t, state, self.gate(state).float().to(projected_t))


@faults.planted(FUSED, ", 5], but should be")
class IsOffInTheLastUnit(Gated):
    def fused_step(self, projected_t, state):
        off = torch.ones_like(projected_t)
        off[..., 5:] = 1 + 1e-9
        return self.stepped(projected_t * off, state, self.gate(state))


@faults.planted(FUSED, "the output is")
class IsOffInTheLastStep(Gated):
    def unroll(self, x, state, lengths):
        output, after = super().unroll(x, state, lengths)
        return torch.cat([output[:-1], output[-1:] * (1 + 1e-9)]), after


@faults.planted(FUSED, "lengths=[4, 1, 0, 3, 4]")
class IsOffWithLengths(Gated):
    def end(self, states, lengths):
        return super().end(states, None if lengths is None else lengths - 1)


class Scaled(torch.autograd.Function):
    """The value as it is, of which the gradient is scaled."""

    @staticmethod
    def forward(context, value, factor):
        context.factor = factor
        return value.clone()

    @staticmethod
    def backward(context, gradient):
        return gradient * context.factor, None


@faults.planted(FUSED, "gradient by ")
class IsOffInItsBackwardPass(Gated):
    def fused_step(self, projected_t, state):
        return self.stepped(projected_t, state, Scaled.apply(self.gate(state), 1 + 1e-6))


@faults.planted("gradients_pass_gradcheck", "with force_step_loop=True, Jacobian mismatch")
class IsOffInTheBackwardPassOfItsStep(Gated):
    def step(self, projected_t, state):
        return self.stepped(projected_t, state, Scaled.apply(self.gate(state), 0.5))

    unroll = Gated.unroll  # which was written after this step


@faults.planted(FUSED, "with dropout=1.0 in training, the output is")
class DropsTheLastOutput(LayeredSums):
    @staticmethod
    def unroll_layers(cells, x, states, lengths, *, directions, dropout):
        result = LayeredSums.unroll_layers(cells, x, states, lengths, directions=directions, dropout=dropout)
        return result if result is NotImplemented else (F.dropout(result[0], dropout, training=dropout > 0), result[1])


@faults.planted(FUSED, "in float32, compared with the step loop in float64, the output")
class IsCoarseInFloat32(Gated):
    def fused_step(self, projected_t, state):
        gate = self.gate(state)
        return self.stepped(projected_t, state, gate.bfloat16().to(gate) if gate.dtype == torch.float32 else gate)


class DeclinesAlways(SimpleCell):
    def unroll(self, x, state, lengths):
        return NotImplemented


class OverridesTheStepAlone(Sums):
    def step(self, projected_t, state):
        h = state.h / 2 + projected_t
        return h, CellState(h)


@pytest.mark.parametrize("cell", [DeclinesAlways, OverridesTheStepAlone])
def test_a_fused_path_that_is_never_taken_is_not_applicable(cell):
    result = result_of(record_of(cell), FUSED)
    assert result.outcome == "not applicable"
    assert "never taken" in result.reason


# Dtypes and devices


@faults.planted("dtype_is_consistent", "same dtype")
class MakesTheDefaultDtype(SimpleCell):
    def project(self, x):
        return super().project(x) + torch.zeros(self.hidden_size)


@faults.planted("dtype_is_consistent", "same dtype")
class KeepsTheDtypeItWasBuiltIn(SimpleCell):
    def __init__(self, *sizes, dtype=None, **where):
        super().__init__(*sizes, dtype=dtype, **where)
        self.built_in = self.weight_hh.dtype

    def step(self, projected_t, state):
        h, _ = super().step(projected_t, state)
        return h.to(self.built_in), CellState(h)


@faults.planted("dtype_is_consistent", "a call changes torch's default dtype")
class SetsTheDefaultDtype(SimpleCell):
    def project(self, x):
        torch.set_default_dtype(x.dtype if x.dtype != torch.bfloat16 else torch.float32)
        return super().project(x)


class Traced(NamedTuple):
    h: Tensor
    trace: Tensor


@faults.planted("dtype_is_consistent", "in a model built with torch.float64, the state is torch.float32")
class TracesInFloat32(SimpleCell):
    State = Traced

    def initial_state(self, batch_size, *, device=None, dtype=None):
        h, trace = super().initial_state(batch_size, device=device, dtype=dtype)
        return Traced(h, trace.float())

    def step(self, projected_t, state):
        h, _ = super().step(projected_t, CellState(state.h))
        return h, Traced(h, state.trace + h.float())


@faults.planted("float32_is_close_to_float64", "in float32, the output is")
class MultipliesInBfloat16(SimpleCell):
    """Where it is not float64."""

    def step(self, projected_t, state):
        recurrent = F.linear(state.h, self.weight_hh)
        narrow = recurrent if recurrent.dtype == torch.float64 else recurrent.bfloat16().to(recurrent)
        return super().step(projected_t - recurrent + narrow, state)


@faults.planted("float32_is_close_to_float64", "in float32, the output is")
class TakesLargeFromLarge(SimpleCell):
    def project(self, x):
        return super().project(x) + 1e5 - 1e5


@faults.planted("gradients_pass_gradcheck", "Jacobian mismatch")
class ComputesInFloat32Always(SimpleCell):
    def step(self, projected_t, state):
        h = torch.tanh((projected_t + F.linear(state.h, self.weight_hh)).float()).to(projected_t)
        return h, CellState(h)


@faults.planted("device_is_consistent", "gets a tensor of shape (6,) on the device cpu")
class KeepsAConstantOnTheCPU(SimpleCell):
    scale = torch.ones(6)

    def step(self, projected_t, state):
        return super().step(projected_t * self.scale.to(projected_t.dtype), state)


@faults.planted("device_is_consistent", "gets a tensor of shape (6,) on the device cpu")
class MakesATensorOnTheCPU(SimpleCell):
    def project(self, x):
        return super().project(x) + torch.zeros(self.hidden_size)


@faults.planted("device_is_consistent", "creates a tensor of shape (6, 6) on the device cpu")
class DrawsOnTheCPU(SimpleCell):
    def __init__(self, *sizes, device=None, **where):
        super().__init__(*sizes, device=device, **where)
        self.weight_hh = nn.Parameter(
            torch.rand(self.hidden_size, self.hidden_size, dtype=where.get("dtype")).to(device)
        )


@faults.planted(
    "device_is_consistent",
    "in a model moved to the meta device, backbone.cells.0.mask, backbone.cells.1.mask is on another device",
)
class DoesNotMove(SimpleCell):
    def __init__(self, *sizes, **where):
        super().__init__(*sizes, **where)
        self.register_buffer("mask", torch.ones(self.hidden_size, device=where.get("device")))

    def _apply(self, function, recurse=True):
        mask = self._buffers.pop("mask")
        super()._apply(function, recurse)
        self._buffers["mask"] = mask
        return self


@faults.planted("device_is_consistent", "the output or state of a model on the meta device is on another device")
class CountsOnTheCPU(Forgetful):
    def state_shapes(self, batch_size):
        return torch.Size((batch_size,))

    def run(self, x, state, lengths):
        return super().run(x, state, lengths)[0], torch.ones(x.shape[0 if self.batch_first else 1])


class Looks(SimpleCell):
    """At values, which a device without memory does not have."""

    def project(self, x):
        return super().project(x if float(x.detach().abs().sum()) else x + 1)


def test_a_cell_that_reads_values_is_not_applicable_on_meta():
    result = result_of(record_of(Looks), "device_is_consistent")
    assert result.outcome == "not applicable"
    assert "which has no values" in result.reason


def on_each_device(record, monkeypatch):
    """The result where the CPU stands for the accelerators that a machine may have."""
    monkeypatch.setattr(placement, "_accelerators", lambda: {"cpu": torch.float64})
    return result_of(record, "device_is_consistent")


def test_accelerators_are_compared_with_the_cpu(monkeypatch):
    result = on_each_device(record_of(SimpleCell), monkeypatch)
    assert result.outcome == "passed"
    assert result.figures["devices"] == "meta, cpu"


class DiffersOnceMoved(SimpleCell):
    def _apply(self, function, recurse=True):
        super()._apply(function, recurse)
        self.moved = True
        return self

    def project(self, x):
        return super().project(x) + getattr(self, "moved", False)


def test_a_difference_on_an_accelerator_is_a_failure(monkeypatch):
    result = on_each_device(record_of(DiffersOnceMoved), monkeypatch)
    assert result.outcome == "failed"
    assert "on the device cpu, the output is" in result.reason


@pytest.mark.parametrize(("check", "words", "record"), faults.parameters)
def test_a_fault_fails_its_check(check, words, record):
    assert_fails(check, words, record)


def test_every_check_has_a_fault():
    assert faults.checks | test_checks_batches.faults.checks == set(CHECKS)
