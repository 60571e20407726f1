"""Trains every kind in each process of `torchrun`, and writes the outcomes to the file that is its argument."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard
from torch.nn.functional import cross_entropy
from torch.nn.parallel import DistributedDataParallel

from docs.site.tool_examples.example import batch, example_spec
from rnnkit import RecurrentModel, build_model, list_kinds


def train(module: nn.Module, part: slice) -> None:
    x, lengths, labels = (each[part] for each in batch())
    optimizer = torch.optim.SGD(module.parameters(), lr=0.1)
    for _ in range(2):
        optimizer.zero_grad()
        cross_entropy(module(x, lengths=lengths), labels).backward()
        optimizer.step()


def own_part() -> slice:
    size = len(batch()[0]) // dist.get_world_size()
    return slice(dist.get_rank() * size, (dist.get_rank() + 1) * size)


def ddp(kind: str) -> None:
    model, reference = build_model(example_spec(kind)), build_model(example_spec(kind))
    reference.load_state_dict(model.state_dict())
    train(DistributedDataParallel(model), own_part())
    train(reference, slice(None))
    torch.testing.assert_close(list(model.parameters()), list(reference.parameters()))


def fsdp(kind: str) -> None:
    model, reference = build_model(example_spec(kind)), build_model(example_spec(kind))
    reference.load_state_dict(model.state_dict())
    shard(model)
    train(model, own_part())
    train(reference, slice(None))
    torch.testing.assert_close(whole(model), [parameter.detach() for parameter in reference.parameters()])


def shard(model: RecurrentModel) -> None:
    mesh = init_device_mesh("cpu", (dist.get_world_size(),))
    for module in getattr(model.backbone, "cells", [model.backbone]):
        fully_shard(module, mesh=mesh)
    fully_shard(model, mesh=mesh)


def whole(model: nn.Module) -> list[Tensor]:
    """Return the parameters of a sharded model, gathered from all processes."""
    return [parameter.full_tensor().detach() for parameter in model.parameters()]  # type: ignore[attr-defined]  # of DTensor


def meta(kind: str) -> None:
    model = build_model(example_spec(kind), device="meta")
    shard(model)
    model.to_empty(device="cpu")
    for parameter in model.parameters():
        parameter.data.fill_(torch.nan)
    model.reset_parameters()
    if missing := [
        name for name, value in zip(dict(model.named_parameters()), whole(model), strict=True) if value.isnan().any()
    ]:
        raise ValueError(f"not initialized: {missing}")
    train(model, own_part())


def outcome(run: Callable[[str], None], kind: str) -> str:
    torch.manual_seed(0)
    try:
        run(kind)
    except Exception as error:  # noqa: BLE001  # any error is the outcome
        return f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"
    return ""


def main() -> None:
    dist.init_process_group("gloo")
    outcomes = {run.__name__: {kind: outcome(run, kind) for kind in list_kinds()} for run in (ddp, fsdp, meta)}
    if dist.get_rank() == 0:
        Path(sys.argv[1]).write_text(json.dumps(outcomes), encoding="utf-8")
    dist.destroy_process_group()


if __name__ == "__main__":
    main()
