"""Seeds torch's global generators, as the checks do often."""

from __future__ import annotations

import torch


def seed_generators(seed: int) -> None:
    """Do what `torch.manual_seed` does.

    Without an accelerator, `torch.manual_seed` keeps a traceback of each call for each type of device, which takes a
    tenth of the time of all checks.
    """
    if torch.accelerator.is_available():
        torch.manual_seed(seed)
    else:
        torch.default_generator.manual_seed(seed)
