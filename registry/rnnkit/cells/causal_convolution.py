"""A convolution over time that continues from one call to the next, since its last inputs are a part of a state."""

from __future__ import annotations

import math
from collections.abc import Iterable

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class CausalConv(nn.Module):
    r"""The convolution $y_t = b + \sum_{i=0}^{k-1} W_i x_{t-k+1+i}$ over time, which reads no later steps.

    The k - 1 inputs before a step are the tail: a part of the state of the cell that has the convolution, zeros at the
    start of a sequence. `step` computes one step, and `forward` a whole sequence. They are equal, so that a cell may
    call `step` in its `step`, and `forward` in its `unroll`:

    ```python
    class State(NamedTuple):
        h: Tensor
        tail: Tensor

    class ShortConvolutionCell(Cell):
        State = State

        def __init__(self, input_size, hidden_size, *, device=None, dtype=None):
            super().__init__(input_size, hidden_size, device=device, dtype=dtype)
            self.convolution = CausalConv(input_size, hidden_size, 4, device=device, dtype=dtype)

        def step(self, x_t, state):
            y, tail = self.convolution.step(x_t, state.tail)
            h = torch.tanh(y + state.h)
            return h, State(h, tail)

        def state_shapes(self, batch_size):
            return super().state_shapes(batch_size)._replace(tail=self.convolution.tail_shape(batch_size))
    ```

    Args:
        in_channels: number of features of the input.
        out_channels: number of features of the output.
        kernel_size: number of inputs that one output depends on, k.
        depthwise: True if each feature of the output depends on the same feature of the input alone.
        bias: True to add a bias.
        device: device of the parameters; None: torch's default.
        dtype: dtype of the parameters; None: torch's default.

    Attributes:
        weight: as that of `torch.nn.Conv1d`, and initialized as there: `(out_channels, in_channels, kernel_size)`, or
            `(out_channels, 1, kernel_size)` if `depthwise`; the last of the k weights multiplies x_t.
        bias: `(out_channels,)`, or None.

    Raises:
        ValueError: a depthwise convolution has different numbers of input and output features, or `kernel_size` is
            below 1.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int,
        *,
        depthwise: bool = False,
        bias: bool = True,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__()
        if kernel_size < 1:
            raise ValueError(f"kernel_size must be at least 1, but is {kernel_size}")
        if depthwise and in_channels != out_channels:
            raise ValueError(
                f"depthwise=True requires in_channels equal to out_channels, but they are {in_channels} and "
                f"{out_channels}"
            )
        self.in_channels, self.out_channels, self.kernel_size = in_channels, out_channels, kernel_size
        self.depthwise = depthwise
        group = 1 if depthwise else in_channels
        self.weight = nn.Parameter(torch.empty(out_channels, group, kernel_size, device=device, dtype=dtype))
        self.bias = nn.Parameter(torch.empty(out_channels, device=device, dtype=dtype)) if bias else None
        bound = 1 / math.sqrt(group * kernel_size)
        for parameter in self.parameters():
            nn.init.uniform_(parameter, -bound, bound)

    def tail_shape(self, batch_size: int) -> torch.Size:
        """Return the shape of the tail, `(batch, kernel_size - 1, in_channels)`."""
        return torch.Size((batch_size, self.kernel_size - 1, self.in_channels))

    def step(self, x_t: Tensor, tail: Tensor) -> tuple[Tensor, Tensor]:
        """Compute one step.

        Args:
            x_t: `(batch, in_channels)`.
            tail: the inputs of the steps before, `(batch, kernel_size - 1, in_channels)`.

        Returns:
            The output, `(batch, out_channels)`, and the tail after the step.
        """
        window = torch.cat([tail, x_t.unsqueeze(1)], 1)
        return self._sum(window.unbind(1)), window[:, 1:]

    def forward(self, x: Tensor, tail: Tensor, lengths: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Compute all steps of a sequence.

        Args:
            x: `(time, batch, in_channels)`.
            tail: the inputs before the first step, `(batch, kernel_size - 1, in_channels)`.
            lengths: number of valid steps of each sequence, `(batch,)`; None: all are valid.

        Returns:
            The output, `(time, batch, out_channels)`, arbitrary past the length of each sequence, and the tail after
            the last valid step of each sequence.
        """
        time = x.shape[0]
        padded = torch.cat([tail.transpose(0, 1), x])
        y = self._sum(padded[i : i + time] for i in range(self.kernel_size))
        if lengths is None:
            return y, padded[time:].transpose(0, 1)
        batch = torch.arange(x.shape[1], device=x.device)
        last = lengths + torch.arange(self.kernel_size - 1, device=x.device)[:, None]
        return y, padded[last, batch].transpose(0, 1)

    def _sum(self, inputs: Iterable[Tensor]) -> Tensor:
        """Return the sum of the products of the k weights with the inputs of the k steps up to each step."""
        weights = self.weight.unbind(-1)
        if self.depthwise:
            products = [x * weight[:, 0] for x, weight in zip(inputs, weights, strict=True)]
        else:
            products = [F.linear(x, weight) for x, weight in zip(inputs, weights, strict=True)]
        y = sum(products[1:], products[0])
        return y if self.bias is None else y + self.bias

    def extra_repr(self) -> str:
        depthwise = ", depthwise=True" if self.depthwise else ""
        return f"{self.in_channels}, {self.out_channels}, kernel_size={self.kernel_size}{depthwise}"
