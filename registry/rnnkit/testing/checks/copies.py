"""What a kind promises of its models as things to copy, send and keep."""

from __future__ import annotations

import copy
import io
import pickle
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch

from rnnkit import RecurrentModel, build_model, load_model, save_model, verify_model
from rnnkit.testing.check import check
from rnnkit.testing.check_context import Case, CheckContext
from rnnkit.testing.picklable import has_global_name


@check("systems")
def state_dict_round_trip(context: CheckContext) -> None:
    """A model that loads the `state_dict` of another computes what that one does, whatever it has computed before.

    A weight is no parameter or buffer of the module, or something that was made of the weights is kept between calls.
    """
    for case in context.cases():
        model, expected = _model(case)
        torch.manual_seed(10)
        twin = build_model(case.spec, dtype=torch.float64).eval()
        _results(twin, case)
        twin.load_state_dict(model.state_dict(), strict=True)
        context.equal(_results(twin, case), expected, "after load_state_dict, of the other model, the output and state")


@check("systems")
def deep_copy_is_independent(context: CheckContext) -> None:
    """A deep copy computes what the original does, and a change of the weights of either leaves the other as it is.

    A function that was made in the constructor reads the weights of the module in which it was made.
    """
    for case in context.cases():
        model, expected = _model(case)
        first, second = copy.deepcopy(model), copy.deepcopy(model)
        context.equal(_results(first, case), expected, "of a deep copy, the output and state")
        _change_weights(first)
        context.equal(_results(model, case), expected, "after a change of its copy, the output and state")
        _change_weights(model)
        context.equal(
            _results(second, case), expected, "of a copy after a change of the original, the output and state"
        )
        context.equal(_results(model, case), _results(first, case), "after the same change, the output and state")


@check("systems")
def pickle_round_trip(context: CheckContext) -> None:
    """A model comes back from `pickle`, and from `torch.save` and `torch.load`, and computes the same.

    It holds a lambda, or a class or function that was made inside a function.
    """
    for case in context.cases():
        model, expected = _model(case)
        _check_classes(context, model)
        for way, through in (("pickle", _through_pickle), ("torch.save", _through_torch)):
            context.equal(_results(through(model), case), expected, f"after {way}, the output and state")


@check("systems")
def checkpoint_round_trip(context: CheckContext) -> None:
    """`load_model` gives back what `save_model` wrote, and `verify_model` finds that it computes the same.

    A weight is no parameter or buffer of the module, or a layer is not always made from the spec alone.
    """
    with TemporaryDirectory() as folder:
        path = Path(folder) / "model.safetensors"
        for case in context.cases():
            model, expected = _model(case)
            save_model(model, path)
            twin = load_model(path).eval()
            context.that(twin.spec == case.spec, f"after load_model the spec is {twin.spec!r}")
            context.equal(_results(twin, case), expected, "after load_model, the output and state")
            verification = verify_model(path)
            context.that(verification.ok, f"verify_model says {verification}")


def _model(case: Case) -> tuple[RecurrentModel, Any]:
    """A model that has run already, and what it computes."""
    model = case.model()
    return model, _results(model, case)


def _check_classes(context: CheckContext, model: RecurrentModel) -> None:
    """A kind of this process alone may be of classes that were made in a function; a plugin may not."""
    unfound = [cls.__qualname__ for cls in map(type, model.modules()) if not has_global_name(cls)]
    context.needs(
        not unfound or not context.kind_under_test.is_local, f"pickle finds classes of modules only, not {unfound}"
    )


def _results(model: RecurrentModel, case: Case) -> Any:
    return model(case.input(), return_state=True)


@torch.no_grad()
def _change_weights(model: RecurrentModel) -> None:
    for parameter in model.parameters():
        parameter.add_(0.1)


def _through_pickle(model: RecurrentModel) -> RecurrentModel:
    twin: RecurrentModel = pickle.loads(pickle.dumps(model))  # noqa: S301  # of what stands beside it
    return twin


def _through_torch(model: RecurrentModel) -> RecurrentModel:
    file = io.BytesIO()
    torch.save(model, file)
    file.seek(0)
    twin: RecurrentModel = torch.load(file, weights_only=False)
    return twin
