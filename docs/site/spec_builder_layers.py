"""Finds the tensors of a layer for any sizes: builds models on the meta device, solves for forms, verifies on others.

Each tensor's shape is a list of forms, `{"hidden": 4}` for 4 * hidden, and each tensor has settings under which it is
there, `{"bias": [True]}`. The sizes are `input`, the features that the layer reads, `hidden`, its hidden size, and each
whole number among the options of the kind, under its path.
"""

from __future__ import annotations

import itertools
import random
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from typing import Any

from docs.site.spec_builder_fields import Field
from docs.site.spec_builder_specs import OPTION, is_valid, spec_of
from rnnkit import RecurrentModel, build_model, flatten_state
from rnnkit.introspection.model_layers import EMBEDDING, layers_of

Shape = tuple[int, ...]
Form = dict[str, int]
Forms = tuple[tuple[tuple[str, int], ...], ...]  # of each axis, so that they can be compared
Seen = dict[tuple[str, str], Shape]  # ("parameters", "weight_ih"), ("features", ""), ("state", "h")
Settings = dict[str, Any]
Sizes = dict[str, int]
Record = dict[str, list[dict[str, Any]]]

CONSTANT = "constant"
_BASE = {"input": 5, "hidden": 23}
_OF_OPTION = 7  # smaller than `hidden`
_LAYERS = {"num_layers": 2, "dropout": 0.1}  # so that options that act between layers are valid
_TRIALS = 60

_OF_CELL = re.compile(r"backbone\.(cells|initial)\.(\d+)\.(.+)")
_OF_NORM = re.compile(r"backbone\.norms\.\d+\.(.+)")
_OF_TORCH = re.compile(r"backbone\.rnn\.(\w+)_l\d+(_reverse)?")


def layer_record(kind: str, fields: Iterable[Field]) -> Record:
    """The parameters, features and state of a layer of a kind whose layers all have one kind of cell.

    Raises:
        ValueError: its shapes are not such forms, or depend on a setting in a way that a list of values cannot express.
    """
    fields = list(fields)
    sizes = _BASE | {each["path"]: _OF_OPTION for each in fields if _is_size(each)}
    switches = _switches(kind, fields, sizes)
    found = {}
    for chosen in itertools.product(*switches.values()):
        settings = dict(zip(switches, chosen, strict=True))
        if is_valid(kind, _values(settings, sizes)):
            found[chosen] = solved(partial(_names_and_shapes, kind, settings), sizes)
    return _merged(list(switches), found)


def try_record(
    kind: str, fields: list[Field], records: Callable[[RecurrentModel, int], Record], *, sizes_per_layer: bool
) -> None:
    """Compare what records say with models of many sizes and settings, drawn at random.

    Raises:
        ValueError: a tensor is missing, too many, or of another shape.
    """
    draw = random.Random(kind)  # noqa: S311  # for trials that are the same in every run
    tried = 0
    while tried < _TRIALS:
        values = _drawn(draw, fields, sizes_per_layer=sizes_per_layer)
        if is_valid(kind, values):
            _try_model(build_model(spec_of(kind, values), device="meta"), fields, records)
            tried += 1


def setting(value: Any) -> Any:
    """Return the setting of a switch: the value of a choice or a flag; for a number, whether it is not zero."""
    return value if isinstance(value, str) else bool(value)


def evaluated(record: Record, settings: Mapping[str, Any], sizes: Sizes) -> Seen:
    """Evaluate a record for some settings and sizes."""
    return {
        (group, each["name"]): tuple(_evaluate(form, sizes) for form in each["shape"])
        for group, entries in record.items()
        for each in entries
        if all(setting(settings[path]) in values for path, values in each["when"].items())
    }


def seen(model: RecurrentModel, index: int) -> Seen:
    """Return the shapes of the parameters, output and state of one layer of a model."""
    recurrent = [layer for layer in layers_of(model) if layer.name != EMBEDDING]
    layer, directions = recurrent[index], model.spec.directions
    own = {id(tensor) for tensor in layer.tensors}
    parameters = {
        ("parameters", _local_name(path, directions)): tuple(tensor.shape)
        for path, tensor in model.named_parameters()
        if id(tensor) in own
    }
    return {**parameters, ("features", ""): (layer.features or 0,), **_state(model, index)}


