"""The checks of selected states, restarts and forms of lengths. Each fault fails its check."""

import pytest
import torch

from rnnkit import InitOptions, map_state
from rnnkit_builtin.gru import GRUBackbone
from rnnkit_builtin.lstm import LSTMBackbone, LSTMOptions
from tests.helpers.planted import Faults, assert_fails, record_of, report_of

faults = Faults(options=InitOptions)
SELECT = "selected_states_continue"
RESTARTS = "restarts_equal_pieces"
FORMS = "forms_of_lengths_are_equal"
RESET = "reset_state_per_sequence"


@faults.planted(SELECT, "select_state(state, [2, 0, 0, 3, 1])", options=LSTMOptions)
class SelectsAPartOfTheState(LSTMBackbone):
    def select_state(self, state, index):
        return state._replace(h_n=super().select_state(state, index).h_n)


@faults.planted(SELECT, "select_state(state, [2, 0, 0, 3, 1])")
class SelectsLayers(GRUBackbone):
    """The first axis of its state is that of the layers."""

    def select_state(self, state, index):
        return map_state(lambda part: part[torch.as_tensor(index).long() % len(part)], state)


@faults.planted(SELECT, "select_state(state, [2, 0, 0, 3, 1])")
class SelectsEachSequenceOnce(GRUBackbone):
    def select_state(self, state, index):
        return super().select_state(state, torch.as_tensor(index).unique())


@faults.planted(SELECT, "select_state(state, [False, True, True, False])")
class ReadsAMaskAsNumbers(GRUBackbone):
    def select_state(self, state, index):
        return super().select_state(state, torch.as_tensor(index).long())


@faults.planted(RESTARTS, "with restarts and lengths=[5, 5, 5, 5]")
class StartsByPosition(GRUBackbone):
    """Sequences of a batch start from different states."""

    def initial_state(self, batch_size, **where):
        zeros = super().initial_state(batch_size, **where)
        return map_state(lambda part: part + torch.arange(batch_size, device=part.device)[:, None].to(part), zeros)

    def run(self, x, state, lengths):
        batch_size = x.shape[0 if self.batch_first else 1]
        return super().run(x, self.initial_state(batch_size) if state is None else state, lengths)


class KeywordOnly(GRUBackbone):
    def forward(self, x, state=None, *, lengths=None):
        return super().forward(x, state, lengths=lengths)


faults.planted(FORMS, "takes from 2 to 3 positional arguments")(KeywordOnly)
faults.planted(RESTARTS, "takes from 2 to 3 positional arguments")(KeywordOnly)


@faults.planted(FORMS, "of the backbone, with lengths=[5, 2, 0, 3] by position")
class IgnoresLists(GRUBackbone):
    def forward(self, x, state=None, lengths=None):
        return super().forward(x, state, lengths if isinstance(lengths, torch.Tensor) else None)


@faults.planted(RESET, "after reset_state, the state that was given")
class ResetsInPlace(GRUBackbone):
    def reset_state(self, state, mask):
        state.h_n[:, mask] = 0
        return state


@pytest.mark.parametrize(("check", "words", "record"), faults.parameters)
def test_a_fault_fails_its_check(check, words, record):
    assert_fails(check, words, record)


def test_a_state_that_sequences_share_cannot_restart():
    class Counted(GRUBackbone):
        def state_shapes(self, batch_size):
            return (super().state_shapes(batch_size), torch.Size(()))

        def run(self, x, state, lengths):
            inner, calls = (None, torch.zeros((), dtype=x.dtype, device=x.device)) if state is None else state
            output, final = super().run(x, inner, lengths)
            return output, (final, calls + 1)

    report = report_of(record_of(Counted, options=InitOptions), SELECT, RESTARTS)
    assert report[SELECT].outcome == "passed", report[SELECT].reason
    assert report[RESTARTS].reason == "a part of its state has no batch axis"
