"""Renders docstrings as Markdown for the API pages: signatures as code, sections as lists, LaTeX unchanged."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import griffe

ROOT = Path(__file__).parents[2]
PACKAGES = [ROOT / "registry", ROOT / "plugins"]
EXTENSIONS = ("readable_api", "torch_inventory")  # as in mkdocs.yml
WIDTH = 88
DIRECTIVE = re.compile(r"^::: (?P<name>[\w.]+)\n(?P<options>(?:[ \t]+\S.*\n|[ \t]*\n(?=[ \t]+\S))*)", re.MULTILINE)


def documented(name: str, options: dict[str, Any]) -> str:
    """An object, and the members of a class, as Markdown.

    Args:
        name: as it stands after `:::`.
        options: what stands below it; `members`, `filters` and `heading_level` count.

    Raises:
        KeyError: there is nothing of that name.
    """
    found = _object(name)
    level = options.get("heading_level", 2)
    parts = [f"{'#' * level} {name}", *_described(found, name.rpartition(".")[2])]
    for member in _members(found, options) if isinstance(found, griffe.Class) else []:
        parts += [f"{'#' * (level + 1)} {name}.{member.name}", *_described(member, member.name)]
    return "\n\n".join(parts) + "\n"


@cache
def _package(name: str) -> griffe.Object | griffe.Alias:
    extensions = griffe.load_extensions(*(str(ROOT / f"docs/site/{each}.py") for each in EXTENSIONS))
    return griffe.load(name, search_paths=PACKAGES, extensions=extensions, docstring_parser="google")


def _object(path: str) -> griffe.Object:
    package, _, rest = path.partition(".")
    found: Any = _package(package)[rest]
    target: griffe.Object = found.final_target if isinstance(found, griffe.Alias) else found
    return target


def _members(cls: griffe.Class, options: dict[str, Any]) -> Iterator[griffe.Object]:
    """The members that the page has: those with a docstring that its options do not leave out."""
    for name, member in cls.members.items():
        if isinstance(member, griffe.Object) and member.docstring and _is_shown(name, options):
            yield member


def _is_shown(name: str, options: dict[str, Any]) -> bool:
    filters = options.get("filters", ["!^_"])
    left_out = any(re.search(each.removeprefix("!"), name) for each in filters)
    return not left_out and name in options.get("members", [name])


def _described(found: griffe.Object, name: str) -> Iterator[str]:
    if signature := _signature(found, name):
        yield f"```python\n{signature}\n```"
    if isinstance(found, griffe.Class) and found.bases:
        yield f"Bases: {', '.join(f'`{base}`' for base in found.bases)}"
    for section in found.docstring.parse("google") if found.docstring else []:
        yield _section(section)


def _signature(found: griffe.Object, name: str) -> str:
    if isinstance(found, griffe.Attribute):
        annotation = f": {found.annotation}" if found.annotation else ""
        return f"{name}{annotation}" if found.value is None else f"{name}{annotation} = {found.value}"
    if isinstance(found, griffe.Class):
        init = found.members.get("__init__")
        return _broken(init.signature(name=name, return_type=False)) if isinstance(init, griffe.Function) else ""
    if isinstance(found, griffe.Function):
        return "\n".join(_broken(each.signature(name=name)) for each in found.overloads or [found])
    return ""


def _broken(signature: str) -> str:
    """A signature with a line for each parameter, if it does not fit on one."""
    if len(signature) <= WIDTH:
        return signature
    name, _, rest = signature.partition("(")
    depth, start, parameters = 0, 0, []
    for place, character in enumerate(rest):
        depth += (character in "([{") - (character in ")]}")
        if depth < 0 or (depth == 0 and character == ","):
            parameters.append(rest[start:place].strip())
            start = place + 1
        if depth < 0:
            break
    return "\n".join([f"{name}(", *(f"    {each}," for each in parameters), f"){rest[start:]}"])


def _section(section: griffe.DocstringSection) -> str:
    value: Any = section.value
    if section.kind is griffe.DocstringSectionKind.text:
        return str(value)
    title = section.title or section.kind.value.replace("_", " ").capitalize()
    if section.kind is griffe.DocstringSectionKind.admonition:
        return f"**{title}:** {value.description}"
    return "\n".join([f"**{title}:**", "", *map(_item, value)])


def _item(item: Any) -> str:
    """One line of a list: a parameter, a field, an error, what is returned."""
    name, annotation = getattr(item, "name", ""), item.annotation
    label = f"`{name}` (`{annotation}`)" if name and annotation else f"`{name or annotation}`"
    description = " ".join(item.description.split("\n"))
    return f"- {label}: {description}" if name or annotation else f"- {description}"
