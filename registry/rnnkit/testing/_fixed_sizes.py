"""Finds code in which a size becomes a Python integer, which `torch.export` then fixes at the value of the example."""

from __future__ import annotations

import ast
import inspect
from collections.abc import Iterator
from textwrap import dedent
from typing import Any

from torch import nn

_METHODS = ("project", "step", "run")
_TENSORS = {"x", "x_t", "projected", "projected_t"}  # the arguments of these methods that are tensors
_OURS = ("torch.", "rnnkit.", "rnnkit_builtin.")


def fixed_sizes(module: nn.Module) -> list[str]:
    """The calls of `len(x)` and `int(x.shape[0])` in the methods of a plugin's modules, as `len(x) in MyCell.step`."""
    classes = dict.fromkeys(cls for each in module.modules() for cls in type(each).__mro__ if _is_of_plugin(cls))
    methods = ((cls, name) for cls in classes for name in _METHODS if name in vars(cls))
    return [f"{call} in {cls.__name__}.{name}" for cls, name in methods for call in _calls(vars(cls)[name])]


def _is_of_plugin(cls: type) -> bool:
    return issubclass(cls, nn.Module) and not f"{cls.__module__}.".startswith(_OURS)


def _calls(function: Any) -> Iterator[str]:
    try:
        tree = ast.parse(dedent(inspect.getsource(function)))
    except (OSError, TypeError, SyntaxError):  # there is no source
        return
    for node in ast.walk(tree):
        match node:
            case (
                ast.Call(ast.Name("len"), [ast.Name(name)])
                | ast.Call(ast.Name("int"), [ast.Subscript(ast.Attribute(ast.Name(name), "shape"))])
                | ast.Call(ast.Name("int"), [ast.Call(ast.Attribute(ast.Name(name), "size"))])
            ) if name in _TENSORS:
                yield ast.unparse(node)
