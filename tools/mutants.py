"""Mutants of a source file: copies with one small change inside a function, which a test should detect."""

from __future__ import annotations

import ast
import gc
import hashlib
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import CodeType, FunctionType

COMPARISONS: dict[type[ast.cmpop], ast.cmpop] = {
    ast.Lt: ast.LtE(), ast.LtE: ast.Lt(), ast.Gt: ast.GtE(), ast.GtE: ast.Gt(), ast.Eq: ast.NotEq(),
    ast.NotEq: ast.Eq(), ast.Is: ast.IsNot(), ast.IsNot: ast.Is(), ast.In: ast.NotIn(), ast.NotIn: ast.In(),
}  # fmt: skip
ARITHMETIC: dict[type[ast.operator], ast.operator] = {
    ast.Add: ast.Sub(), ast.Sub: ast.Add(), ast.Mult: ast.Div(), ast.Div: ast.Mult(), ast.FloorDiv: ast.Mult(),
    ast.Mod: ast.Mult(), ast.Pow: ast.Mult(), ast.BitAnd: ast.BitOr(), ast.BitOr: ast.BitAnd(),
}  # fmt: skip
# Default values and decorators are evaluated when a function is defined, which is over; annotations compute nothing.
LEFT_OUT = {"annotation", "returns", "decorator_list", "defaults", "kw_defaults"}
MESSAGES = ast.JoinedStr | ast.Raise  # nothing inside them is changed

Codes = dict[tuple[str, str, int], CodeType]  # by file, qualified name and line


@dataclass(frozen=True)
class Mutant:
    """One change of a file: `new` replaces `old`, in a field of `parent` or at an index of that field."""

    path: Path
    tree: ast.Module
    parent: ast.AST
    field: str
    index: int | None
    old: ast.AST
    new: ast.AST

    @property
    def line(self) -> int:
        return int(getattr(self.old, "lineno", 0)) or int(getattr(self.parent, "lineno", 0))

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: `{_text(self.old)}` -> `{_text(self.new)}`"

    def draw(self, seed: int, root: Path) -> bytes:
        """Return a random number. It depends on this change only, so most of a sample remains after other edits."""
        text = f"{seed} {self.path.relative_to(root)} {_text(self.old)} {_text(self.new)}"
        return hashlib.sha256(text.encode()).digest()

    def apply(self) -> bool:
        """Change the functions of this process, once. `False` if it has no function with the changed code."""
        before = _codes(self.tree, self.path)
        if self.index is None:
            setattr(self.parent, self.field, self.new)
        else:
            getattr(self.parent, self.field)[self.index] = self.new
        return replace_code(dict(_codes(self.tree, self.path).items() - before.items()))


def find_mutants(path: Path) -> list[Mutant]:
    """Return all mutants of a file."""
    tree = ast.parse(path.read_bytes())
    functions = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]
    nested = {inner for outer in functions for inner in ast.walk(outer) if inner is not outer}
    places = [place for function in functions if function not in nested for place in _places(function)]
    return [
        Mutant(path, tree, *place, ast.copy_location(new, place[-1])) for place in places for new in _new(place[-1])
    ]


def codes_of(path: Path) -> Codes:
    """Compile a file as it is."""
    return _codes(ast.parse(path.read_bytes()), path)


def replace_code(codes: Codes) -> bool:
    """Give the functions of this process other code. `False` if it has none of them."""
    replaced = [_replace_one(each, codes) for each in gc.get_objects() if type(each) is FunctionType]
    return any(replaced)


def _places(parent: ast.AST) -> Iterator[tuple[ast.AST, str, int | None, ast.AST]]:
    """Yield all nodes below `parent`, each with its own parent, its field there and its index in the field."""
    for name, value in ast.iter_fields(parent):
        nodes: Iterable[tuple[int | None, object]] = enumerate(value) if isinstance(value, list) else [(None, value)]
        for index, node in nodes:
            if isinstance(node, ast.AST) and name not in LEFT_OUT:
                yield parent, name, index, node
                if not isinstance(node, MESSAGES):
                    yield from _places(node)


def _new(node: ast.AST) -> Iterator[ast.AST]:
    """Yield what can replace a node."""
    match node:
        case ast.Return(ast.expr() as value) if not isinstance(value, ast.Constant):
            yield ast.Return(ast.Constant(None))
        case ast.Expr(ast.Call()) | ast.AugAssign() | ast.Raise():
            yield ast.Pass()
        case ast.If(ast.Name() | ast.Attribute() | ast.Call() as test, body, orelse):
            yield ast.If(ast.UnaryOp(ast.Not(), test), body, orelse)
        case ast.comprehension(target, values, [_, *others], is_async):
            yield ast.comprehension(target, values, others, is_async)
        case ast.Call(function, arguments, keywords):
            yield from _new_calls(function, arguments, keywords)
        case ast.expr():
            yield from _new_expressions(node)


def _new_expressions(node: ast.expr) -> Iterator[ast.expr]:
    match node:
        case ast.Compare(left, [op, *others], values):
            yield ast.Compare(left, [COMPARISONS[type(op)], *others], values)
        case ast.BoolOp(op, values):
            yield ast.BoolOp(ast.Or() if isinstance(op, ast.And) else ast.And(), values)
        case ast.BinOp(left, op, right) if type(op) in ARITHMETIC:
            yield ast.BinOp(left, ARITHMETIC[type(op)], right)
        case ast.UnaryOp(ast.Not() | ast.USub(), operand):
            yield operand
        case ast.IfExp(test, body, orelse):
            yield ast.IfExp(test, orelse, body)
        case ast.Constant(bool() as value):
            yield ast.Constant(not value)
        case ast.Constant(int() | float() as value):
            yield ast.Constant(value + 1)


def _new_calls(function: ast.expr, arguments: list[ast.expr], keywords: list[ast.keyword]) -> Iterator[ast.Call]:
    """Yield calls without one of the keyword arguments, and with the first two arguments swapped."""
    for each in keywords:
        if each.arg is not None:
            yield ast.Call(function, arguments, [other for other in keywords if other is not each])
    match arguments:
        case [first, second, *others] if _text(first) != _text(second) and not _is_symmetric(function):
            yield ast.Call(function, [second, first, *others], keywords)


def _is_symmetric(function: ast.expr) -> bool:
    return isinstance(function, ast.Attribute) and function.attr in {"transpose", "maximum", "minimum"}


def _text(node: ast.AST) -> str:
    return " ".join(ast.unparse(node).split())[:100]


def _codes(tree: ast.Module, path: Path) -> Codes:
    codes = [compile(ast.fix_missing_locations(tree), str(path), "exec", dont_inherit=True)]
    for code in codes:  # grows
        codes += [each for each in code.co_consts if isinstance(each, CodeType)]
    keys = [(str(path), code.co_qualname, code.co_firstlineno) for code in codes]
    count = Counter(keys)  # lambdas in one line have the same key
    return {key: code for key, code in zip(keys, codes, strict=True) if count[key] == 1}


def _replace_one(function: FunctionType, codes: Codes) -> bool:
    old = function.__code__
    new = codes.get((old.co_filename, old.co_qualname, old.co_firstlineno))
    if new is None or len(new.co_freevars) != len(old.co_freevars):
        return False
    function.__code__ = new
    return True
