"""The speed of a prototype with a kernel in C++ for each kind of cell, relative to torch.nn: the aim of rnnkit-kernels.

The prototype is not part of the project. Measured on 2026-11-29 on an AMD Zen 4, where a matrix product reaches 117
GFLOP/s on one thread: compare them only roughly on another processor.
"""

from __future__ import annotations

# by threads, shape and kind: the time of a forward pass and of training, both relative to torch.nn
_RATIOS = {
    (1, "medium", "rnn_cell"): (0.50, 0.57),
    (1, "medium", "gru_cell"): (0.53, 0.53),
    (1, "medium", "lstm_cell"): (0.97, 0.94),
    (1, "long", "rnn_cell"): (0.19, 0.11),
    (1, "long", "gru_cell"): (0.19, 0.11),
    (1, "long", "lstm_cell"): (0.86, 0.80),
    (2, "medium", "gru_cell"): (0.39, 0.33),
    (2, "medium", "lstm_cell"): (0.92, 0.87),
    (2, "long", "rnn_cell"): (0.11, 0.06),
    (2, "long", "gru_cell"): (0.11, 0.05),
    (2, "long", "lstm_cell"): (0.58, 0.52),
}


def prototype_ratio(threads: int, shape: str, kind: str, what: str) -> float | None:
    """Return the time relative to torch.nn; None if it was not measured.

    Args:
        threads: the number of threads.
        shape: the name of a shape.
        kind: the name of a kind.
        what: `"forward"` or `"training"`.
    """
    found = _RATIOS.get((threads, shape, kind))
    return None if found is None else found[what == "training"]
