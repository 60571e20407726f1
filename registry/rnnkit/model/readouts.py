"""What turns the backbone's output over time into the model's output."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from rnnkit.model.backbone import padding_mask as padding

if TYPE_CHECKING:
    from rnnkit.specs import RecurrentSpec


class Readout(nn.Module):
    """Picks or pools over time, then applies a linear layer where the spec has an `output_size`.

    - `last`: the output at the last valid step; of the reverse direction the output at step 0, which is the
      one that has read the whole row.
    - `mean`, `max`: over the valid steps.
    - `all`: every step.

    A row of length 0 gives zeros before the linear layer, and so that layer's bias after it. Past a row's length,
    `all` gives zeros after it.

    Args:
        spec: gives `readout`, `output_size`, `bidirectional` and `batch_first`.
        features: features of the backbone's output.

    Shape:
        `(batch, time, features)` -> `(batch, output_size)`, or `(batch, time, output_size)` for `all`; time first with
        `batch_first=False`; `features` in the place of `output_size` where that is None.
    """

    def __init__(
        self,
        spec: RecurrentSpec[Any],
        features: int,
        *,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__()
        self.readout = spec.readout
        self.time_axis = 1 if spec.batch_first else 0
        self.forward_features = features // 2 if spec.bidirectional else features
        self.linear = None
        if spec.output_size is not None:
            self.linear = nn.Linear(features, spec.output_size, device=device, dtype=dtype)

    def forward(self, output: Tensor, lengths: Tensor | None = None) -> Tensor:
        """The model's output from the backbone's, which is zero past each row's length."""
        if lengths is not None:
            lengths = lengths.to(output.device, torch.int64)  # a narrower one could not index, nor go below 0
        if self.readout == "last":
            return self.project(self._last(output, lengths))
        if self.readout == "mean":
            return self.project(self._mean(output, lengths))
        if self.readout == "max":
            return self.project(self._max(output, lengths))
        y = self.project(output)
        return y if lengths is None else y.masked_fill(self._padding(output, lengths), 0)

    def project(self, output: Tensor) -> Tensor:
        """The linear layer alone: `(..., features)` -> `(..., output_size)`."""
        linear = self.linear
        return output if linear is None else linear(output)

    def extra_repr(self) -> str:
        return repr(self.readout)

    def _last(self, output: Tensor, lengths: Tensor | None) -> Tensor:
        end = output.select(self.time_axis, -1) if lengths is None else self._at(lengths - 1, output)
        if self.forward_features == output.shape[-1]:
            return end
        start = output.select(self.time_axis, 0)
        return torch.cat([end[:, : self.forward_features], start[:, self.forward_features :]], dim=-1)

    def _at(self, steps: Tensor, output: Tensor) -> Tensor:
        """Each row's output at its own step; an empty row is zeros at every step, so any will do."""
        steps = steps.clamp(min=0)
        rows = torch.arange(steps.shape[0], device=steps.device)  # `len` would fix the batch of an export
        return output[rows, steps] if self.time_axis == 1 else output[steps, rows]

    def _mean(self, output: Tensor, lengths: Tensor | None) -> Tensor:
        if lengths is None:
            return output.mean(self.time_axis)
        return output.sum(self.time_axis) / lengths.clamp(min=1).unsqueeze(-1)

    def _max(self, output: Tensor, lengths: Tensor | None) -> Tensor:
        if lengths is None:
            return output.amax(self.time_axis)
        largest = output.masked_fill(self._padding(output, lengths), -torch.inf).amax(self.time_axis)
        return largest.masked_fill((lengths == 0).unsqueeze(-1), 0)

    def _padding(self, output: Tensor, lengths: Tensor) -> Tensor:
        return padding(lengths, output.shape[self.time_axis], batch_first=self.time_axis == 1)
