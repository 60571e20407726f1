"""The function that worker processes call. They import this module, so it imports no tool."""

from __future__ import annotations

from typing import Any

import torch

from docs.site.tool_examples.example import batch
from rnnkit import RecurrentModel, RecurrentSpec, build_model


def fit(spec: RecurrentSpec[Any]) -> tuple[RecurrentSpec[Any], RecurrentModel]:
    torch.set_num_threads(1)
    model = build_model(spec)
    model(batch()[0]).sum().backward()
    return spec, model