def is_stacked(model: RecurrentModel) -> bool:
    """Whether the state has the cells of all layers in one tensor, as torch's; or a state for each cell."""
    return hasattr(model.initial_state(1, device="meta"), "_fields")


def parts_of_state(model: RecurrentModel, index: int) -> dict[str, int]:
    """The features of each part of the state of a layer in one direction."""
    state, directions = model.initial_state(1, device="meta"), model.spec.directions
    of_layer = state if is_stacked(model) else state[index * directions]
    return {name: part.shape[-1] for name, part in flatten_state(of_layer).items()}


def _state(model: RecurrentModel, index: int) -> Seen:
    return {("state", name): (features,) for name, features in parts_of_state(model, index).items()}


def _local_name(path: str, directions: int) -> str:
    """The name of a parameter within its layer."""
    if found := _OF_CELL.fullmatch(path):
        reverse = "_reverse" if int(found[2]) % directions else ""
        return f"{'initial.' * (found[1] == 'initial')}{found[3]}{reverse}"
    if found := _OF_NORM.fullmatch(path):
        return f"output_norm.{found[1]}"
    if found := _OF_TORCH.fullmatch(path):
        return found[1] + (found[2] or "")
    raise ValueError(f"To which layer does {path} belong?")


def _is_size(field: Field) -> bool:
    of_type: str = field["type"]
    path: str = field["path"]
    return of_type == "integer" and path.startswith(OPTION)


def _switches(kind: str, fields: list[Field], sizes: Sizes) -> dict[str, list[Any]]:
    """The fields on which it depends what a layer is made of, with the values that they may show."""
    plain = {each["path"]: setting(each["default"]) for each in fields if _is_switch(each)}
    before = _names_and_shapes(kind, plain, sizes)
    return {
        each["path"]: values
        for each in fields
        if _is_switch(each)
        for values in [_possible(kind, each, plain, sizes)]
        if any(_names_and_shapes(kind, plain | {each["path"]: value}, sizes) != before for value in values)
    }


def _is_switch(field: Field) -> bool:
    is_plain = field["type"] in {"boolean", "choice"} and field["lists"] == "never"
    return is_plain or _is_size(field)


def _possible(kind: str, field: Field, plain: Settings, sizes: Sizes) -> list[Any]:
    values = field.get("choices", [True, False])
    return [value for value in values if is_valid(kind, _values(plain | {field["path"]: value}, sizes))]


def _names_and_shapes(kind: str, settings: Settings, sizes: Sizes) -> Seen:
    return seen(build_model(spec_of(kind, _values(settings, sizes)), device="meta"), 0)


def _values(settings: Settings, sizes: Sizes) -> dict[str, Any]:
    """The fields of a spec whose lowest layer has these sizes, and these settings."""
    options = {path: sizes[path] * shown if path in sizes else shown for path, shown in settings.items()}
    return {**_LAYERS, "input_size": sizes["input"], "hidden_size": sizes["hidden"], **options}


def solved(look: Callable[[Sizes], Seen], sizes: Sizes) -> dict[tuple[str, str], Forms]:
    """The forms of each tensor, from how its shape changes with each size."""
    base = look(sizes)
    steps = {name: look(sizes | {name: sizes[name] + 1}) for name in sizes}
    return {
        key: tuple(_form(axis, key, shape, steps, sizes) for axis in range(len(shape))) for key, shape in base.items()
    }


def _form(
    axis: int, key: tuple[str, str], shape: Shape, steps: Mapping[str, Seen], sizes: Sizes
) -> tuple[tuple[str, int], ...]:
    slopes = {name: step[key][axis] - shape[axis] for name, step in steps.items()}
    rest = shape[axis] - sum(slopes[name] * sizes[name] for name in sizes)
    return tuple((name, factor) for name, factor in {**slopes, CONSTANT: rest}.items() if factor)


