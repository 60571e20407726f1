"""Options of a kind: the fields of a spec that only this kind has."""

import sys
from collections.abc import Callable, Iterator
from dataclasses import fields
from functools import wraps
from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field, TypeAdapter, ValidationError, field_validator
from pydantic.dataclasses import dataclass
from pydantic_core import PydanticCustomError
from typing_extensions import dataclass_transform

from rnnkit.options._number_or_word import number_or_word
from rnnkit.options.one_or_each import one_or_each
from rnnkit.options.per_layer import require_valid_declarations, values_of_layer
from rnnkit.options.plain_values import to_plain

# The smallest normal and the largest number of float32, in which nearly all models compute; torch is not imported here.
_SMALLEST, _LARGEST = 2.0**-126, (2 - 2.0**-23) * 2.0**127

# strict: `True` and `2.0` are not accepted as the integers 1 and 2. Spec files hold finite numbers only; if a plugin
# allows infinity or NaN in a field nevertheless, "constants" keeps it from being written as null.
_CONFIG = ConfigDict(
    extra="forbid", strict=True, validate_default=True, allow_inf_nan=False, ser_json_inf_nan="constants"
)


@dataclass_transform(kw_only_default=True, frozen_default=True, field_specifiers=(Field,))
@dataclass(frozen=True, kw_only=True, config=_CONFIG)
class Options:
    """Base class of the options of every kind. A kind without options uses it directly.

    A subclass becomes a frozen, keyword-only pydantic dataclass without a decorator. Every field needs a default, so
    that `options={}` is valid, and a hashable value, so that a spec is hashable. Numbers must be finite, so that every
    file format can represent them, and neither infinite nor subnormal in float32, in which most models compute. The
    string below a field documents it, in `rnnkit show`, in commented spec files and in the JSON Schema:

    ```python
    class MyOptions(Options):
        order: Annotated[int, Field(ge=1)] = 2
        "Order of the polynomial."
        nonlinearity: Literal["tanh", "relu"] = "tanh"
        "Activation function of the candidate state."
    ```

    Raises:
        pydantic.ValidationError: a value has the wrong type or is out of range, or the field does not exist. Types
            are strict: `True` and `2.0` are not integers.
        TypeError: a field of a subclass has no default, or an invalid or unhashable one.
    """

    @field_validator("*")
    @classmethod
    def _is_normal_in_float32(cls, value: Any) -> Any:
        for number in value if isinstance(value, tuple) else (value,):
            if isinstance(number, float) and number and not _SMALLEST <= abs(number) <= _LARGEST:
                limits = {"number": number, "smallest": f"{_SMALLEST:.3g}", "largest": f"{_LARGEST:.2g}"}
                message = "{number} is out of the range of float32: its size should be {smallest} to {largest}"
                raise PydanticCustomError("float32_range", message, limits)
        return value

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if "__firstlineno__" not in vars(cls):  # which Python 3.13 sets: tells apart classes of one name in a file
            cls.__firstlineno__ = sys._getframe(1).f_lineno  # type: ignore[attr-defined]  # noqa: SLF001  # the class statement
        dataclass(cls, frozen=True, kw_only=True, config=_CONFIG)
        cls.__init__ = _with_plain_arguments(cls.__init__)  # type: ignore[method-assign]
        try:
            hash(defaults := cls())
        except (TypeError, ValidationError) as error:
            raise TypeError(
                f"Each field of {cls.__name__} needs a valid and hashable default (a tuple, not a list): {error}"
            ) from error
        require_valid_declarations(defaults)


def _with_plain_arguments(init: Callable[..., None]) -> Callable[..., None]:
    # Not a validator of pydantic: one that runs before the fields' own turns JSON into Python values, among which
    # strict mode refuses a list for a tuple.
    @wraps(init)
    def with_plain_arguments(self: Options, *args: Any, **kwargs: Any) -> None:
        init(self, *args, **to_plain(kwargs))

    return with_plain_arguments


def plain_defaults(cls: type[Options]) -> dict[str, Any]:
    """Return the defaults of a kind's options as plain data, as in a spec file."""
    defaults: dict[str, Any] = TypeAdapter(cls).dump_python(cls(), mode="json")
    return defaults


def own_fields(options: Options, base: type[Options]) -> dict[str, Any]:
    """Return the fields, with their values, that options add to those of a base class."""
    names = {field.name for field in fields(options)} - {field.name for field in fields(base)}
    return {name: getattr(options, name) for name in sorted(names)}


