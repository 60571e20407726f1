"""The options of a kind: the fields of a spec that only this kind has."""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import fields
from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field, TypeAdapter, ValidationError, WrapValidator
from pydantic.dataclasses import dataclass
from typing_extensions import dataclass_transform

# With its first schema pydantic looks for its own plugins in the entry points of all distributions. That raises if
# those of a single one cannot be read, but only once: here, so that no class of ours is in its way.
with suppress(Exception):
    TypeAdapter(int)

# strict: `True` and `2.0` are not taken for the integers 1 and 2. Files have no numbers that are not finite; if there
# is one all the same, it must not be written as null.
_CONFIG = ConfigDict(
    extra="forbid", strict=True, validate_default=True, allow_inf_nan=False, ser_json_inf_nan="constants"
)


@dataclass_transform(kw_only_default=True, frozen_default=True, field_specifiers=(Field,))
@dataclass(frozen=True, kw_only=True, config=_CONFIG)
class Options:
    """Base class of every kind's options; used as it is by a kind that has none.

    A subclass becomes a frozen, keyword-only pydantic dataclass without a decorator. Its fields have defaults, so
    that `options={}` always means something, and hashable values, so that a spec has a hash; numbers are finite, so
    that every file can hold them:

    ```python
    class MyOptions(Options):
        order: Annotated[int, Field(ge=1)] = 2
        nonlinearity: Literal["tanh", "relu"] = "tanh"
    ```

    Raises:
        pydantic.ValidationError: a value of the wrong type or range, or a field that does not exist. Types
            are strict: no `True` or `2.0` for an integer.
        TypeError: a subclass breaks the rules above.
    """

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        dataclass(cls, frozen=True, kw_only=True, config=_CONFIG)
        try:
            hash(cls())
        except (TypeError, ValidationError) as error:
            raise TypeError(
                f"Each field of {cls.__name__} needs a valid and hashable default (a tuple, not a list): {error}"
            ) from error


def one_or_each(one: Any, each: Any) -> WrapValidator:
    """The validator of a field that takes one value, or a list or tuple of them, which it keeps as a tuple.

    A union alone would answer one wrong value with a line for each of its branches.

    Args:
        one: the type of one value.
        each: that of a tuple of them.
    """
    of_one: TypeAdapter[Any] = TypeAdapter(one)
    of_each: TypeAdapter[Any] = TypeAdapter(each)

    def validated(value: Any, _union: Callable[[Any], Any]) -> Any:
        return (of_each if isinstance(value, list | tuple) else of_one).validate_python(value)

    return WrapValidator(validated)


def plain_defaults(cls: type[Options]) -> dict[str, Any]:
    """The defaults of a kind's options, as a file has them."""
    defaults: dict[str, Any] = TypeAdapter(cls).dump_python(cls(), mode="json")
    return defaults


def own_fields(options: Options, base: type[Options]) -> dict[str, Any]:
    """The fields that options have beyond those of a base class, with their values."""
    names = {field.name for field in fields(options)} - {field.name for field in fields(base)}
    return {name: getattr(options, name) for name in sorted(names)}


_Probability = Annotated[float, Field(ge=0, lt=1, strict=True, allow_inf_nan=False)]
_Probabilities = tuple[_Probability, ...]


class InitOptions(Options):
    """How the recurrent weights start.

    Attributes:
        recurrent_init: `"default"`, which is uniform in +-1 / sqrt(hidden_size) as in torch, or `"orthogonal"`: the
            block of each gate is an orthogonal matrix (Saxe et al., arXiv 1312.6120).
    """

    recurrent_init: Literal["default", "orthogonal"] = "default"


class StackOptions(InitOptions):
    """The options of every kind that is a stack of cells; the base of such a kind's own options.

    What a cell cannot honour is refused when the spec is made. Between two layers things happen in this order: dropout
    of what the upper cell reads, the cell, `layer_norm="output"`, and the sum with what came in, undropped.

    Attributes:
        forget_bias: what the bias of the forget gate starts at, both of its biases together (1 in Jozefowicz et al.,
            2015); None: as every other bias. For cells that have such a gate.
        learn_initial_state: whether the initial state is a parameter, which starts at zero, rather than zero.
        layer_norm: `"output"` normalizes the output of each layer over its features, both directions together, and
            leaves the states as they are; `"gates"` normalizes inside the gates (Ba et al., arXiv 1607.06450), for
            cells that offer it.
        residual: whether each layer but the first adds what it reads to its output; needs layers of one size.
        variational_dropout: whether the spec's `dropout` draws one mask for all steps of a row in one call (Gal and
            Ghahramani, arXiv 1512.05287) instead of a new one at each step.
        recurrent_dropout: probability with which a feature of the hidden state that the gates read is zeroed in
            training, with one mask for all steps (the same paper), in [0, 1). For cells whose hidden state is read by
            matrix products only.
        zoneout: probability with which a feature of the state keeps its value from the step before (Krueger et al.,
            arXiv 1606.01305), in [0, 1); in evaluation the two values are averaged with these weights. One number for
            the whole state, or a tuple with one for each of its parts in their order: `(0.05, 0.5)` for `(h, c)`.
    """

    forget_bias: Annotated[float, Field(allow_inf_nan=False)] | None = None
    learn_initial_state: bool = False
    layer_norm: Literal["none", "output", "gates"] = "none"
    residual: bool = False
    variational_dropout: bool = False
    recurrent_dropout: _Probability = 0.0
    zoneout: Annotated[_Probability | _Probabilities, one_or_each(_Probability, _Probabilities)] = 0.0
