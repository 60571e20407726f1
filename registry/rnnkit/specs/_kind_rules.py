"""The rules of a kind, which a spec must follow once each of its fields is valid by itself."""

from __future__ import annotations

import dataclasses
from functools import reduce
from typing import TYPE_CHECKING, Any

from pydantic_core import InitErrorDetails

from rnnkit._messages import describe_exception, short_repr
from rnnkit.catalog import current_catalog
from rnnkit.errors import PluginError
from rnnkit.kind import Kind, Problem
from rnnkit.options import per_layer_fields
from rnnkit.specs.plain_data import walk
from rnnkit.specs.unresolved import UnresolvedOptions, UnresolvedReadout
from rnnkit.specs.validation import pydantic_error

if TYPE_CHECKING:
    from rnnkit.specs.recurrent_spec import RecurrentSpec

_MAX_INTEGER = 2**64 - 1  # a seed of torch may have 64 bits


def kind_problems(spec: RecurrentSpec[Any]) -> list[InitErrorDetails]:
    """Return the problems that the check of the kind finds.

    Raises:
        PluginError: the check, or `features` of the kind, fails, which is a fault of the plugin.
    """
    if isinstance(spec.options, UnresolvedOptions):
        return []
    kind = current_catalog().get(spec.kind)
    if isinstance(spec.hidden_size, tuple) and not kind.sizes_per_layer:
        return [_kind_problem(spec, Problem("hidden_size", _one_size_message(kind)))]
    # first, because the check may look at the value of a layer
    if problems := _range_problems(spec) or _per_layer_problems(spec):
        return [_kind_problem(spec, problem) for problem in problems]
    try:
        problems = list(kind.check(spec)) or _tied_problems(kind, spec)
        return [_kind_problem(spec, Problem(*problem)) for problem in problems]
    except Exception as error:
        raise PluginError(
            f"The check of the kind {spec.kind!r} failed on {short_repr(spec)}: {describe_exception(error)}"
        ) from error


def _range_problems(spec: RecurrentSpec[Any]) -> list[Problem]:
    """The problems of options with integers that torch does not have, of which Python may not even have the text."""
    values = {field.name: getattr(spec.options, field.name) for field in dataclasses.fields(spec.options)}
    return [
        Problem(f"options.{name}", f"Integers should be between -{_MAX_INTEGER} and {_MAX_INTEGER}")
        for name, value in values.items()
        if any(isinstance(part, int) and abs(part) > _MAX_INTEGER for _, part in walk(value))
    ]


def _per_layer_problems(spec: RecurrentSpec[Any]) -> list[Problem]:
    """The problems of options that have one value for each layer, but another number of them."""
    values = {name: getattr(spec.options, name) for name in per_layer_fields(type(spec.options))}
    return [
        Problem(f"options.{name}", _per_layer_message(name, len(value), spec.num_layers))
        for name, value in values.items()
        if isinstance(value, tuple) and len(value) != spec.num_layers
    ]


def _per_layer_message(name: str, length: int, num_layers: int) -> str:
    return (
        f"{name} has {length} value{'s' * (length != 1)}, but num_layers={num_layers}: give one value for each layer, "
        "or one value without a list for all layers"
    )


def _tied_problems(kind: Kind, spec: RecurrentSpec[Any]) -> list[Problem]:
    """The problem of tied weights whose sizes differ, unless a plugin's readout may read other features."""
    is_own = "/" not in spec.readout and not isinstance(spec.readout, UnresolvedReadout)
    features = kind.features(spec) if spec.tie_weights and is_own and kind.features else spec.input_size
    if features == spec.input_size:
        return []
    message = (
        f"tie_weights=True requires recurrent layers with input_size={spec.input_size} features, but they have "
        f"{features}: set input_size={features}, or tie_weights to False"
    )
    return [Problem("tie_weights", message)]


def _kind_problem(spec: RecurrentSpec[Any], problem: Problem) -> InitErrorDetails:
    path = tuple(int(step) if step.isdecimal() else step for step in problem.field.split("."))
    value = reduce(_part, path, spec)
    return InitErrorDetails(type=pydantic_error("kind_rule", problem.message), loc=path, input=value)


def _part(value: Any, step: int | str) -> Any:
    """Return an item of a tuple, or an attribute."""
    return value[step] if isinstance(step, int) else getattr(value, step)


def _one_size_message(kind: Kind) -> str:
    return (
        f"The kind {kind.name!r} has one hidden_size for all layers: give one integer, or choose a kind that is a "
        "stack of cells, such as 'lstm_cell'"
    )
