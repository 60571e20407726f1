"""The checks of modes, values and global settings. Each fault fails one, and healthy cells pass."""

import os
import signal
import warnings

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from rnnkit import InitOptions
from rnnkit.testing._process_settings import changed_settings, read_settings
from rnnkit_builtin.gru import GRUBackbone
from tests.helpers.cells import SimpleCell
from tests.helpers.healthy import Counts, Noisy, Normalized, Reservoir
from tests.helpers.planted import Faults, assert_fails, assert_passes, record_of, report_of, result_of

faults = Faults()
MODES = "gradient_mode_has_no_effect"
TRAINING = "training_equals_evaluation"
KEPT = "results_are_not_overwritten"
LARGE = "large_inputs_give_finite_results"
DTYPE = "default_dtype_has_no_effect"
NARROW = "float64_is_not_narrowed"
GENERATORS = "random_generators_are_not_reset"
SETTINGS = "global_settings_are_kept"


# Modes


@faults.planted(MODES, "under no_grad")
class AnotherFormulaWithoutGradients(SimpleCell):
    def activation(self, x):
        return torch.tanh(x) if torch.is_grad_enabled() else F.hardtanh(x)


@faults.planted(MODES, "under inference_mode")
class AnotherFormulaInInference(SimpleCell):
    def activation(self, x):
        return F.hardtanh(x) if torch.is_inference_mode_enabled() else torch.tanh(x)


@faults.planted(MODES, "with frozen weights")
class AnotherFormulaWithFrozenWeights(SimpleCell):
    def recurrence(self, h):
        return super().recurrence(h) if self.weight_hh.requires_grad else F.linear(h, self.weight_hh.round(decimals=2))


@faults.planted(MODES, "float32")
class FastInFloat32(SimpleCell):
    """A rational function in place of tanh where a deployed model runs."""

    def activation(self, x):
        fast = x.dtype == torch.float32 and not torch.is_grad_enabled()
        return x * (27 + x * x) / (27 + 9 * x * x) if fast else torch.tanh(x)


@faults.planted(TRAINING, "in training mode")
class AnotherFormulaInTraining(SimpleCell):
    def activation(self, x):
        return torch.tanh(x) if self.training else F.hardtanh(x)


@faults.planted(TRAINING, "in training mode")
class ScalesInTraining(SimpleCell):
    def recurrence(self, h):
        return super().recurrence(h) * (0.9 if self.training else 1)


class Kept(GRUBackbone):
    """Keeps a buffer for results between calls."""

    def kept(self, name, part):
        buffers = self.__dict__.setdefault("kept_buffers", {})
        key = (name, part.shape, part.dtype)
        if key not in buffers:
            buffers[key] = torch.empty_like(part)
        return part if part.requires_grad else buffers[key].copy_(part)


@faults.planted(KEPT, "the output of an earlier call", options=InitOptions)
class OverwritesTheOutput(Kept):
    def run(self, x, state, lengths):
        output, final = super().run(x, state, lengths)
        return self.kept("output", output), final


@faults.planted(KEPT, "the final state", options=InitOptions)
class OverwritesTheState(Kept):
    def run(self, x, state, lengths):
        output, final = super().run(x, state, lengths)
        return output, type(final)(self.kept("state", final.h_n))


# Values


@faults.planted(LARGE, "an input of")
class DividesInfinities(SimpleCell):
    """tanh by its formula."""

    def activation(self, x):
        return (x.exp() - (-x).exp()) / (x.exp() + (-x).exp())


@faults.planted(LARGE, "in float32")
class OverflowsInFloat32(SimpleCell):
    """1e20 is finite in float32, but its square is not."""

    def project(self, x):
        return super().project(x / (1e-3 + (x * 1e15).square().mean(-1, keepdim=True).sqrt() / 1e15))


@faults.planted(LARGE, "gradient")
class HasNoGradientAtLargeInputs(SimpleCell):
    """The branch that `where` does not choose overflows, and so does its gradient."""

    def activation(self, x):
        return torch.where(x > 20, x.new_ones(()), 1 - 2 / (1 + (2 * x).exp().square().sqrt()))


