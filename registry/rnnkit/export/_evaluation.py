"""The state of a model and of torch during an export."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn


@contextmanager
def evaluation(model: nn.Module) -> Iterator[None]:
    """Put a model in evaluation mode, without gradients and with fixed random numbers, and restore everything after."""
    modes = {module: module.training for module in model.modules()}
    devices = {each.device for each in model.parameters() if each.device.type == "cuda"}
    with torch.random.fork_rng(devices), torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch's own, about its dependencies and its type registry
        torch.manual_seed(0)
        model.eval()
        try:
            yield
        finally:
            for module, training in modes.items():
                module.training = training
