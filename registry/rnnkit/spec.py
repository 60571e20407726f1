"""What a model is, before it exists."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from functools import cache, reduce
from typing import TYPE_CHECKING, Annotated, Any, Generic, Literal, overload

from pydantic import (
    ConfigDict,
    Field,
    SerializeAsAny,
    TypeAdapter,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)
from pydantic.dataclasses import dataclass
from pydantic_core import ArgsKwargs, InitErrorDetails, PydanticSerializationError, to_json
from typing_extensions import TypeVar

from rnnkit.catalog import current_catalog
from rnnkit.errors import PluginError, UnknownKindError
from rnnkit.explain import did_you_mean, said
from rnnkit.kind import Kind, Problem
from rnnkit.options import Options, one_or_each
from rnnkit.stack_options import StackOptions
from rnnkit.validation import explain_unknown_fields, refused

O_co = TypeVar("O_co", bound=Options, default=Any, covariant=True)

ReadoutName = Literal["last", "mean", "max", "all"]

# strict: `True`, `2.0` and `"2"` are not taken for the integer that they resemble.
_Size = Annotated[int, Field(ge=1, strict=True)]
_Sizes = Annotated[tuple[_Size, ...], Field(min_length=1)]
_Flag = Annotated[bool, Field(strict=True)]
_Probability = Annotated[float, Field(ge=0, le=1, strict=True, allow_inf_nan=False)]


@dataclass(frozen=True, kw_only=True, repr=False, config=ConfigDict(extra="forbid"))
class RecurrentSpec(Generic[O_co]):
    """A recurrent model in words: what `build_model` builds.

    Frozen, hashable, comparable and picklable; change one with `dataclasses.replace`. Making a spec looks up its
    kind, and so imports the plugin of that kind, and no other.

    Attributes:
        kind: the registered name of a family of recurrent networks; `list_kinds()` lists them.
        input_size: features of the input at one step.
        hidden_size: features of the hidden state of each layer and direction; for kinds that are stacks of cells also a
            tuple with one size for each layer.
        output_size: features of the model's output; None: no linear layer, the readout is the output.
        num_layers: layers on top of each other, each reading the one below.
        bias: whether the recurrent layers have biases. The readout's linear layer always has one.
        batch_first: whether input and output are `(batch, time, features)`, or `(time, batch, features)`.
            True by default, where PyTorch's default is False.
        dropout: probability with which the output of each layer but the last is zeroed in training, in [0, 1].
        bidirectional: whether each layer also reads the sequence backwards; the two outputs are concatenated.
        readout: how the output over time becomes one output: `"last"` valid step, `"mean"` or `"max"` over
            the valid steps, or `"all"` steps.
        options: what only this kind has, as a mapping or as the kind's own options object. The spec holds the
            typed object afterwards.

    Raises:
        pydantic.ValidationError: one or more fields are wrong; lists all of them.
        PluginError: the plugin of the kind does not keep the contract of plugins.
    """

    kind: str
    input_size: _Size
    hidden_size: Annotated[_Size | _Sizes, one_or_each(_Size, _Sizes)]
    output_size: _Size | None = None
    num_layers: Annotated[_Size, Field(validate_default=True)] = 1
    bias: _Flag = True
    batch_first: _Flag = True
    dropout: _Probability = 0.0
    bidirectional: _Flag = False
    readout: ReadoutName = "last"
    options: Annotated[SerializeAsAny[O_co], Field(validate_default=True)] = dataclasses.field(default_factory=dict)  # type: ignore[assignment]  # a mapping goes in, the validator makes it O_co

    if TYPE_CHECKING:

        @overload
        def __init__(
            self,
            *,
            kind: str,
            input_size: int,
            hidden_size: int | tuple[int, ...],
            output_size: int | None = None,
            num_layers: int = 1,
            bias: bool = True,
            batch_first: bool = True,
            dropout: float = 0.0,
            bidirectional: bool = False,
            readout: ReadoutName = "last",
            options: Mapping[str, Any] = ...,
        ) -> None: ...
        @overload
        def __init__(
            self,
            *,
            kind: str,
            input_size: int,
            hidden_size: int | tuple[int, ...],
            output_size: int | None = None,
            num_layers: int = 1,
            bias: bool = True,
            batch_first: bool = True,
            dropout: float = 0.0,
            bidirectional: bool = False,
            readout: ReadoutName = "last",
            options: O_co,
        ) -> None: ...
        def __init__(self, **fields: Any) -> None: ...

    @field_validator("kind")
    @classmethod
    def _kind_is_installed(cls, name: str) -> str:
        try:
            return current_catalog().canonical(name)
        except UnknownKindError as error:
            raise refused("unknown_kind", str(error)) from error

    @field_validator("num_layers")
    @classmethod
    def _each_layer_has_a_size(cls, num_layers: int, info: ValidationInfo) -> int:
        sizes = info.data.get("hidden_size")
        if isinstance(sizes, tuple) and len(sizes) != num_layers:
            raise refused(
                "sizes_of_layers",
                f"hidden_size={sizes} has one size for each layer, but num_layers={num_layers}: say "
                f"num_layers={len(sizes)}, or give as many sizes as there are layers",
            )
        return num_layers

    @field_validator("dropout")
    @classmethod
    def _dropout_has_layers_to_act_between(cls, dropout: float, info: ValidationInfo) -> float:
        if dropout > 0 and info.data.get("num_layers") == 1:
            raise refused(
                "dropout_with_one_layer",
                "Dropout acts between layers, so with num_layers=1 it does nothing: "
                "set num_layers to 2 or more, or dropout to 0",
            )
        return dropout

    @field_validator("options", mode="plain")
    @classmethod
    def _options_belong_to_the_kind(cls, options: object, info: ValidationInfo) -> object:
        if "kind" not in info.data:  # refused already, and nobody knows which options it would have
            return options
        kind = current_catalog().get(info.data["kind"])
        if type(options) is kind.options:  # a subclass would be another kind's: every class derives from Options
            return options
        if not isinstance(options, Mapping):
            raise refused("wrong_options", _wrong_options(kind))
        try:
            return _make_options(kind.options, options)
        except ValidationError as error:
            raise explain_unknown_fields(error, lambda name: _no_such_option(name, kind)) from None

    @model_validator(mode="wrap")
    @classmethod
    def _all_problems_at_once(cls, data: Any, validate: Callable[[Any], RecurrentSpec[O_co]]) -> RecurrentSpec[O_co]:
        try:
            spec = validate(data)
        except ValidationError as error:
            raise explain_unknown_fields(error, lambda name: _no_such_field(name, data)) from None
        problems = _broken_rules(spec)
        if problems:
            raise ValidationError.from_exception_data("RecurrentSpec", problems)
        return spec

    @property
    def hidden_sizes(self) -> tuple[int, ...]:
        """The hidden size of each layer, from the bottom up."""
        return self.hidden_size if isinstance(self.hidden_size, tuple) else (self.hidden_size,) * self.num_layers

    @property
    def directions(self) -> int:
        """2 if `bidirectional`, else 1."""
        return 2 if self.bidirectional else 1

    def __repr__(self) -> str:
        """The call that makes this spec again; options as plain data, so that it can be pasted without an import."""
        return f"RecurrentSpec({', '.join(f'{name}={value!r}' for name, value in self.to_dict().items())})"

    def to_dict(self) -> dict[str, Any]:
        """Every field as plain data: strings, numbers, booleans, None, and a dictionary for the options."""
        plain: dict[str, Any] = _adapter().dump_python(self, mode="json")
        return plain

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> RecurrentSpec[Any]:
        """The spec that `to_dict` wrote; fields that are left out take their defaults.

        Raises:
            pydantic.ValidationError: one or more fields are wrong; lists all of them.
        """
        return _adapter().validate_python(data)

    def to_json(self, *, indent: int | None = None) -> str:
        """Every field as a JSON object; `indent` spaces a level, None: on one line."""
        return _adapter().dump_json(self, indent=indent).decode()

    @classmethod
    def from_json(cls, text: str | bytes) -> RecurrentSpec[Any]:
        """The spec that `to_json` wrote; fields that are left out take their defaults.

        Raises:
            pydantic.ValidationError: the text is not JSON, or fields are wrong; lists all of them.
        """
        return _adapter().validate_json(text)


@cache
def _adapter() -> TypeAdapter[RecurrentSpec[Any]]:
    return TypeAdapter(RecurrentSpec)


def _make_options(cls: type[Options], values: Mapping[Any, Any]) -> Options:
    """Options from Python values or, where those do not fit, from plain data, as `to_dict` writes it.

    Plain data has a list for a tuple and a string for an enumeration's member; pydantic's strict mode takes them from
    JSON only.
    """
    try:
        return cls(**{str(name): value for name, value in values.items()})
    except ValidationError as error:
        try:
            return TypeAdapter(cls).validate_json(to_json(values))
        except PydanticSerializationError:
            raise error from None
        except ValidationError as error_of_plain_data:
            raise (error_of_plain_data if _minds_lists(error) else error) from None


def _minds_lists(error: ValidationError) -> bool:
    """Whether an error is about lists in the place of tuples, which hide what is wrong in them."""
    return any(line["type"] == "tuple_type" and isinstance(line["input"], list) for line in error.errors())


def _broken_rules(spec: RecurrentSpec[Any]) -> list[InitErrorDetails]:
    """What the kind's own check finds. A check that fails by itself is the plugin's mistake, not the user's."""
    kind = current_catalog().get(spec.kind)
    if isinstance(spec.hidden_size, tuple) and not kind.sizes_per_layer:
        return [_broken_rule(spec, Problem("hidden_size", _one_size(kind)))]
    try:
        problems = list(kind.check(spec))
        return [_broken_rule(spec, Problem(*problem)) for problem in problems]
    except Exception as error:
        raise PluginError(f"The check of the kind {spec.kind!r} failed on {spec!r}: {said(error)}") from error