# Global settings


@faults.planted(DTYPE, "with the default dtype")
class ReadsTheDefaultDtype(SimpleCell):
    def activation(self, x):
        return torch.tanh(x * torch.tensor(0.9))


@faults.planted(DTYPE, "with the default dtype")
class ComputesInTheDefaultDtype(SimpleCell):
    def activation(self, x):
        return torch.tanh(x.to(torch.get_default_dtype())).to(x)


@faults.planted(DTYPE, "initial weights")
class DrawsInTheDefaultDtype(SimpleCell):
    def __init__(self, *sizes, **where):
        super().__init__(*sizes, **where)
        with torch.no_grad():
            self.weight_hh.copy_(torch.rand(self.weight_hh.shape, device=where.get("device")).to(self.weight_hh))


@faults.planted(NARROW, "float32")
class ConstantInFloat32(SimpleCell):
    def activation(self, x):
        return torch.tanh(x * torch.tensor(0.9, dtype=torch.float32, device=x.device))


@faults.planted(NARROW, "float32")
class KeepsAConstantInFloat32(SimpleCell):
    def __init__(self, *sizes, **where):
        super().__init__(*sizes, **where)
        self.gain = torch.tensor(0.9, dtype=torch.float32)

    def activation(self, x):
        return torch.tanh(x * self.gain)


@faults.planted(NARROW, "float32")
class ConvertsAConstantInTheConstructor(SimpleCell):
    def __init__(self, *sizes, **where):
        super().__init__(*sizes, **where)
        self.register_buffer("gain", torch.tensor([0.9], dtype=torch.float32).to(**self._new))

    def activation(self, x):
        return torch.tanh(x * self.gain)


@faults.planted(NARROW, "bfloat16")
class RoundsAGate(SimpleCell):
    def activation(self, x):
        return torch.tanh(x.bfloat16().to(x))


class Reseeds(SimpleCell):
    """The constructor calls `reseed` after the weights are drawn."""

    def __init__(self, *sizes, **where):
        super().__init__(*sizes, **where)
        self.reseed()


@faults.planted(GENERATORS, "building the model resets torch's")
class ReseedsWithTheSameSeed(Reseeds):
    def reseed(self):
        torch.manual_seed(torch.initial_seed())


@faults.planted(GENERATORS, "building the model resets torch's")
class ReseedsFromTheClock(Reseeds):
    def reseed(self):
        torch.seed()


@faults.planted(GENERATORS, "building the model resets NumPy's")
class ReseedsNumPy(Reseeds):
    def reseed(self):
        np.random.seed(0)  # noqa: NPY002  # the fault


@faults.planted(GENERATORS, "a call in training mode resets torch's")
class ReseedsInTraining(SimpleCell):
    def activation(self, x):
        if self.training:
            torch.manual_seed(3)
        return torch.tanh(x)


@faults.planted(SETTINGS, "building the model changes the precision of float32 products")
class AllowsFastProducts(Reseeds):
    def reseed(self):
        torch.set_float32_matmul_precision("high")


@faults.planted(SETTINGS, "a call changes the number of threads")
class SetsThreads(SimpleCell):
    def activation(self, x):
        torch.set_num_threads(torch.get_num_threads() + 1)
        return torch.tanh(x)


class ChangesTheProcess(SimpleCell):
    """The constructor calls `change`, which changes the same setting each time."""

    def __init__(self, *sizes, **where):
        super().__init__(*sizes, **where)
        self.change()


@faults.planted(SETTINGS, "building the model changes the use of oneDNN")
class DisablesOneDNN(ChangesTheProcess):
    def change(self):
        torch.backends.mkldnn.enabled = False


@faults.planted(SETTINGS, "building the model changes the use of oneDNN")
class EnablesOneDNN(ChangesTheProcess):
    def change(self):
        torch.backends.mkldnn.enabled = True


