"""Writes the index of messages into the page of errors: `python -m docs.site.error_messages`.

The messages are read from the source: the first argument of each call that makes an error. Values stand as `…`.
"""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import rnnkit
from docs.site.generated import update

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs/reference/errors.md"
SOURCE = ROOT / "registry/rnnkit"
LEFT_OUT = SOURCE / "testing/checks"  # results of checks, which stand in a report
START, END = "<!-- messages: python -m docs.site.error_messages -->\n\n", "\n<!-- end of messages -->\n"
MOST_WORDS, LEAST_WORDS = 9, 2
VALIDATION = "pydantic.ValidationError"

# calls that make an error: its class, and which argument is the message
MADE_BY = {name: (name, 0) for name in rnnkit.__all__ if name.endswith("Error")} | {
    "CheckFailedError": ("testing.CheckFailedError", 0),
    "pydantic_error": (VALIDATION, 1),
    "Problem": (VALIDATION, 1),
}
DOCUMENTED = {cls for cls, _ in MADE_BY.values()} | {"LockWarning", "WeightWarning", "DeprecatedKindWarning"}
# calls with the class as an argument: which one it is, and which is the message
MADE_WITH = {"Resolution": (4, 3), "warn": (1, 0), "warn_user": (1, 0)}
# functions that return messages to callers which the search does not follow
RETURNED_BY = {
    "_unknown": "UnknownKindError",
    "alias_message": "DeprecatedKindWarning",
    "deprecation": "DeprecatedKindWarning",
    "_unknown_field_message": VALIDATION,
    "_unknown_option_message": VALIDATION,
}


class Messages:
    """The texts that expressions of the source can have."""

    def __init__(self, folder: Path) -> None:
        paths = [path for path in sorted(folder.rglob("*.py")) if LEFT_OUT not in path.parents]
        self.nodes = [list(ast.walk(ast.parse(path.read_text(encoding="utf-8")))) for path in paths]
        functions = [node for nodes in self.nodes for node in nodes if isinstance(node, ast.FunctionDef)]
        self.functions = {node.name: node for node in functions}
        self.variables: dict[str, ast.expr] = {}

    def index(self) -> dict[str, str]:
        """Return the class of each message, in alphabetical order."""
        found: dict[str, str] = {}
        for nodes in self.nodes:
            self.variables = dict(_assigned(nodes))
            # warnings first: with an argument such as `strict`, some are errors of the same message
            for message, cls in sorted(_made(nodes), key=lambda made: not made[1].endswith("Warning")):
                found = dict.fromkeys(map(_shorten, self._texts(message)), cls) | found
        for function, cls in RETURNED_BY.items():
            found = dict.fromkeys(map(_shorten, self._returned(self.functions[function], 1)), cls) | found
        named = {text: cls for text, cls in found.items() if len(re.findall(r"[A-Za-z]{2,}", text)) >= LEAST_WORDS}
        return dict(sorted(named.items(), key=lambda item: re.sub(r"^\W+", "", item[0]).casefold()))

    def _texts(self, node: ast.expr, depth: int = 3) -> list[str]:  # noqa: PLR0911  # one for each kind of expression
        """Return what an expression may be, with `…` for values."""
        match node:
            case ast.Constant(value=str(text)):
                return [text]
            case ast.JoinedStr(values=values):
                return ["".join(map(_part, values))]
            case ast.BinOp(left=left, right=right):
                return [a + b for a in self._texts(left, depth) for b in self._texts(right, depth)]
            case ast.IfExp(body=body, orelse=orelse):
                return self._texts(body, depth) + self._texts(orelse, depth)
            case ast.Name(id=name) if depth and name in self.variables:
                return self._texts(self.variables[name], depth - 1)
            case ast.Call(func=ast.Attribute(value=value, attr="rstrip")):
                return self._texts(value, depth)
            case ast.Call(func=function) if depth and _name(function) in self.functions:
                return self._returned(self.functions[_name(function)], depth - 1)
        return ["…"]

    def _returned(self, function: ast.FunctionDef, depth: int) -> list[str]:
        values = [node.value for node in ast.walk(function) if isinstance(node, ast.Return) and node.value]
        return [text for value in values for text in self._texts(value, depth)]


def _part(node: ast.expr) -> str:
    """Return a part of an f-string: text as it is, `kind` for `{noun}`, and `…` for other values."""
    if isinstance(node, ast.FormattedValue):
        return "kind" if isinstance(node.value, ast.Name) and node.value.id == "noun" else "…"
    return str(node.value) if isinstance(node, ast.Constant) else "…"


def _assigned(nodes: list[ast.AST]) -> Iterator[tuple[str, ast.expr]]:
    for node in nodes:
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            yield node.targets[0].id, node.value


def _made(nodes: list[ast.AST]) -> Iterator[tuple[ast.expr, str]]:
    """Yield the message and the class of each error or warning that a module makes."""
    for call in nodes:
        if not isinstance(call, ast.Call):
            continue
        cls, position = MADE_BY.get(_name(call.func), ("", 0))
        if with_class := MADE_WITH.get(_name(call.func)):
            position = with_class[1]
            cls = _name(call.args[with_class[0]]) if len(call.args) > with_class[0] else ""
        if cls in DOCUMENTED and len(call.args) > position:
            yield call.args[position], cls


def _name(function: ast.expr) -> str:
    return function.id if isinstance(function, ast.Name) else getattr(function, "attr", "")


def _shorten(text: str) -> str:
    """Return the first words of the first line of a message."""
    words = text.strip().partition("\n")[0].split()
    text = " ".join(words[:MOST_WORDS]) + (" …" if len(words) > MOST_WORDS else "")
    return re.sub("…(?:[. ]*…)+", "…", text)


def table() -> str:
    """Return the table, indented as the content of a folded block."""
    rows = [f"| {_code(text)} | {_link(cls)} |" for text, cls in Messages(SOURCE).index().items()]
    lines = ['??? abstract "Index of messages"', "", "| message | class |", "|---|---|", *rows]
    return "\n".join(f"    {line}" if line and number else line for number, line in enumerate(lines)) + "\n"


def _code(text: str) -> str:
    fence = "``" if "`" in text else "`"
    space = " " if "`" in text else ""
    return f"{fence}{space}{text.replace('|', chr(92) + '|')}{space}{fence}"


def _link(cls: str) -> str:
    anchor = "a-spec-that-is-wrong" if cls == VALIDATION else f"rnnkit.{cls}"
    return f"[`{cls.rpartition('.')[2]}`](#{anchor})"


def with_index(page: str) -> str:
    """Return the page with the current index."""
    before, _, rest = page.partition(START)
    return before + START + table() + END + rest.partition(END)[2]


def main() -> int:
    return update({PAGE: with_index(PAGE.read_text(encoding="utf-8"))}, "docs.site.error_messages")


if __name__ == "__main__":
    sys.exit(main())