def _broken_rule(spec: RecurrentSpec[Any], problem: Problem) -> InitErrorDetails:
    path = problem.field.split(".")
    return InitErrorDetails(
        type=refused("kind_rule", problem.message), loc=tuple(path), input=reduce(getattr, path, spec)
    )


def _one_size(kind: Kind) -> str:
    return (
        f"The kind {kind.name!r} has one hidden_size for all layers: give one integer, or choose a kind that is a "
        "stack of cells, such as 'lstm_cell'"
    )


def _field_names(dataclass: Any) -> list[str]:
    return [field.name for field in dataclasses.fields(dataclass)]


def _no_such_field(name: str, data: Any) -> str:
    given = (data.kwargs or {}) if isinstance(data, ArgsKwargs) else data
    kind = given.get("kind")
    chosen = current_catalog().resolve(kind).chosen if isinstance(kind, str) else None
    if chosen is not None and name in _field_names(current_catalog().get(chosen.name).options):
        return f"{name!r} is an option of the kind {kind!r}: write options={{{name!r}: ...}}"
    return f"A RecurrentSpec has no field {name!r}.{did_you_mean(name, _field_names(RecurrentSpec))}"


def _no_such_option(name: str, kind: Kind) -> str:
    names = _field_names(kind.options)
    if name in _field_names(StackOptions):
        return f"The kind {kind.name!r} has no option {name!r}. Stacks of cells have it, such as 'lstm_cell'"
    has = f"Its options: {', '.join(names)}" if names else "It has no options"
    return f"The kind {kind.name!r} has no option {name!r}.{did_you_mean(name, names)} {has}"


def _wrong_options(kind: Kind) -> str:
    return (
        f"The kind {kind.name!r} takes a mapping or an object of its own class {kind.options.__name__} here; "
        "options={} means its defaults. To change the kind of a spec, give options as well: "
        f"dataclasses.replace(spec, kind={kind.name!r}, options={{}})"
    )
