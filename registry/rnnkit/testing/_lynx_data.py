"""A small forecasting task on real data: the number of lynx trapped next year."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

# Skins of the Canadian lynx from the Mackenzie River district, year by year from 1821 to 1934: Elton and Nicholson,
# "The ten-year cycle in numbers of the lynx in Canada", Journal of Animal Ecology 11 (1942), 215-244, as Campbell and
# Walker (1977) give them and as R has them in its `datasets` under the name `lynx`.
# fmt: off
TRAPPED = (
    269, 321, 585, 871, 1475, 2821, 3928, 5943, 4950, 2577, 523, 98, 184, 279, 409, 2285, 2685, 3409, 1824,
    409, 151, 45, 68, 213, 546, 1033, 2129, 2536, 957, 361, 377, 225, 360, 731, 1638, 2725, 2871, 2119, 684,
    299, 236, 245, 552, 1623, 3311, 6721, 4254, 687, 255, 473, 358, 784, 1594, 1676, 2251, 1426, 756, 299,
    201, 229, 469, 736, 2042, 2811, 4431, 2511, 389, 73, 39, 49, 59, 188, 377, 1292, 4031, 3495, 587, 105,
    153, 387, 758, 1307, 3465, 6991, 6313, 3794, 1836, 345, 382, 808, 1388, 2713, 3800, 3091, 2985, 3790, 674,
    81, 80, 108, 229, 399, 1132, 2432, 3574, 2935, 1537, 529, 485, 662, 1000, 1590, 2657, 3396,
)
# fmt: on
_PAST = 8  # years, about a cycle


class Lynx(NamedTuple):
    """Windows of eight years and the year after each; log10 of the counts, less the mean."""

    past: Tensor  # eight consecutive years, (batch, time, 1)
    next: Tensor  # the year after, (batch, 1)

    @property
    def linear_baseline(self) -> float:
        """The mean squared error of linear regression on the last year alone."""
        return least_squares_loss(self.past[:, -1], self.next).item()


def least_squares_loss(features: Tensor, target: Tensor) -> Tensor:
    """The mean squared error of linear regression, with an intercept, of `target`, `(batch, 1)`, on `features`.

    The gradient is that at the fitted weights.
    """
    given = torch.cat([features, torch.ones_like(target)], dim=1)
    weights: Tensor = torch.linalg.lstsq(given.detach(), target, driver="gelsd").solution
    return (given @ weights - target).square().mean()


def lynx_data(dtype: torch.dtype = torch.float64) -> Lynx:
    """The task: every nine consecutive years."""
    years = torch.tensor(TRAPPED, dtype=torch.float64).log10()
    windows = (years - years.mean()).to(dtype).unfold(0, _PAST + 1, 1)
    return Lynx(windows[:, :-1, None], windows[:, -1:])
