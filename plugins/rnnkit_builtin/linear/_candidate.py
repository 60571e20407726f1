"""The candidate of the minimal RNNs, and the notes that their kinds share."""

from __future__ import annotations

import torch
from torch import Tensor

from rnnkit import Paper

FENG = Paper(
    title="Were RNNs All We Needed?",
    authors="Leo Feng, Frederick Tung, Mohamed Osama Ahmed, Yoshua Bengio, Hossein Hajimirsadeghi",
    year=2024,
    link="https://arxiv.org/abs/2410.01201",
)

CANDIDATE_NOTE = "The main part of the paper has no g. Its appendix has it, and so do most implementations."
SCAN_NOTE = (
    "The paper's parallel form takes logarithms, whose float32 gradients lose all digits over thousands of steps. "
    "rnnkit scans the real values."
)


def g(x: Tensor) -> Tensor:
    """Return x + 1/2 for x >= 0 and sigmoid(x) below (Feng et al., appendix B)."""
    return torch.relu(x) + torch.sigmoid(torch.clamp(x, max=0))
