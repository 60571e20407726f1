"""Trainers: Lightning, skorch, Accelerate, Ignite, Transformers, Opacus, and gradient checkpointing."""

from __future__ import annotations

import copy
from dataclasses import replace
from functools import partial
from typing import Any

import lightning
import torch
from accelerate import Accelerator
from ignite.engine import create_supervised_trainer
from opacus import PrivacyEngine
from opacus.validators import ModuleValidator
from sklearn.model_selection import GridSearchCV
from skorch import NeuralNetClassifier
from torch import Tensor, nn
from torch.func import functional_call, grad, stack_module_state, vmap
from torch.nn.functional import cross_entropy
from torch.utils.checkpoint import checkpoint
from torch.utils.data import DataLoader, TensorDataset
from transformers import Trainer, TrainingArguments

from docs.site.tool_examples.example import Example, batch
from rnnkit import RecurrentModel, RecurrentSpec, build_model

Spec = RecurrentSpec[Any]


def loader() -> DataLoader[Any]:
    return DataLoader(TensorDataset(*batch()), batch_size=4)


class Classifier(lightning.LightningModule):
    """A LightningModule that takes the spec as a dictionary."""

    def __init__(self, spec: dict[str, Any]) -> None:
        super().__init__()
        self.save_hyperparameters()
        self.model = build_model(RecurrentSpec.from_dict(spec))

    def training_step(self, each: Any, _: int) -> Tensor:
        return cross_entropy(self.model(each[0], lengths=each[1]), each[2])

    def predict_step(self, each: Any, _: int) -> Any:
        return self.model(each[0], lengths=each[1])

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), lr=0.1)


def lightning_trainer(epochs: int) -> Any:
    quiet = {"enable_progress_bar": False, "enable_model_summary": False, "logger": False}
    return lightning.Trainer(max_epochs=epochs, accelerator="cpu", **quiet)


def fit_with_lightning(spec: Spec) -> None:
    trainer = lightning_trainer(1)
    trainer.fit(Classifier(spec.to_dict()), loader())
    trainer.save_checkpoint("a.ckpt")
    restored = Classifier.load_from_checkpoint("a.ckpt", weights_only=True)
    trainer = lightning_trainer(2)
    trainer.fit(restored, loader(), ckpt_path="a.ckpt")
    trainer.predict(restored, loader())


def estimator(spec: Spec) -> Any:
    settings = {"criterion": nn.CrossEntropyLoss, "max_epochs": 1, "verbose": 0, "train_split": None}
    return NeuralNetClassifier(build_model, module__spec=spec, **settings)


def fit_with_skorch(spec: Spec) -> None:
    x, lengths, labels = batch()
    padded = {"x": x, "lengths": lengths}
    estimator(spec).fit(padded, labels).predict(padded)


def search_with_scikit_learn(spec: Spec) -> None:
    x, _, labels = batch()
    grid = {"module__spec": [spec, replace(spec, readout="mean")]}
    search = GridSearchCV(estimator(spec), grid, cv=2, error_score="raise")
    search.fit(x.numpy(), labels.numpy())


def train_with_accelerate(spec: Spec) -> None:
    accelerator, model = Accelerator(cpu=True), build_model(spec)
    model, optimizer, batches = accelerator.prepare(model, torch.optim.SGD(model.parameters()), loader())
    for x, lengths, labels in batches:
        accelerator.backward(cross_entropy(model(x, lengths=lengths), labels))
        optimizer.step()
    accelerator.save_state("state")
    accelerator.load_state("state")


def with_lengths(model: nn.Module, inputs: Any) -> Any:
    return model(*inputs)


def train_with_ignite(spec: Spec) -> None:
    model = build_model(spec)
    trainer = create_supervised_trainer(
        model,
        torch.optim.SGD(model.parameters()),
        cross_entropy,
        prepare_batch=lambda each, **_: ((each[0], None, each[1]), each[2]),
        model_fn=with_lengths,
    )
    trainer.run(loader(), max_epochs=1)


class WithLoss(nn.Module):
    def __init__(self, model: RecurrentModel) -> None:
        super().__init__()
        self.model = model

    def forward(self, x: Tensor, lengths: Tensor, labels: Tensor) -> dict[str, Tensor]:
        logits = self.model(x, lengths=lengths)
        return {"loss": cross_entropy(logits, labels), "logits": logits}


