"""Configuration, search and tracking: Hydra, OmegaConf, jsonargparse, tyro, Optuna, TensorBoard, MLflow."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import Any

import hydra
import mlflow
import optuna
import torch
import tyro
from jsonargparse import ArgumentParser
from lightning import LightningModule
from lightning.pytorch.cli import LightningCLI
from omegaconf import OmegaConf
from torch.utils.tensorboard import SummaryWriter

from docs.site.tool_examples.example import Example, batch, example_spec
from rnnkit import RecurrentSpec, build_model, load_model, save_model

Spec = RecurrentSpec[Any]


def check_equal(built: Any, spec: Spec) -> None:
    if built != spec:
        raise ValueError(f"{built} is not {spec}")


def fields_that_differ(spec: Spec) -> dict[str, Any]:
    """Return the fields that `example_spec` sets, as plain data."""
    names = ("kind", "input_size", "hidden_size", "num_layers", "output_size")
    options = {"cells": list(spec.options.cells)} if spec.kind == "mixed" else {}
    return {**{name: getattr(spec, name) for name in names}, "options": options}


def instantiate_with_hydra(spec: Spec) -> None:
    target = {"_target_": "rnnkit.RecurrentSpec", **fields_that_differ(spec)}
    config = OmegaConf.create({"_target_": "rnnkit.build_model", "spec": target})
    check_equal(hydra.utils.instantiate(config).spec, spec)


def merge_with_omegaconf(spec: Spec) -> None:
    merged: Any = OmegaConf.merge(OmegaConf.create(spec.to_dict()), OmegaConf.from_dotlist(["readout=mean"]))
    check_equal(RecurrentSpec.from_dict(merged), example_spec(spec.kind, readout="mean"))


def arguments_of(spec: Spec, prefix: str) -> list[str]:
    fields = fields_that_differ(spec)
    options = json.dumps(fields.pop("options"))
    return [*(f"--{prefix}.{name}={value}" for name, value in fields.items()), f"--{prefix}.options={options}"]


def parse_with_jsonargparse(spec: Spec) -> None:
    parser = ArgumentParser(exit_on_error=False)
    parser.add_argument("--model", type=RecurrentSpec)
    check_equal(parser.instantiate(parser.parse_args(arguments_of(spec, "model"))).model, spec)


class Module(LightningModule):
    def __init__(self, spec: RecurrentSpec) -> None:
        super().__init__()
        self.model = build_model(spec)


def parse_with_lightning_cli(spec: Spec) -> None:
    cli = LightningCLI(Module, run=False, args=arguments_of(spec, "model.spec"))
    check_equal(cli.model.model.spec, spec)


def parse_with_tyro(spec: Spec) -> None:
    fields = fields_that_differ(spec)
    options = [part for name, values in fields.pop("options").items() for part in (name, *values)]
    arguments = [part for name, value in fields.items() for part in (f"--{name.replace('_', '-')}", str(value))]
    check_equal(tyro.cli(RecurrentSpec, args=[*arguments, *(["--options", *options] if options else [])]), spec)


def search_with_optuna(spec: Spec) -> None:
    def objective(trial: Any) -> float:
        hidden_size = trial.suggest_int("hidden_size", 4, 8)
        candidate = example_spec(spec.kind, hidden_size=hidden_size)
        trial.set_user_attr("spec", candidate.to_dict())
        return build_model(candidate)(batch()[0]).square().mean().item()

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    study = optuna.create_study(storage="sqlite:///study.db")
    study.optimize(objective, n_trials=2)
    build_model(RecurrentSpec.from_dict(study.best_trial.user_attrs["spec"]))


def write_with_tensorboard(spec: Spec) -> None:
    with SummaryWriter("runs") as writer:
        writer.add_graph(build_model(spec).eval(), batch()[0])


def log_with_mlflow(spec: Spec) -> None:
    # absolute: MLflow keeps the database of an address, and each example has a folder of its own
    mlflow.set_tracking_uri(f"sqlite:///{Path.cwd() / 'mlflow.db'}")
    model, (x, _, _) = build_model(spec).eval(), batch()
    save_model(model, "model.safetensors")
    with mlflow.start_run() as run:
        mlflow.log_params(spec.to_dict())
        mlflow.log_artifact("model.safetensors")
    path = mlflow.artifacts.download_artifacts(run_id=run.info.run_id, artifact_path="model.safetensors")
    torch.testing.assert_close(load_model(path, device="cpu").eval()(x), model(x))


configuration = partial(Example, page="configuration")
tracking = partial(Example, page="tracking")
EXAMPLES = [
    configuration(tool="hydra-core", title="Hydra: `instantiate`", run=instantiate_with_hydra),
    configuration(tool="omegaconf", title="OmegaConf: merge", run=merge_with_omegaconf),
    configuration(tool="jsonargparse", title="jsonargparse: a typed argument", run=parse_with_jsonargparse),
    Example(tool="lightning", title="LightningCLI", page="lightning", run=parse_with_lightning_cli),
    configuration(tool="tyro", title="tyro: a typed argument", run=parse_with_tyro),
    Example(tool="optuna", title="Optuna: a study of specs", page="optuna", run=search_with_optuna),
    tracking(tool="tensorboard", title="TensorBoard: the graph", run=write_with_tensorboard),
    tracking(tool="mlflow-skinny", title="MLflow: parameters and model", run=log_with_mlflow),
]
