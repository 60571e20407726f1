"""Specs in the part of YAML 1.2 that JSON has: unique text keys, and no tags, anchors, aliases or dates."""

from __future__ import annotations

import re
from typing import Any, ClassVar

import yaml
from yaml import CollectionNode, MappingNode, Node, ScalarNode, SequenceNode

from rnnkit._messages import short_repr, shorten
from rnnkit.files.spec._formats import Document, FormatError
from rnnkit.specs import MAX_DEPTH, MAX_VALUES, Path

_TAG = "tag:yaml.org,2002:"
# The core schema of YAML 1.2 for scalars without quotes: tag, pattern, first characters. Other scalars are text.
_CORE_SCHEMA = [
    ("null", r"~|null|Null|NULL|", ["~", "n", "N", ""]),
    ("bool", r"true|True|TRUE|false|False|FALSE", [*"tTfF"]),
    ("int", r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+", [*"-+0123456789"]),
    ("float", r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?", [*"-+.0123456789"]),
    ("float", r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)", [*"-+."]),
]
_BASES = {"0o": 8, "0x": 16}


class _Loader(yaml.SafeLoader):
    """Loads nodes with the core schema, and refuses anchors, tags and deep or large documents."""

    yaml_implicit_resolvers: ClassVar[dict[str, Any]] = {}  # type: ignore[misc]  # a class variable, unlike in the stubs

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self._depth = 0
        self._nodes = 0

    def compose_node(self, parent: Node | None, index: Any) -> Node | None:
        self._check_event(self.peek_event())  # type: ignore[no-untyped-call]  # the stubs have no types here
        self._depth += 1
        node = super().compose_node(parent, index)
        self._depth -= 1
        return node

    def _check_event(self, event: Any) -> None:
        line = event.start_mark.line + 1
        self._nodes += 1
        if getattr(event, "anchor", None) is not None:
            raise FormatError("Anchors and aliases (& and *) are not allowed in a spec: repeat the value", line=line)
        if getattr(event, "tag", None) is not None:
            tag = short_repr(event.tag.replace(_TAG, "!!"))
            raise FormatError(f"The tag {tag} is not allowed in a spec: write plain values", line=line)
        if self._depth > MAX_DEPTH:
            raise FormatError(f"It is nested more than {MAX_DEPTH} levels deep", line=line)
        if self._nodes > 2 * MAX_VALUES:  # keys are nodes too
            raise FormatError(f"It has more than {MAX_VALUES:,} values", line=line)


class _Dumper(yaml.SafeDumper):
    """Quotes text that YAML 1.1 or 1.2 would read as another type."""

    def ignore_aliases(self, data: object) -> bool:  # noqa: ARG002  # a list that occurs twice is written twice
        return True


def _text_node(dumper: yaml.SafeDumper, text: str) -> ScalarNode:
    """Text on one line, with escapes for line breaks and other unprintable characters."""
    return dumper.represent_scalar(_TAG + "str", text, style=None if text.isprintable() else '"')


_Dumper.add_representer(str, _text_node)
for _name, _pattern, _first in _CORE_SCHEMA:
    for _class in (_Loader, _Dumper):
        _class.add_implicit_resolver(_TAG + _name, re.compile(rf"(?:{_pattern})\Z"), _first)


def read(text: str) -> Document:
    """Parse YAML.

    Raises:
        FormatError: it is not valid YAML, or uses a feature that specs do not have.
    """
    lines: dict[Path, int] = {}
    node = _node(text)
    return Document(None if node is None else _value(node, (), lines), lambda: lines)


def write(data: dict[str, Any]) -> str:
    """Format data as YAML that readers of versions 1.1 and 1.2 read alike."""
    return yaml.dump(data, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=float("inf"))


def read_value(text: str) -> Any:
    """Parse the value of an override `KEY=VALUE`: YAML on one line, or else text."""
    try:
        node = _node(text)
        return _value(node, (), {}) if node is not None and _is_all(node, text) else text if text.strip() else None
    except FormatError:
        return text


def _is_all(node: Node, text: str) -> bool:
    """True if a node is in a style for one line and is the whole text, without a comment after it."""
    if isinstance(node, ScalarNode):
        return node.value == text.strip() if node.style is None else node.style in {"'", '"'}
    return isinstance(node, CollectionNode) and bool(node.flow_style)


def _node(text: str) -> Node | None:
    try:
        return _Loader(text).get_single_node()
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        message = f"It has the character {short_repr(chr(error.character))}, which YAML allows as an escape only"
        raise FormatError(message, line=line) from error
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        problem = ", ".join(filter(None, [error.context, error.problem]))
        raise FormatError(f"Not valid YAML: {problem}", line=None if mark is None else mark.line + 1) from error


def _value(node: Node, path: Path, lines: dict[Path, int]) -> Any:
    lines.setdefault(path, _line(node))  # unless its key has set it
    if isinstance(node, MappingNode):
        return _mapping(node, path, lines)
    if isinstance(node, SequenceNode):
        return [_value(part, (*path, str(position)), lines) for position, part in enumerate(node.value)]
    return _scalar(node)


def _mapping(node: MappingNode, path: Path, lines: dict[Path, int]) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for key_node, value_node in node.value:
        key = _key(key_node)
        if key in values:
            message = f"Duplicate key {short_repr(key)}, first on line {lines[*path, key]}"
            raise FormatError(message, line=_line(key_node), path=path)
        lines[*path, key] = _line(key_node)
        values[key] = _value(value_node, (*path, key), lines)
    return values


def _key(node: Node) -> str:
    if node.tag != _TAG + "str":
        value = f", but is {shorten(node.value, 100)}: put it in quotes" if isinstance(node, ScalarNode) else ""
        raise FormatError(f"The keys of a mapping should be text{value}", line=_line(node))
    return str(node.value)


def _line(node: Node) -> int:
    return int(node.start_mark.line) + 1


def _scalar(node: Node) -> Any:
    text = node.value
    match node.tag.removeprefix(_TAG):
        case "null":
            return None
        case "bool":
            return text.lower() == "true"
        case "int":
            return _integer(text, _line(node))
        case "float":
            return float(text.lower().replace(".inf", "inf").replace(".nan", "nan"))
        case _:
            return text


def _integer(text: str, line: int) -> int:
    try:
        return int(text, _BASES.get(text[:2], 10))
    except ValueError as error:  # Python's limit for the digits of an integer
        raise FormatError("It has a number with too many digits", line=line) from error
