"""Copies, pickles and checkpoints of a model."""

from __future__ import annotations

import copy
import io
import pickle
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch

from rnnkit import RecurrentModel, build_model, load_model, save_model, verify_model
from rnnkit.testing._check import check
from rnnkit.testing._context import Case, CheckContext
from rnnkit.testing._seeding import seed_generators
from rnnkit.testing.kind_under_test import is_importable


@check("systems")
def state_dict_round_trip(context: CheckContext) -> None:
    """A model that loads the `state_dict` of another model gives the same results, also after earlier calls.

    A weight is not a parameter or buffer of the module, or a value computed from the weights is cached between calls.
    """
    for case in context.cases():
        model, expected = _model(case)
        seed_generators(10)
        twin = build_model(case.spec, dtype=torch.float64).eval()
        _results(twin, case)
        twin.load_state_dict(model.state_dict(), strict=True)
        context.assert_equal(_results(twin, case), expected, "after load_state_dict, the output and state")


@check("systems")
def deep_copy_is_independent(context: CheckContext) -> None:
    """A deep copy gives the same results, and changing the weights of one does not change the other.

    A closure created in the constructor reads the weights of the original module.
    """
    for case in context.cases():
        model, expected = _model(case)
        first, second = copy.deepcopy(model), copy.deepcopy(model)
        context.assert_equal(_results(first, case), expected, "after deepcopy, the output and state")
        _change_weights(first)
        what = "the output and state of"
        context.assert_equal(_results(model, case), expected, f"after changing the copy, {what} the original")
        _change_weights(model)
        context.assert_equal(_results(second, case), expected, f"after changing the original, {what} a copy")
        changed = _results(first, case)
        context.assert_equal(_results(model, case), changed, f"after the same change of both, {what} the original")


@check("systems")
def pickle_round_trip(context: CheckContext) -> None:
    """`pickle`, and `torch.save` with `torch.load`, restore a model that gives the same results.

    The model holds a lambda, or a class or function that was defined inside a function.
    """
    for case in context.cases():
        model, expected = _model(case)
        # a kind of this process may have classes that are local to a function; a plugin may not
        local = [each.__qualname__ for each in map(type, model.modules()) if not is_importable(each)]
        given = not local or not context.kind.is_local
        context.skip_unless(given, f"pickle cannot find classes defined inside a function: {local}")
        copies = {"pickle": pickle.loads(pickle.dumps(model)), "torch.save": through_torch(model, weights_only=False)}  # noqa: S301  # dumped on the same line
        for method, twin in copies.items():
            context.assert_equal(_results(twin, case), expected, f"after {method}, the output and state")


@check("systems")
def checkpoint_round_trip(context: CheckContext) -> None:
    """`load_model` restores the model that `save_model` wrote, and `verify_model` confirms its outputs.

    A weight is not a parameter or buffer of the module, or a layer depends on something other than the spec.
    """
    with TemporaryDirectory() as folder:
        path = Path(folder) / "model.safetensors"
        for case in context.cases():
            model, expected = _model(case)
            save_model(model, path)
            twin = load_model(path).eval()
            context.assert_true(twin.spec == case.spec, f"after load_model, the spec is {twin.spec!r}")
            context.assert_equal(_results(twin, case), expected, "after load_model, the output and state")
            verification = verify_model(path)
            context.assert_true(verification.ok, f"verify_model reports {verification}")


def _model(case: Case) -> tuple[RecurrentModel, Any]:
    """A model after a first call, and the results of that call."""
    model = case.model()
    return model, _results(model, case)


def _results(model: RecurrentModel, case: Case) -> Any:
    return model(case.input(), return_state=True)


@torch.no_grad()
def _change_weights(model: RecurrentModel) -> None:
    for parameter in model.parameters():
        parameter.add_(0.1)


def through_torch(value: Any, *, weights_only: bool) -> Any:
    """The value after `torch.save` and `torch.load`."""
    file = io.BytesIO()
    torch.save(value, file)
    file.seek(0)
    return torch.load(file, weights_only=weights_only)
