"""The base class of readouts, which turn the backbone's output into the model's output."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from rnnkit.model.backbone import padding_mask
from rnnkit.model.reset import ResettableModule

if TYPE_CHECKING:
    from rnnkit.specs import RecurrentSpec


class Readout(ResettableModule, ABC):
    """Base class of readouts: selects or pools over time, then applies a linear layer if the spec has an `output_size`.

    A subclass has a `name` and writes `pool`:

    ```python
    class First(Readout):
        name = "first"

        def pool(self, output, lengths):
            return output[:, 0]
    ```

    Args:
        spec: gives `output_size`, `readout_dropout`, `bidirectional` and `batch_first`.
        features: number of features of the backbone's output, with the directions concatenated.
        device: where parameters are created; None: torch's default.
        dtype: dtype of the parameters; None: torch's default.

    Attributes:
        linear: the linear layer; None without an `output_size`.
        dropout: probability of zeroing a feature that the linear layer reads, in training.

    Shape:
        `(batch, time, features)` -> `(batch, output_size)`, or `(batch, time, output_size)` if `per_step`; time first
        with `batch_first=False`; `features` in place of `output_size` where that is None.
    """

    name: ClassVar[str]
    """The value of `readout` in a spec; the same as the name of the plugin's entry point."""

    per_step: ClassVar[bool] = False
    """True if it gives an output at each step."""

    pools: ClassVar[bool] = True
    """False if its output at the last step, or at each step, depends on that step alone; `step` requires it."""

    def __init__(
        self,
        spec: RecurrentSpec[Any],
        features: int,
        *,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__()
        self.batch_first = spec.batch_first
        self.dropout = spec.readout_dropout
        self.linear = None
        if spec.output_size is not None:
            self.linear = nn.Linear(features, spec.output_size, device=device, dtype=dtype)

    @abstractmethod
    def pool(self, output: Tensor, lengths: Tensor | None) -> Tensor:
        """The features that the linear layer reads.

        Args:
            output: the backbone's output, `(batch, time, features)`, zeros past each sequence's length.
            lengths: valid steps of each sequence, `(batch,)`, int64, possibly 0, on the device of `output`; None: all
                steps are valid.

        Returns:
            `(batch, features)`, or `(batch, time, features)` if `per_step`; zeros for a sequence of length 0.
        """

    def forward(self, output: Tensor, lengths: Tensor | None = None) -> Tensor:
        """The model's output from the backbone's, which is zero past each sequence's length."""
        output = output if self.batch_first else output.transpose(0, 1)
        if lengths is not None:
            lengths = lengths.to(output.device, torch.int64)  # a narrower dtype cannot index, nor go below 0
        y = self.pool(output, lengths)
        if self.linear is not None:
            y = self.linear(F.dropout(y, self.dropout, self.training) if self.dropout > 0 else y)
        if not self.per_step:
            return y
        if lengths is not None:
            y = y.masked_fill(self.padding(y, lengths), 0)
        return y if self.batch_first else y.transpose(0, 1)

    @staticmethod
    def padding(output: Tensor, lengths: Tensor) -> Tensor:
        """True where a step of `output`, `(batch, time, features)`, is past its length: `(batch, time, 1)`."""
        return padding_mask(lengths, output.shape[1], batch_first=True)
