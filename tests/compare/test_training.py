"""The training loop: its schedule, its curve, and how it ends."""

import itertools
import math
from dataclasses import replace

import pytest
import torch

from rnnkit import RecurrentSpec, build_model, constrain_
from rnnkit.compare import Training, tasks, train
from rnnkit.compare.training import evaluate

TASK = tasks.adding(length=8)
SHORT = Training(steps=6, batch_size=4, points=3)


def model_of(kind="gru", **fields):
    torch.manual_seed(0)
    return build_model(RecurrentSpec(kind=kind, hidden_size=6, **TASK.fields(), **fields)).train()


def trained(training, model=None, seed=0):
    return train(model or model_of(), TASK, training, torch.Generator().manual_seed(seed))


def test_the_learning_rate_rises_then_falls_as_a_cosine():
    training = replace(SHORT, learning_rate=2.0)
    assert training.rate(0) == pytest.approx(0.04, rel=1e-3)  # a fiftieth, so that the first step is one
    assert training.rate(0.5) == pytest.approx(1.0)
    assert training.rate(0.75) == pytest.approx(1 + math.cos(0.75 * math.pi))
    assert training.rate(1) == 0


def test_training_equals_the_same_steps_by_hand():
    model, other = model_of(), model_of()
    result = trained(SHORT, model)
    generator, optimizer = torch.Generator().manual_seed(0), torch.optim.Adam(other.parameters())
    for step in range(6):
        optimizer.param_groups[0]["lr"] = SHORT.rate(step / 6)
        batch = TASK.training_batch(4, generator)
        loss = (other(batch.x) - batch.target).square().mean()
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(other.parameters(), 1.0)
        optimizer.step()
    for got, want in zip(model.parameters(), other.parameters(), strict=True):
        torch.testing.assert_close(got, want)
    assert result.curve[-1].loss == pytest.approx(loss.item())
    assert result.curve[-1].score == pytest.approx(evaluate(other, TASK, TASK.validation()))


def test_the_curve_has_its_points_and_the_result_its_steps():
    result = trained(SHORT)
    assert [point.step for point in result.curve] == [2, 4, 6]
    assert (result.status, result.steps) == ("finished", 6)
    assert 0 < result.curve[0].seconds < result.curve[-1].seconds <= result.seconds


@pytest.fixture
def clock(monkeypatch):
    """A clock of which each look takes a second, and so each step of a training."""
    seconds = itertools.count()
    monkeypatch.setattr("time.perf_counter", lambda: next(seconds))


@pytest.mark.usefixtures("clock")
def test_equal_time_ends_by_the_clock():
    result = trained(replace(SHORT, seconds=10))
    assert (result.status, result.steps, result.seconds) == ("finished", 10, 10)
    assert [point.seconds for point in result.curve] == [4, 7, 10]


@pytest.mark.usefixtures("clock")
def test_the_limit_stops_a_training():
    result = trained(replace(SHORT, steps=100, limit=3))
    assert (result.status, result.steps, result.seconds) == ("stopped", 4, 4)


def test_a_loss_that_is_not_finite_ends_the_training():
    model = model_of()
    with torch.no_grad():
        next(model.parameters()).fill_(math.nan)
    assert trained(SHORT, model).status == "diverged"


def test_bounds_of_parameters_hold_after_each_step():
    model = model_of("indrnn", num_layers=1)
    trained(replace(SHORT, learning_rate=10.0), model)
    before = [each.clone() for each in model.parameters()]
    constrain_(model)
    for got, want in zip(model.parameters(), before, strict=True):
        torch.testing.assert_close(got, want, rtol=0, atol=0)


def test_evaluation_is_without_dropout_and_training_goes_on_with_it():
    model = model_of(num_layers=2, dropout=0.9)
    batch = TASK.validation()
    assert evaluate(model, TASK, batch) == evaluate(model, TASK, batch)
    assert model.training
