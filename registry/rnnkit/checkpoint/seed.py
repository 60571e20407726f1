"""Keeps torch's random numbers as they were."""

from __future__ import annotations

from contextlib import AbstractContextManager

import torch


def seed_kept(device: torch.device | str | None = None) -> AbstractContextManager[None]:
    """A block after which the CPU and one device draw the random numbers that they would have drawn without it.

    Args:
        device: None: torch's default.
    """
    place = torch.get_default_device() if device is None else torch.device(device)
    if place.type in ("cuda", "xpu"):  # each of these devices has a generator that can be asked for its state
        return torch.random.fork_rng([place], device_type=place.type)
    return torch.random.fork_rng([])
