"""Whether an installed executor runs a call faster than torch's recurrent kernels: a fixed rule, never measured then.

`python -m benchmarks.executor_rule` compares the rule with measured times.
"""

from __future__ import annotations

import torch
from torch import Tensor

# torch calls several operators for each step, and an executor has a fixed cost for each call.
FEWEST_STEPS = {"rnn_tanh": 12, "rnn_relu": 12, "gru": 6, "lstm": 8}
FEWEST_STEPS_OF_ALL = min(FEWEST_STEPS.values())
# Above, a step spends its time in matrix products, which torch computes as fast.
LARGEST_HIDDEN_SIZE = 512
# The largest hidden size times batch of sequences of different lengths, for the same reason.
LARGEST_STEP_WITH_LENGTHS = 8192

_DTYPES = (torch.float32, torch.float64)


def executor_is_faster(
    kernel: str, x: Tensor, hidden_size: int, *, time: int, batch: int, has_lengths: bool, projected: bool = False
) -> bool:
    """True if an executor of plans is faster than one of torch's kernels on the CPU, for inference and training.

    Args:
        kernel: as in `Layers`.
        x: the input, for its dtype and device.
        hidden_size: the hidden size.
        time: number of steps.
        batch: number of sequences.
        has_lengths: True if the sequences have different lengths.
        projected: True for an LSTM with `proj_size`.
    """
    if time < FEWEST_STEPS[kernel] or hidden_size > LARGEST_HIDDEN_SIZE or x.dtype not in _DTYPES or not x.is_cpu:
        return False
    if has_lengths and batch * hidden_size > LARGEST_STEP_WITH_LENGTHS:
        return False
    # oneDNN's LSTM takes neither packed sequences, except a single one, nor float64, nor a projection
    has_onednn = kernel == "lstm" and x.dtype == torch.float32 and not projected
    return not has_onednn or (has_lengths and batch > 1)