@faults.planted(SETTINGS, "building the model changes the number of threads")
class SetsTheNumberOfThreads(ChangesTheProcess):
    def change(self):
        torch.set_num_threads(7)


@faults.planted(SETTINGS, "building the model changes the benchmark mode of cuDNN")
class TunesKernels(ChangesTheProcess):
    def change(self):
        torch.backends.cudnn.benchmark = True


@faults.planted(SETTINGS, "building the model changes the treatment of subnormal numbers")
class FlushesSubnormals(ChangesTheProcess):
    def change(self):
        torch.set_flush_denormal(True)


@faults.planted(SETTINGS, "building the model changes the default dtype")
class SetsTheDefaultDtype(ChangesTheProcess):
    def change(self):
        torch.set_default_dtype(torch.float32)


@faults.planted(SETTINGS, "building the model changes the default device")
class SetsTheDefaultDevice(ChangesTheProcess):
    def change(self):
        torch.set_default_device("cpu:0")


@faults.planted(SETTINGS, "building the model changes the environment variables")
class SetsAnEnvironmentVariable(ChangesTheProcess):
    def change(self):
        os.environ["KMP_BLOCKTIME"] = "0"


@faults.planted(SETTINGS, "building the model changes the warning filters")
class HidesWarnings(ChangesTheProcess):
    def change(self):
        warnings.filterwarnings("ignore", message="a warning")


@faults.planted(SETTINGS, "building the model changes the signal handlers")
class HandlesASignal(ChangesTheProcess):
    def change(self):
        signal.signal(signal.SIGUSR2, signal.SIG_IGN)


@faults.planted(SETTINGS, "building the model changes the treatment of NumPy's floating-point errors")
class IgnoresOverflow(ChangesTheProcess):
    def change(self):
        np.seterr(over="ignore")


@faults.planted(SETTINGS, "a call changes the working directory")
class ChangesTheWorkingDirectory(SimpleCell):
    def activation(self, x):
        os.chdir("/")
        return torch.tanh(x)


@faults.planted(SETTINGS, "a call of one step changes the gradient mode")
class EnablesGradients(SimpleCell):
    def project(self, x):
        if len(x) == 1:
            torch.set_grad_enabled(True)
        return super().project(x)


@faults.planted(SETTINGS, "a call in training mode changes the anomaly mode")
class DetectsAnomaliesInTraining(SimpleCell):
    def activation(self, x):
        if self.training:
            torch.autograd.set_detect_anomaly(True)
        return torch.tanh(x)


@pytest.mark.parametrize("cell", [DisablesOneDNN, SetsTheNumberOfThreads, SetsAnEnvironmentVariable])
def test_settings_that_earlier_checks_changed_are_found_and_restored(cell):
    before = read_settings()
    report = report_of(record_of(cell), "empty_batch", "calls_are_independent", SETTINGS)
    assert [each.check.name for each in report.failed] == [SETTINGS]
    assert not changed_settings(before)


@pytest.mark.parametrize(("check", "words", "record"), faults.parameters)
def test_a_fault_fails_its_check(check, words, record):
    assert_fails(check, words, record)


# Correct kinds


class Exact(SimpleCell):
    """Its constants are exact in every dtype."""

    def activation(self, x):
        return torch.tanh(x * torch.tensor(0.5)) * torch.tensor([2.0], dtype=torch.float32).to(x)


class Quadratic(SimpleCell):
    """Grows with the square of its input."""

    def activation(self, x):
        return x * x / 10


@pytest.mark.parametrize("cell", [SimpleCell, Noisy, Normalized, Counts, Reservoir, Exact, Quadratic])
def test_a_correct_cell_passes(cell):
    assert_passes(record_of(cell), faults.checks)


@pytest.mark.parametrize(("cell", "words"), [(Noisy, "random"), (Normalized, "buffers")])
def test_training_that_differs_for_a_reason_is_not_applicable(cell, words):
    result = result_of(record_of(cell), TRAINING)
    assert (result.outcome, words in result.reason) == ("not applicable", True), result.reason
