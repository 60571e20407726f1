"""Simplifies signatures and fields on the API pages, for mkdocstrings and `llms.py`.

Annotations of pydantic are removed (`Annotated[int, Field(ge=1)]` is an `int`), names of types and constants outside
of the API are expanded, overloads of a constructor become one signature, and options have one as well.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import fields, replace
from typing import Any

from griffe import (
    Alias,
    Attribute,
    Class,
    Expr,
    ExprBinOp,
    ExprName,
    ExprSubscript,
    ExprTuple,
    Extension,
    Function,
    GriffeError,
    Module,
    Object,
    Parameter,
    ParameterKind,
    Parameters,
)

TRANSPARENT = {"Annotated", "SerializeAsAny"}  # around the type that counts
OPTIONS = "rnnkit.options.options.Options"
Annotation = str | Expr | None


class ReadableApi(Extension):
    """Rewrites what griffe has found in a package, once it has found all of it."""

    def on_package(self, *, pkg: Module, **_: Any) -> None:
        """Rewrite every object of a package, from the modules down."""
        for each in list(_objects(pkg)):
            if isinstance(each, Class):
                _show_class(each)
            elif isinstance(each, Attribute):
                each.annotation = _readable(each.annotation, each.module)
            elif isinstance(each, Function):
                _show_function(each)


def _objects(parent: Object) -> Iterator[Object]:
    for member in parent.members.values():
        if isinstance(member, Object):
            yield member
            yield from _objects(member)


def _show_class(cls: Class) -> None:
    cls.bases = [base for base in cls.bases if not str(base).startswith(("Generic", "ABC"))]
    init = cls.members.get("__init__")
    if isinstance(init, Function) and init.overloads:
        merged = _merged([overload.parameters for overload in init.overloads])
        cls.set_member("__init__", _constructor(cls, merged))
    elif _is_options(cls) and "__init__" not in cls.members:
        cls.set_member("__init__", _constructor(cls, _fields(cls)))


def _show_function(function: Function) -> None:
    for parameter in function.parameters:
        parameter.annotation = _readable(parameter.annotation, function.module)
        constant = _found(parameter.default, function.module)
        parameter.default = parameter.default if constant is None else constant.value
    function.returns = _readable(function.returns, function.module)


def _constructor(cls: Class, parameters: Sequence[Parameter]) -> Function:
    init = Function("__init__", parameters=Parameters(*parameters), returns="None", parent=cls)
    _show_function(init)
    return init


def _merged(overloads: Sequence[Parameters]) -> list[Parameter]:
    """One signature for several: a parameter takes what any of them takes."""
    first, *others = overloads
    for parameter in first:
        for other in others:
            annotation = other[parameter.name].annotation
            if annotation is not None and str(annotation) != str(parameter.annotation):
                parameter.annotation = ExprBinOp(parameter.annotation or "Any", "|", annotation)
    return list(first)


def _is_options(cls: Class) -> bool:
    return cls.path != OPTIONS and any(base.path == OPTIONS for base in cls.mro())


def _fields(cls: Class) -> list[Parameter]:
    """The fields of a class of options and of its bases, which its constructor takes by their names."""
    own = Parameter("self", kind=ParameterKind.positional_or_keyword)
    found: dict[str, Parameter] = {}
    for each in (*reversed(cls.mro()), cls):
        for name, member in each.members.items():
            if isinstance(member, Attribute) and member.annotation is not None and "property" not in member.labels:
                found[name] = Parameter(
                    name,
                    annotation=_readable(member.annotation, each.module),
                    default=member.value,
                    kind=ParameterKind.keyword_only,
                )
    return [own, *found.values()]


def _readable(annotation: Annotation, module: Module) -> Annotation:
    """Return an annotation without the parts that do not help readers."""
    if isinstance(annotation, ExprSubscript) and annotation.canonical_name in TRANSPARENT:
        inner = annotation.slice
        return _readable(inner.elements[0] if isinstance(inner, ExprTuple) else inner, module)
    if isinstance(annotation, ExprName):
        return _written_out(annotation, module)
    if not isinstance(annotation, Expr):
        return annotation
    changed = {field.name: _parts(getattr(annotation, field.name), module) for field in fields(annotation)}
    return replace(annotation, **changed)


def _parts(part: Any, module: Module) -> Any:
    if isinstance(part, Expr):
        return _readable(part, module)
    return [_parts(each, module) for each in part] if isinstance(part, list) else part


def _written_out(name: ExprName, module: Module) -> Annotation:
    """Return the value of a name of the package that is not a class; the bound of a type variable."""
    member = _found(name, module)
    if member is None:
        return name
    if "TypeVar(" in str(member.value):
        bound = re.search(r"bound=(\w+)", str(member.value))
        return ExprName(bound[1], parent=member.module) if bound else name
    return _readable(member.value, member.module)


def _found(name: Any, module: Module) -> Attribute | None:
    """The attribute of a module that a name stands for; None: it stands for something else."""
    if not isinstance(name, ExprName):
        return None
    try:
        member = module.modules_collection[name.canonical_path]
        found = member.final_target if isinstance(member, Alias) else member
    except (KeyError, GriffeError):  # of another package
        return None
    return found if isinstance(found, Attribute) and found.value is not None else None
