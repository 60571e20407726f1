"""Small models for tests, and functions of states."""

from typing import Any

import torch

from rnnkit import RecurrentSpec, build_model

BATCH, TIME, INPUT_SIZE = 4, 5, 3


def small_spec(kind, **changes) -> RecurrentSpec[Any]:
    """Return a spec with two layers, in which no two axes have the same size."""
    fields = {"input_size": INPUT_SIZE, "hidden_size": 6, "num_layers": 2, "output_size": 2, **changes}
    return RecurrentSpec(kind=kind, **fields)


def small_model(kind, *, dtype=torch.float64, **changes):
    return build_model(small_spec(kind, **changes), dtype=dtype)


def small_input(*, batch_first=True, dtype=torch.float64):
    x = torch.randn(BATCH, TIME, INPUT_SIZE, dtype=dtype)
    return x if batch_first else x.transpose(0, 1).contiguous()


def random_state(model, batch=BATCH):
    return map_state(torch.randn_like, model.initial_state(batch))


def map_state(function, *states):
    """Apply a function to corresponding tensors of states; written without rnnkit, for comparison."""
    if isinstance(states[0], torch.Tensor):
        return function(*states)
    parts = [map_state(function, *parts) for parts in zip(*states, strict=True)]
    return type(states[0])(*parts) if hasattr(states[0], "_fields") else tuple(parts)


def leaves(state):
    """Return the tensors of a state in order."""
    return [state] if isinstance(state, torch.Tensor) else [leaf for part in state for leaf in leaves(part)]


def total(y, state, weights_seed=1):
    """Return a weighted sum of all values of output and state, each with another weight."""
    generator = torch.Generator().manual_seed(weights_seed)
    parts = [y, *leaves(state)]
    return sum((part * torch.randn(part.shape, generator=generator, dtype=part.dtype)).sum() for part in parts)