_Probability = Annotated[float, Field(ge=0, lt=1, strict=True, allow_inf_nan=False)]
_Probabilities = tuple[_Probability, ...]


class InitOptions(Options):
    """Initialization of the recurrent weights."""

    recurrent_init: Literal["default", "orthogonal"] = "default"
    """Initialization of the recurrent weights: `"default"` is uniform in +-1 / sqrt(hidden_size), as in torch;
    `"orthogonal"` makes the block of each gate an orthogonal matrix (Saxe et al., arXiv 1312.6120)."""


_Bias = Annotated[float, Field(strict=True, allow_inf_nan=False)]
_Chrono = Literal["chrono"]


class ForgetBiasOptions(InitOptions):
    """Initialization of the recurrent weights and of the bias of the forget gate."""

    forget_bias: Annotated[_Bias | _Chrono, number_or_word(_Bias, _Chrono)] | None = None
    """Initial bias of the forget gate, the sum of both of its biases (1 in Jozefowicz et al., 2015); `"chrono"` draws
    it for each feature as log(u), with u uniform in [1, chrono_length - 1], and sets that of the input gate to its
    negative (Tallec and Ollivier, arXiv 1804.11188); None: initialized like every other bias. For cells with a forget
    gate."""
    chrono_length: Annotated[int, Field(ge=3)] | None = None
    """Number of steps of the longest dependencies, which `forget_bias="chrono"` requires."""

    def chrono_problems(self) -> Iterator[tuple[str, str]]:
        """Yield the field and the message of each problem with `chrono_length`, for the check of a kind."""
        if self.forget_bias == "chrono" and self.chrono_length is None:
            message = "forget_bias='chrono' requires chrono_length, the number of steps of the longest dependencies"
            yield "options.forget_bias", message
        if self.forget_bias != "chrono" and self.chrono_length is not None:
            message = f"chrono_length={self.chrono_length} has no effect without forget_bias='chrono'; leave it at None"
            yield "options.chrono_length", message


class StackOptions(ForgetBiasOptions):
    """Options of every kind that is a stack of cells, and the base class of such a kind's own options.

    Creating a spec fails if its cell does not support one of these options. The order of operations in a layer is:
    dropout of the layer's input, the cell, `layer_norm="output"`, and the residual sum with the input before dropout.
    """

    learn_initial_state: bool = False
    """Whether the initial state is a learned parameter, initialized to zero, instead of always zero."""
    layer_norm: Literal["none", "output", "gates"] = "none"
    """`"output"` normalizes the output of each layer over its features, with the directions concatenated, and leaves
    the states unchanged; `"gates"` normalizes inside the gates (Ba et al., arXiv 1607.06450), for cells that support
    it."""
    residual: bool = False
    """Whether each layer except the first adds its input to its output; requires layers of one size."""
    variational_dropout: bool = False
    """Whether the spec's `dropout` uses one mask for all steps of a sequence in one call (Gal and Ghahramani, arXiv
    1512.05287) instead of a new mask at each step."""
    time_feature: Annotated[int, Field(ge=0)] | None = None
    """Index of the input feature that holds the time since the previous step, which the cells of all layers take as
    such and not as a feature, for cells that model time; None: each step takes one unit of time. Times should be
    positive, which is not checked. The reverse direction takes the time between the same two steps of the sequence, and
    for the step that it reads first the time of the first step."""
    recurrent_dropout: _Probability = 0.0
    """Probability, in [0, 1), of zeroing a feature of the hidden state that the gates read, in training and with one
    mask for all steps (Gal and Ghahramani, arXiv 1512.05287). For cells that read their hidden state only through
    matrix products."""
    zoneout: Annotated[_Probability | _Probabilities, one_or_each(_Probability, _Probabilities)] = 0.0
    """Probability, in [0, 1), that a feature of the state keeps its value from the previous step in training (Krueger
    et al., arXiv 1606.01305); in evaluation the two values are averaged with these weights. One number for the whole
    state, or a tuple with one number for each of its parts, in their order: `(0.05, 0.5)` for `(h, c)`."""

    def of_layer(self, layer: int) -> dict[str, Any]:
        """Return the options that the kind adds to `StackOptions`, by name, as the cells of one layer get them.

        Args:
            layer: the layer, counted from zero, whose value of each `PerLayer` option is returned.
        """
        return values_of_layer(own_fields(self, StackOptions), type(self), layer)
