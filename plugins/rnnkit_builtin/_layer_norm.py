"""Layer normalization inside a step."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from rnnkit_builtin._tracing import is_exporting


class LayerNorm(nn.LayerNorm):
    """`nn.LayerNorm` that `torch.compile(dynamic=True)` can trace inside torch's `scan`."""

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002  # torch's name
        if not torch.compiler.is_compiling() or is_exporting():
            return super().forward(input)
        # torch's own function is right in an exported program, whose sizes this would save for the gradient, which
        # `scan` then takes for tensors. In a compiled one with dynamic=True, `eps` is a symbol, which `F.layer_norm` refuses inside `scan`. As `F.layer_norm` does, this
        # computes in float32 where the input is narrower, and returns float32 under autocast.
        x = input.float() if input.dtype in {torch.float16, torch.bfloat16} else input
        variance, mean = torch.var_mean(x, -1, correction=0, keepdim=True)
        normalized = (x - mean) * torch.rsqrt(variance + self.eps) * self.weight
        normalized = normalized if self.bias is None else normalized + self.bias
        return normalized if torch.is_autocast_enabled(x.device.type) else normalized.to(input.dtype)
