"""Hold the start of a parameter to the distribution that its paper prescribes."""

import math


def assert_uniform(parameter, low, high):
    """Assert that the entries look uniform in [low, high]."""
    assert parameter.min() >= low
    assert parameter.max() <= high
    _assert_moments(parameter, (low + high) / 2, (high - low) / 12**0.5)


def assert_normal(parameter, mean, std):
    """Assert that the entries look normal."""
    assert parameter.sub(mean).abs().max() <= 6 * std
    assert parameter.sub(mean).abs().max() > 2.5 * std  # a uniform distribution ends at 1.8
    _assert_moments(parameter, mean, std)


def _assert_moments(parameter, mean, std):
    count = parameter.numel()
    assert count >= 200
    assert abs(parameter.mean() - mean) <= 5 * std / math.sqrt(count)
    assert abs(parameter.std() / std - 1) <= 5 / math.sqrt(2 * count)