def _evaluate(form: Form, sizes: Sizes) -> int:
    return sum(factor * (1 if name == CONSTANT else sizes[name]) for name, factor in form.items())


def _merged(switches: list[str], found: Mapping[tuple[Any, ...], Mapping[tuple[str, str], Any]]) -> Record:
    """Each tensor once for each of its shapes, with the settings under which it has that."""
    where: dict[tuple[str, str], dict[Forms, list[tuple[Any, ...]]]] = {}
    for chosen, tensors in found.items():
        for key, forms in tensors.items():
            where.setdefault(key, {}).setdefault(forms, []).append(chosen)
    record: Record = {"parameters": [], "features": [], "state": []}
    for (group, name), shapes in where.items():
        for forms, places in shapes.items():
            when = _when(switches, places, list(found), name)
            record[group].append({"name": name, "shape": [dict(form) for form in forms], "when": when})
    return record


def _when(
    switches: list[str], places: list[tuple[Any, ...]], every: list[tuple[Any, ...]], name: str
) -> dict[str, list[Any]]:
    """The values that each switch must show; switches that may show anything are left out."""
    allowed = [list(dict.fromkeys(place[position] for place in places)) for position in range(len(switches))]
    if sorted(map(repr, _product(every, allowed))) != sorted(map(repr, places)):
        raise ValueError(f"{name} depends on {switches} in a way that lists of values cannot say: {places}")
    possible = [{place[position] for place in every} for position in range(len(switches))]
    named = zip(switches, allowed, possible, strict=True)
    return {switch: values for switch, values, others in named if set(values) != others}


def _product(every: list[tuple[Any, ...]], allowed: list[list[Any]]) -> Iterator[tuple[Any, ...]]:
    for place in every:
        if all(value in values for value, values in zip(place, allowed, strict=True)):
            yield place


def _drawn(draw: random.Random, fields: Iterable[Field], *, sizes_per_layer: bool) -> dict[str, Any]:
    """Values for a few of the fields of a spec; often there is no such spec."""
    num_layers = draw.randint(1, 4)
    one, each = draw.randint(1, 40), [draw.randint(1, 40) for _ in range(num_layers)]
    values: dict[str, Any] = {"input_size": draw.randint(1, 40), "num_layers": num_layers}
    values["hidden_size"] = each if sizes_per_layer and draw.random() < 0.5 else one
    for field in fields:
        if field["path"] not in values and draw.random() < 0.4:
            values[field["path"]] = _drawn_value(draw, field)
    return values


def _drawn_value(draw: random.Random, field: Field) -> Any:
    if field["type"] == "choice":
        chosen = [draw.choice(field["choices"]) for _ in range(draw.randint(1, 2))]
        return chosen if field["lists"] == "only" else chosen[0]
    drawn: dict[str, Any] = {"boolean": draw.random() < 0.5, "integer": draw.randint(1, 20), "number": 0.25}
    return drawn[field["type"]]


def _try_model(
    model: RecurrentModel, fields: Iterable[Field], records: Callable[[RecurrentModel, int], Record]
) -> None:
    spec = model.spec
    reads = spec.input_size
    for index, hidden in enumerate(spec.hidden_sizes):
        settings = settings_of(model, fields)
        integers = {path: value for path, value in settings.items() if type(value) is int}
        said = evaluated(records(model, index), settings, {"input": reads, "hidden": hidden, **integers})
        found = seen(model, index)
        if said != found:
            raise ValueError(f"Layer {index} of {spec!r} is said to have {said}, but has {found}")
        reads = found["features", ""][0]


def settings_of(model: RecurrentModel, fields: Iterable[Field]) -> dict[str, Any]:
    """The values of a model's fields by their paths."""
    plain = model.spec.to_dict()
    return {
        each["path"]: (plain["options"] if each["path"].startswith(OPTION) else plain)[each["path"].split(".")[-1]]
        for each in fields
    }