def train_with_transformers(spec: Spec) -> None:
    data = [dict(zip(("x", "lengths", "labels"), each, strict=True)) for each in zip(*batch(), strict=True)]
    quiet = {"report_to": [], "use_cpu": True, "disable_tqdm": True, "save_strategy": "no"}
    trainer = Trainer(
        WithLoss(build_model(spec)), TrainingArguments("run", num_train_epochs=1, **quiet), train_dataset=data
    )
    trainer.train()
    trainer.predict(data)


def checkpoint_chunks(spec: Spec) -> None:
    model, (x, _, _) = build_model(spec), batch()
    state = model.initial_state(len(x))
    expected = torch.autograd.grad(model(x).sum(), list(model.parameters()))
    for chunk in x.split(2, dim=1):
        y, state = checkpoint(model, chunk, state, return_state=True, use_reentrant=False)
    torch.testing.assert_close(torch.autograd.grad(y.sum(), list(model.parameters())), expected)


def make_private(model: nn.Module) -> None:
    x, _, labels = batch()
    private, optimizer, batches = PrivacyEngine().make_private(
        module=model,
        optimizer=torch.optim.SGD(model.parameters(), lr=0.1),
        data_loader=DataLoader(TensorDataset(x, labels), batch_size=4),
        noise_multiplier=1.0,
        max_grad_norm=1.0,
        poisson_sampling=False,
    )
    for x_batch, labels_batch in batches:
        optimizer.zero_grad()
        cross_entropy(private(x_batch), labels_batch).backward()
        optimizer.step()


def train_with_opacus(spec: Spec) -> None:
    make_private(ModuleValidator.fix(build_model(spec)))


def per_sample_gradients(spec: Spec) -> None:
    model, (x, _, _) = build_model(spec), batch()
    weights = {name: value.detach() for name, value in model.named_parameters()}

    def output(weights: dict[str, Tensor], sequence: Tensor) -> Tensor:
        scores: Tensor = functional_call(model, weights, (sequence.unsqueeze(0),)).sum()
        return scores

    each = vmap(grad(output), in_dims=(None, 0))(weights, x)
    expected = torch.autograd.grad(model(x).sum(), list(model.parameters()))
    torch.testing.assert_close(tuple(value.sum(dim=0) for value in each.values()), expected)


def ensemble(spec: Spec) -> None:
    models, (x, _, _) = [build_model(spec) for _ in range(2)], batch()
    parameters, buffers = stack_module_state(models)
    base = copy.deepcopy(models[0])
    y = vmap(lambda weights, others: functional_call(base, (weights, others), (x,)))(parameters, buffers)
    torch.testing.assert_close(y, torch.stack([model(x) for model in models]))


VMAP = "torch's kernel for this module does not support `vmap`: use the cell kind, which computes the same."
DETACH = (
    "Opacus detaches each input of a layer, and here the state is a tuple or None: use `torch.func` with the cell kind."
)
estimators = partial(Example, page="scikit_learn")
trainers = partial(Example, page="trainers")
privacy = partial(Example, page="privacy")
EXAMPLES = [
    Example(
        tool="lightning", title="Lightning: fit, checkpoint, resume, predict", page="lightning", run=fit_with_lightning
    ),
    estimators(tool="skorch", title="skorch: estimator, with lengths", run=fit_with_skorch),
    estimators(tool="scikit-learn", title="scikit-learn: grid search over specs", run=search_with_scikit_learn),
    trainers(tool="accelerate", title="Accelerate: train, save and load the state", run=train_with_accelerate),
    trainers(
        tool="pytorch-ignite",
        title="Ignite: supervised trainer, with lengths",
        run=train_with_ignite,
        adapter=with_lengths,
    ),
    trainers(tool="transformers", title="Transformers: Trainer", run=train_with_transformers, adapter=WithLoss),
    Example(title="`torch.utils.checkpoint`, in chunks", page="gradient_checkpointing", run=checkpoint_chunks),
    privacy(tool="opacus", title="Opacus: `fix`, then `make_private`", run=train_with_opacus, limit=DETACH),
    privacy(title="`torch.func`: per-sample gradients", run=per_sample_gradients, limit=VMAP),
    privacy(title="`torch.func`: ensembles by `vmap`", run=ensemble, limit=VMAP),
]
