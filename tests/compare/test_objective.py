"""Losses and scores against those of scikit-learn, SciPy and NumPy, with steps that have no target."""

import numpy as np
import pytest
import torch
from scipy.stats import entropy
from sklearn.dummy import DummyClassifier, DummyRegressor
from sklearn.metrics import accuracy_score, log_loss, r2_score

from rnnkit.compare import CLASSIFICATION, IGNORED, LANGUAGE, REGRESSION
from rnnkit.errors import CompareError

ALL = pytest.mark.parametrize("objective", [CLASSIFICATION, REGRESSION, LANGUAGE], ids=lambda each: each.metric)


@pytest.fixture
def logits():
    return torch.randn(6, 10, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


@pytest.fixture
def classes():
    """Classes of 6 sequences of 10 steps; a third of the steps have none."""
    generator = torch.Generator().manual_seed(1)
    classes = torch.randint(4, (6, 10), generator=generator)
    return classes.masked_fill(torch.rand(6, 10, generator=generator) < 1 / 3, IGNORED)


@pytest.fixture
def values():
    """Values with two features of different means; a third of the steps have none."""
    generator = torch.Generator().manual_seed(2)
    values = torch.randn(6, 10, 2, generator=generator, dtype=torch.float64) + torch.tensor([0.0, 5.0])
    return values.masked_fill(torch.rand(6, 10, 1, generator=generator) < 1 / 3, torch.nan)


def known(output, target):
    """The outputs and the targets of the steps that have one, as NumPy arrays."""
    chosen = target != IGNORED if target.dim() == 2 else ~target.isnan().any(-1)
    assert 0 < chosen.sum() < chosen.numel()
    return output[chosen].numpy(), target[chosen].numpy()


def test_classification(logits, classes):
    outputs, targets = known(logits, classes)
    loss = log_loss(targets, torch.from_numpy(outputs).softmax(-1), labels=range(4))
    assert CLASSIFICATION.loss(logits, classes).item() == pytest.approx(loss)
    assert CLASSIFICATION.score(logits, classes) == pytest.approx(accuracy_score(targets, outputs.argmax(-1)))
    most_frequent = DummyClassifier(strategy="most_frequent").fit(outputs, targets)
    assert CLASSIFICATION.chance(classes) == pytest.approx(most_frequent.score(outputs, targets))


def test_regression(values):
    output = values.nan_to_num() + torch.randn(values.shape, generator=torch.Generator().manual_seed(3))
    outputs, targets = known(output, values)
    assert REGRESSION.loss(output, values).item() == pytest.approx(np.mean((outputs - targets) ** 2))
    explained = r2_score(targets, outputs, multioutput="variance_weighted")
    assert REGRESSION.score(output, values) == pytest.approx(np.sqrt(1 - explained))
    constant = torch.from_numpy(DummyRegressor().fit(outputs, targets).predict(outputs)[0]).expand_as(values)
    assert REGRESSION.score(constant, values) == pytest.approx(REGRESSION.chance(values)) == 1


def test_language(logits, classes):
    outputs, targets = known(logits, classes)
    loss = log_loss(targets, torch.from_numpy(outputs).softmax(-1), labels=range(4))
    assert LANGUAGE.loss(logits, classes).item() == pytest.approx(loss)
    assert LANGUAGE.score(logits, classes) == pytest.approx(loss / np.log(2))
    share = np.bincount(targets) / len(targets)
    assert LANGUAGE.chance(classes) == pytest.approx(entropy(share, base=2))
    constant = torch.from_numpy(share).log().expand_as(logits)
    assert LANGUAGE.score(constant, classes) == pytest.approx(LANGUAGE.chance(classes))


@ALL
def test_steps_without_a_target_do_not_count(objective, logits, classes, values):
    output, target = (values.nan_to_num(), values) if objective is REGRESSION else (logits, classes)
    ignored = (target.isnan() if objective is REGRESSION else (target == IGNORED)[..., None]).expand_as(output)
    assert ignored.any()
    other = output.masked_fill(ignored, torch.nan).requires_grad_()
    loss = objective.loss(other, target)
    assert loss.item() == pytest.approx(objective.loss(output, target).item())
    assert objective.score(other.detach(), target) == pytest.approx(objective.score(output, target))
    loss.backward()
    assert not other.grad[ignored].any()
    assert other.grad.isfinite().all()


@ALL
def test_the_score_of_an_output_with_nan_is_nan(objective, logits, classes, values):
    output, target = (values.nan_to_num(), values) if objective is REGRESSION else (logits, classes)
    counts = ~target.isnan() if objective is REGRESSION else (target != IGNORED)[..., None].expand_as(output)
    first = tuple(counts.nonzero()[0])
    output[first] = torch.nan
    assert np.isnan(objective.score(output, target))


@ALL
@pytest.mark.parametrize("function", ["loss", "score", "chance"])
def test_a_batch_without_targets_is_refused(objective, function, logits):
    target = torch.full((6, 10, 4), torch.nan) if objective is REGRESSION else torch.full((6, 10), IGNORED)
    arguments = [target] if function == "chance" else [logits, target]
    with pytest.raises(CompareError, match=r"No step has a target: all \d+ targets are "):
        getattr(objective, function)(*arguments)


@ALL
@pytest.mark.parametrize("function", ["loss", "score"])
def test_targets_of_another_shape_are_refused(objective, function, logits):
    target = torch.zeros(6, 10) if objective is REGRESSION else torch.zeros(6, dtype=torch.int64)
    message = r"The targets have the shape \(6.*, but must have the shape \(6, 10.*\) for outputs of shape \(6, 10, 4\)"
    with pytest.raises(CompareError, match=message):
        getattr(objective, function)(logits, target)


def test_a_class_is_an_integer(logits):
    with pytest.raises(CompareError, match=r"must be integers, but are torch\.float32"):
        CLASSIFICATION.loss(logits, torch.zeros(6, 10))


@pytest.mark.parametrize("value", [0.0, 0.1, -1e9])
def test_the_error_of_constant_targets_is_not_defined(value):
    target = torch.full((6, 10, 1), value)
    with pytest.raises(CompareError, match="The NRMSE is not defined, because the targets are constant"):
        REGRESSION.score(torch.zeros_like(target), target)
