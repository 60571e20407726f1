"""The baseline that kinds are compared with: torch's LSTM, written by hand."""

from __future__ import annotations

from torch import Tensor, nn


class TorchLSTM(nn.Module):
    """`(batch, time, input_size)` -> `(batch, output_size)`, from the last step."""

    def __init__(self, input_size: int, hidden_size: int, num_layers: int, output_size: int) -> None:
        super().__init__()
        self.lstm = nn.LSTM(input_size, hidden_size, num_layers, batch_first=True)
        self.linear = nn.Linear(hidden_size, output_size)

    def forward(self, x: Tensor) -> Tensor:
        output, _ = self.lstm(x)
        y: Tensor = self.linear(output[:, -1])
        return y
