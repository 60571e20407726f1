"""`RecurrentSpec`: the configuration of a model."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from functools import cache
from typing import TYPE_CHECKING, Annotated, Any, Generic, NamedTuple, overload

from pydantic import (
    AfterValidator,
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

from rnnkit import _display
from rnnkit._messages import did_you_mean, join_names, short_repr
from rnnkit.catalog import current_catalog
from rnnkit.deprecation import warn_of_kind
from rnnkit.errors import AmbiguousKindError, BlockedKindError, PluginError, UnknownKindError
from rnnkit.kind import Kind
from rnnkit.options import Options, StackOptions
from rnnkit.options.one_or_each import one_or_each
from rnnkit.options.plain_values import plain_fields
from rnnkit.specs._kind_rules import kind_problems
from rnnkit.specs.unresolved import UnresolvedOptions, UnresolvedReadout, name_elsewhere
from rnnkit.specs.validation import explain_unknown_fields, first_problems, pydantic_error

O_co = TypeVar("O_co", bound=Options, default=Any, covariant=True)

_MAX_SIZE = 2**63 - 1  # of torch


def _has_63_bits(size: int) -> int:
    """Check the limit of torch, which is not a part of the type that tables and forms show."""
    if size > _MAX_SIZE:
        raise pydantic_error("less_than_equal", f"Input should be less than or equal to {_MAX_SIZE}")
    return size


# strict: `True`, `2.0` and `"2"` are not integers.
_Size = Annotated[int, Field(ge=1, strict=True), AfterValidator(_has_63_bits)]
_Layers = Annotated[int, Field(ge=1, le=100_000, strict=True)]  # `hidden_sizes` has an entry for each
_Sizes = Annotated[tuple[_Size, ...], Field(min_length=1)]
_Flag = Annotated[bool, Field(strict=True)]
_Probability = Annotated[float, Field(ge=0, le=1, strict=True, allow_inf_nan=False)]
_Scalar = int | float | bool | str | None
# An entry of the option `cells` of `mixed`; tyro does not parse fields whose type contains `Any`.
_Entry = str | dict[str, str | dict[str, _Scalar]]
_OptionValue = _Scalar | tuple[float, ...] | tuple[str, ...] | tuple[_Entry, ...]


def _enumerate_readouts(schema: dict[str, Any]) -> None:
    """The JSON Schema of `readout`: the names that are installed."""
    schema["enum"] = current_catalog().readouts.names()


class _Context(NamedTuple):
    """The context of a validation.

    Attributes:
        allow_unresolved: whether kinds and readouts need not be available.
        lists_all: whether the error lists all problems, of which a hostile file can have thousands.
    """

    allow_unresolved: bool = False
    lists_all: bool = False


_may_be_unresolved = ContextVar("_may_be_unresolved", default=False)  # whether the current validation does


@dataclass(frozen=True, kw_only=True, repr=False, config=ConfigDict(extra="forbid", ser_json_inf_nan="constants"))
class RecurrentSpec(Generic[O_co]):
    """Configuration of a recurrent model; `build_model` builds it.

    Frozen, hashable, comparable and picklable; use `dataclasses.replace` to change one. Creating a spec resolves its
    kind, and imports the plugin of that kind only.

    Raises:
        pydantic.ValidationError: one or more fields are invalid; the error lists all of them, or the first twenty and
            the number of the others.
        PluginError: the plugin of the kind is broken.

    Warns:
        DeprecatedKindWarning: the plugin has renamed the kind, and the spec has the new name, or has deprecated it.
    """

    kind: str
    """Registered name of a family of recurrent networks; see `list_kinds()`."""
    input_size: _Size
    """Number of input features at each step."""
    hidden_size: Annotated[_Size | _Sizes, one_or_each(_Size, _Sizes)]
    """Number of features of the hidden state, in each layer and direction; kinds that are stacks of cells also accept
    a tuple with one size for each layer."""
    output_size: _Size | None = None
    """Number of output features of the model; None: no linear layer, the output has the features of the backbone."""
    num_layers: Annotated[_Layers, Field(validate_default=True)] = 1
    """Number of stacked layers, each of which reads the output of the one below; at most 100,000."""
    bias: _Flag = True
    """Whether the recurrent layers have biases. The linear layer of the readout always has one."""
    batch_first: _Flag = True
    """Whether input and output are `(batch, time, features)` rather than `(time, batch, features)`. The default is
    True; in PyTorch it is False."""
    dropout: _Probability = 0.0
    """Probability, in [0, 1], of zeroing an output feature of each layer except the last in training."""
    bidirectional: _Flag = False
    """Whether each layer also reads the sequence backward; the two outputs are concatenated."""
    readout: Annotated[str, Field(strict=True, validate_default=True, json_schema_extra=_enumerate_readouts)] = "last"
    """Registered name of the readout, which turns the output over time into the output of the model: the `"last"` valid
    step, the `"mean"` or `"max"` over the valid steps, `"all"` steps, or one of a plugin; see `list_readouts()`."""
    readout_dropout: _Probability = 0.0
    """Probability, in [0, 1], of zeroing a feature that the linear layer of the readout reads in training; requires an
    `output_size`."""
    num_embeddings: _Size | None = None
    """Size of the vocabulary, for a model that reads token ids: an embedding of `input_size` features precedes the
    recurrent layers, and the input is an integer tensor `(batch, time)`. None: the input is floating-point features."""
    padding_idx: Annotated[int, Field(ge=0, strict=True), AfterValidator(_has_63_bits)] | None = None
    """Token id whose embedding is initialized to zero and receives no gradient, except from the linear layer with
    `tie_weights`; requires `num_embeddings`. Tokens past the length of a sequence never have an effect."""
    tie_weights: _Flag = False
    """Whether the linear layer of the readout and the embedding share one weight; requires `output_size` equal to
    `num_embeddings`, and as many features of the recurrent layers as `input_size`."""
    if TYPE_CHECKING:
        options: O_co
        """Options that only this kind has, as a mapping or as an instance of the kind's options class. The spec stores
        the typed instance."""
    else:  # config tools read this annotation; the validator accepts more, and returns an instance of O_co
        options: Annotated[SerializeAsAny[dict[str, _OptionValue]], Field(validate_default=True)] = dataclasses.field(
            default_factory=dict
        )

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
            readout: str = "last",
            readout_dropout: float = 0.0,
            num_embeddings: int | None = None,
            padding_idx: int | None = None,
            tie_weights: bool = False,
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
            readout: str = "last",
            readout_dropout: float = 0.0,
            num_embeddings: int | None = None,
            padding_idx: int | None = None,
            tie_weights: bool = False,
            options: O_co,
        ) -> None: ...
        def __init__(self, **fields: Any) -> None: ...

    @field_validator("kind")
    @classmethod
    def _kind_is_installed(cls, name: str) -> str:
        try:
            return _current_name(name)
        except (BlockedKindError, UnknownKindError) as error:
            elsewhere = name_elsewhere(name) if _may_be_unresolved.get() else None
            if elsewhere is not None:
                return elsewhere
            if isinstance(error, BlockedKindError):
                raise
            raise pydantic_error("unknown_kind", str(error)) from error

    @field_validator("num_layers")
    @classmethod
    def _has_a_size_for_each_layer(cls, num_layers: int, info: ValidationInfo) -> int:
        sizes = info.data.get("hidden_size")
        if isinstance(sizes, tuple) and len(sizes) != num_layers:
            raise pydantic_error(
                "sizes_of_layers",
                f"hidden_size={short_repr(sizes)} has one size for each layer, but num_layers={num_layers}: set "
                f"num_layers={len(sizes)}, or give as many sizes as there are layers",
            )
        return num_layers

    @field_validator("dropout")
    @classmethod
    def _dropout_has_an_effect(cls, dropout: float, info: ValidationInfo) -> float:
        if dropout > 0 and info.data.get("num_layers") == 1:
            raise pydantic_error(
                "dropout_with_one_layer",
                "Dropout acts between layers, so with num_layers=1 it does nothing: "
                "set num_layers to 2 or more, or dropout to 0",
            )
        return dropout

    @field_validator("readout", mode="wrap")
    @classmethod
    def _readout_is_installed(cls, name: object, validate: Callable[[Any], str]) -> str:
        checked = validate(name)
        try:
            return current_catalog().readouts.canonical(checked)
        except (AmbiguousKindError, BlockedKindError, UnknownKindError) as error:
            elsewhere = name_elsewhere(checked)
            if elsewhere is not None and (_may_be_unresolved.get() or isinstance(name, UnresolvedReadout)):
                return UnresolvedReadout(elsewhere, getattr(name, "plugin", None))
            raise pydantic_error("unknown_readout", str(error)) from error

    @field_validator("readout_dropout")
    @classmethod
    def _readout_dropout_has_an_effect(cls, dropout: float, info: ValidationInfo) -> float:
        if dropout > 0 and info.data.get("output_size", 1) is None:
            raise pydantic_error(
                "readout_dropout_without_linear",
                "readout_dropout acts before the linear layer of the readout, which requires an output_size: "
                "set output_size, or readout_dropout to 0",
            )
        return dropout

    @field_validator("padding_idx")
    @classmethod
    def _padding_idx_is_a_token(cls, padding_idx: int | None, info: ValidationInfo) -> int | None:
        if padding_idx is None or "num_embeddings" not in info.data:
            return padding_idx
        num_embeddings = info.data["num_embeddings"]
        if num_embeddings is None:
            raise pydantic_error(
                "padding_idx_without_embedding", "padding_idx requires num_embeddings: set it, or padding_idx to None"
            )
        if padding_idx >= num_embeddings:
            raise pydantic_error(
                "padding_idx_out_of_range",
                f"padding_idx={padding_idx} must be less than num_embeddings={num_embeddings}",
            )
        return padding_idx

    @field_validator("tie_weights")
    @classmethod
    def _tied_weights_fit(cls, tie_weights: bool, info: ValidationInfo) -> bool:
        sizes = [info.data.get(name, 0) for name in ("num_embeddings", "output_size")]
        if tie_weights and 0 not in sizes and (sizes[0] is None or sizes[0] != sizes[1]):
            raise pydantic_error(
                "tied_weights_do_not_fit",
                f"tie_weights=True requires output_size equal to num_embeddings, but output_size={sizes[1]} and "
                f"num_embeddings={sizes[0]}",
            )
        return tie_weights

    @field_validator("options", mode="plain")
    @classmethod
    def _options_belong_to_the_kind(cls, options: object, info: ValidationInfo) -> object:
        if "kind" not in info.data:  # an error already; its options are unknown
            return options
        name = info.data["kind"]
        kind = _kind_if_available(name) if _may_be_unresolved.get() else current_catalog().get(name)
        if kind is None:
            return _unresolved(options)
        if type(options) is kind.options:  # not isinstance: a subclass belongs to another kind
            return options
        if isinstance(options, UnresolvedOptions):
            options = options.values
        if not isinstance(options, Mapping):
            raise pydantic_error("wrong_options", _wrong_options_message(kind, options))
        try:
            return _make_options(kind.options, options)
        except ValidationError as error:
            problems = explain_unknown_fields(error, lambda name: _unknown_option_message(name, kind))
            raise ValidationError.from_exception_data(error.title, problems) from None

    @model_validator(mode="wrap")
    @classmethod
    def _all_problems_at_once(
        cls, data: Any, validate: Callable[[Any], RecurrentSpec[O_co]], info: ValidationInfo
    ) -> RecurrentSpec[O_co]:
        data = plain_fields(data)
        context = info.context if isinstance(info.context, _Context) else _Context()
        is_unresolved = isinstance(_given_fields(data).get("options"), UnresolvedOptions)
        token = _may_be_unresolved.set(context.allow_unresolved or is_unresolved)
        try:
            spec = validate(data)
        except ValidationError as error:
            problems = explain_unknown_fields(error, lambda name: _unknown_field_message(name, data))
            raise _spec_error(problems, context) from None
        finally:
            _may_be_unresolved.reset(token)
        if problems := kind_problems(spec):
            raise _spec_error(problems, context)
        _warn_of_kind(_given_fields(data).get("kind"), spec)
        return spec

    @property
    def hidden_sizes(self) -> tuple[int, ...]:
        """The hidden size of each layer, from the first to the last."""
        return self.hidden_size if isinstance(self.hidden_size, tuple) else (self.hidden_size,) * self.num_layers

    @property
    def directions(self) -> int:
        """2 if `bidirectional`, else 1."""
        return 2 if self.bidirectional else 1

    def __repr__(self) -> str:
        """The call that creates this spec; options as plain data, so that it can be pasted without an import."""
        return f"RecurrentSpec({', '.join(f'{name}={value!r}' for name, value in self.to_dict().items())})"

    def to_dict(self) -> dict[str, Any]:
        """Every field as plain data: strings, numbers, booleans, None, and a dictionary for the options."""
        plain: dict[str, Any] = _adapter().dump_python(self, mode="json")
        return plain

    @classmethod
    def from_dict(cls, data: Mapping[str, Any], *, allow_unresolved: bool = False) -> RecurrentSpec[Any]:
        """The spec that `to_dict` wrote; fields that are left out take their defaults.

        Args:
            data: the fields.
            allow_unresolved: whether the plugin of the kind or of the readout may be missing. Options of a missing
                kind are kept unchecked, in an `UnresolvedOptions`; everything else is checked.

        Raises:
            pydantic.ValidationError: one or more fields are wrong, as from the constructor.
        """
        return _adapter().validate_python(data, context=_Context(allow_unresolved))

    def to_json(self, *, indent: int | None = None) -> str:
        """Every field as a JSON object; `indent` spaces a level, None: on one line."""
        return _adapter().dump_json(self, indent=indent).decode()

    @classmethod
    def from_json(cls, text: str | bytes, *, allow_unresolved: bool = False) -> RecurrentSpec[Any]:
        """The spec that `to_json` wrote; fields that are left out take their defaults.

        Args:
            text: the fields as a JSON object.
            allow_unresolved: as in `from_dict`.

        Raises:
            pydantic.ValidationError: the text is not JSON, or fields are wrong, as from the constructor.
        """
        return _adapter().validate_json(text, context=_Context(allow_unresolved))

    def _repr_html_(self) -> str:
        """The HTML that a notebook displays."""
        return _display.render_html(self)


def spec_of_fields(fields: Mapping[str, Any], *, allow_unresolved: bool) -> RecurrentSpec[Any]:
    """The spec of `RecurrentSpec.from_dict`, whose error lists all problems."""
    return _adapter().validate_python(fields, context=_Context(allow_unresolved, lists_all=True))


def _spec_error(problems: list[InitErrorDetails], context: _Context) -> ValidationError:
    shown = problems if context.lists_all else first_problems(problems)
    return ValidationError.from_exception_data("RecurrentSpec", shown)


@cache
def _adapter() -> TypeAdapter[RecurrentSpec[Any]]:
    return TypeAdapter(RecurrentSpec)


def _given_fields(data: Any) -> Mapping[str, Any]:
    """The fields that were given to the constructor."""
    given = data.kwargs if isinstance(data, ArgsKwargs) else data
    return given if isinstance(given, Mapping) else {}


def _current_name(name: str) -> str:
    """The canonical name of a kind; the new one if its plugin has renamed it."""
    try:
        return current_catalog().current_name(name)
    except PluginError:
        if _may_be_unresolved.get():
            return current_catalog().canonical(name)
        raise


def _warn_of_kind(asked: object, spec: RecurrentSpec[Any]) -> None:
    """Warn about an old name or a deprecated kind: here, so that each spec warns once."""
    if isinstance(asked, str) and not isinstance(spec.options, UnresolvedOptions):
        warn_of_kind(current_catalog().alias_message(asked))
        warn_of_kind(current_catalog().deprecation(spec.kind))


def _kind_if_available(name: str) -> Kind | None:
    """The record of a kind; None if it is not available."""
    try:
        return current_catalog().get(name)
    except (BlockedKindError, PluginError, UnknownKindError):
        return None


def _unresolved(options: object) -> UnresolvedOptions:
    if isinstance(options, UnresolvedOptions):
        return options
    if not isinstance(options, Mapping):
        raise pydantic_error("wrong_options", "Options should be a mapping")
    return UnresolvedOptions.of(options)


def _make_options(cls: type[Options], values: Mapping[Any, Any]) -> Options:
    """Options from Python values or, failing that, from plain data, as `to_dict` writes it.

    Plain data has a list for a tuple and a string for a member of an enumeration, which pydantic's strict mode accepts
    from JSON only.
    """
    try:
        return cls(**{str(name): value for name, value in values.items()})
    except ValidationError as error:
        try:
            return TypeAdapter(cls).validate_json(to_json(values))
        except PydanticSerializationError:
            raise error from None
        except ValidationError as error_of_plain_data:
            raise (error_of_plain_data if _is_about_lists(error) else error) from None


def _is_about_lists(error: ValidationError) -> bool:
    """True if an error is about lists in place of tuples, which hides what is wrong inside them."""
    return any(line["type"] == "tuple_type" and isinstance(line["input"], list) for line in error.errors())


def _field_names(dataclass: Any) -> list[str]:
    return [field.name for field in dataclasses.fields(dataclass)]


def _unknown_field_message(name: str, data: Any) -> str:
    asked = _given_fields(data).get("kind")
    kind = _kind_if_available(asked) if isinstance(asked, str) else None
    if kind is not None and name in _field_names(kind.options):
        return f"{name!r} is an option of the kind {asked!r}: write options={{{name!r}: ...}}"
    return f"A RecurrentSpec has no field {short_repr(name)}.{did_you_mean(name, _field_names(RecurrentSpec))}"


def _unknown_option_message(name: str, kind: Kind) -> str:
    names = _field_names(kind.options)
    if name in _field_names(StackOptions):
        return f"The kind {kind.name!r} has no option {name!r}. Stacks of cells have it, such as 'lstm_cell'"
    has = f"Its options: {join_names(names)}" if names else "It has no options"
    return f"The kind {kind.name!r} has no option {short_repr(name)}.{did_you_mean(name, names)} {has}"


def _wrong_options_message(kind: Kind, options: object) -> str:
    if options is None:  # in YAML, `options:` with nothing below it
        return f"The options of the kind {kind.name!r} are a mapping: leave them out, or write {{}}, for the defaults"
    return (
        f"The kind {kind.name!r} takes a mapping or an object of its own class {kind.options.__name__} here; "
        "options={} means its defaults. To change the kind of a spec, give options as well: "
        f"dataclasses.replace(spec, kind={kind.name!r}, options={{}})"
    )
