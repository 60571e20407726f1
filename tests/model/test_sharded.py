"""FSDP2: a model that is built on `meta`, sharded over two processes, and initialized by `reset_parameters`."""

import pytest
import torch
from torch import distributed, nn
from torch.distributed.fsdp import fully_shard
from torch.multiprocessing import spawn

from rnnkit import build_model
from tests.helpers.models import small_input, small_spec

KINDS = ["lstm", "gru_cell", "mixed"]
WORLD_SIZE = 2
OPTIONS = {"recurrent_init": "orthogonal"}


def shard_and_reset(rank, folder):
    """One process: check the initial values, and that both processes have shards of the same model."""
    torch.set_num_threads(1)
    store = distributed.FileStore(str(folder / "store"), WORLD_SIZE)
    distributed.init_process_group("gloo", store=store, rank=rank, world_size=WORLD_SIZE)
    mesh = distributed.device_mesh.init_device_mesh("cpu", (WORLD_SIZE,))
    try:
        for kind in KINDS:
            check(kind, rank, mesh)
    finally:
        distributed.destroy_process_group()


def check(kind, rank, mesh):
    torch.manual_seed(rank)  # the processes draw different values
    model = build_model(small_spec(kind, options=OPTIONS), device="meta")
    for cell in getattr(model.backbone, "cells", []):
        fully_shard(cell, mesh=mesh)
    fully_shard(model, mesh=mesh).to_empty(device="cpu")
    for module in model.modules():
        if hasattr(module, "reset_parameters"):
            module.reset_parameters()
    full = {name: each.full_tensor() for name, each in model.named_parameters()}
    for name, each in full.items():
        assert each.isfinite().all(), name
        if "weight_hh" in name:
            for block in each.detach().split(6):
                torch.testing.assert_close(block @ block.T, torch.eye(6))
    torch.manual_seed(5)
    x = small_input(dtype=torch.float32)
    whole = build_model(model.spec)
    whole.load_state_dict({name: nn.Parameter(each.detach().clone()) for name, each in full.items()})
    torch.testing.assert_close(model(x), whole(x))


@pytest.mark.skipif(not distributed.is_available(), reason="torch was built without distributed")
def test_two_processes_initialize_shards_of_one_model(tmp_path, monkeypatch):
    monkeypatch.setenv("GLOO_SOCKET_IFNAME", "lo")
    spawn(shard_and_reset, args=(tmp_path,), nprocs=WORLD_SIZE)
