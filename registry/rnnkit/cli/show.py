"""`rnnkit show`: shows a kind, or an exported ONNX file."""

from __future__ import annotations

import warnings
from dataclasses import asdict
from textwrap import dedent
from typing import TYPE_CHECKING, Any

import click

from rnnkit import InputError, RnnkitError, current_catalog
from rnnkit._messages import as_text
from rnnkit.cli.command import RnnkitCommand, json_option
from rnnkit.cli.completion import complete_kind
from rnnkit.cli.console import Console
from rnnkit.equation import equation_text
from rnnkit.errors import DeprecatedKindWarning

if TYPE_CHECKING:
    from rnnkit import Kind


@click.command(cls=RnnkitCommand)
@click.argument("kind", shell_complete=complete_kind)
@click.option("--bibtex", "as_bibtex", is_flag=True, help="Show its papers as BibTeX entries only.")
@json_option
@click.pass_obj
def command(console: Console, *, kind: str, as_bibtex: bool, as_json: bool) -> None:
    """Show a kind: its equation, options and size.

    Loads the plugin of KIND. If KIND is the path of an .onnx file that `rnnkit export` wrote, shows its inputs, outputs
    and spec, and loads no plugin.
    """
    if kind.lower().endswith(".onnx"):
        file_facts = _file_facts(kind)
        console.json(file_facts) if as_json else _show_file(console, file_facts)
        return
    if as_bibtex:
        console.text(_bibtex(kind))
        return
    facts = _facts(kind)
    console.json(facts) if as_json else _show(console, facts)


def _file_facts(path: str) -> dict[str, Any]:
    from rnnkit.files import read_onnx_metadata

    return {"path": path, **asdict(read_onnx_metadata(path))}


def _show_file(console: Console, facts: dict[str, Any]) -> None:
    from rnnkit.files.spec import write_document

    console.text(facts["path"], bold=True)
    console.text(f"Written with: {', '.join(f'{name} {version}' for name, version in facts['versions'].items())}")
    for heading in ("inputs", "outputs"):
        console.text(f"\n{heading.capitalize()}", bold=True)
        for each in facts[heading]:
            shape = ", ".join(map(str, each["shape"])) + "," * (len(each["shape"]) == 1)
            console.text(f"{each['name']}: {each['dtype']}, ({shape})", indent=2)
    console.text("\nSpec", bold=True)
    for line in write_document(facts["spec"], ".yaml").decode().splitlines():
        console.text(line, indent=2)


def _facts(name: str) -> dict[str, Any]:
    from rnnkit.introspection import describe_options

    catalog = current_catalog()
    kind, candidate = catalog.get(name), catalog.resolve(name).require()
    return {
        "kind": candidate.name,
        "distribution": candidate.distribution,
        "version": candidate.version,
        "notices": [as_text(each) for each in (catalog.alias_message(name), catalog.deprecation(name)) if each],
        "summary": as_text(kind.summary),
        "keywords": [as_text(name) for name in kind.keywords],
        "equation": dedent(as_text(kind.equation)).strip(),
        "family": as_text(kind.family),
        "papers": _papers(kind),
        "notes": [as_text(note) for note in kind.notes],
        "inapplicable_checks": {name: as_text(reason) for name, reason in kind.inapplicable_checks.items()},
        "sizes_per_layer": bool(kind.sizes_per_layer),
        "example": _example(candidate.name),
        "options": [field._asdict() for field in describe_options(kind.options)],
    }


def _bibtex(name: str) -> str:
    kind = current_catalog().get(name)
    if not kind.papers:
        raise InputError(f"The kind {name!r} names no paper")
    return kind.bibtex()


def _papers(kind: Kind) -> list[dict[str, str]]:
    from rnnkit import Paper

    papers = [paper for paper in kind.papers if isinstance(paper, Paper)]
    return [{name: as_text(value) for name, value in paper._asdict().items()} for paper in papers]


def _example(name: str) -> dict[str, Any]:
    """Return the number of parameters of a model with one layer; None and the reason if it is unknown."""
    from rnnkit.cli._kinds import SIZES, example_spec
    from rnnkit.introspection.model_summary import count_spec_parameters

    try:
        with warnings.catch_warnings(action="ignore", category=DeprecatedKindWarning):  # shown already
            spec = example_spec(name)
        parameters = count_spec_parameters(spec)
    except RnnkitError as error:
        return {**SIZES, "parameters": None, "note": str(error)}
    return {**SIZES, "parameters": parameters, "note": ""}


def _show(console: Console, facts: dict[str, Any]) -> None:
    console.text(facts["kind"], bold=True)
    console.text(facts["summary"])
    for notice in facts["notices"]:
        console.text(notice)
    if facts["equation"]:
        console.text("")
        text = equation_text(facts["equation"])
        console.text(text if console.encodes(text) else facts["equation"], indent=2)
    console.text("")
    for line in _origin(facts):
        console.text(line)
    console.text(_shown_example(facts["example"]))
    _show_options(console, facts["options"])


def _origin(facts: dict[str, Any]) -> list[str]:
    sizes = "one for all layers, or one for each layer" if facts["sizes_per_layer"] else "one for all layers"
    lines = [f"Provided by: {facts['distribution']} {facts['version']}"]
    lines += [f"Keywords: {', '.join(facts['keywords'])}"] if facts["keywords"] else []
    lines += [f"Family: {facts['family']}"] if facts["family"] else []
    lines += [_cited(paper) for paper in facts["papers"]]
    lines.append(f"Hidden sizes: {sizes}")
    lines += [f"Note: {note}" for note in facts["notes"]]
    return [*lines, *[f"Check {name} does not apply: {why}" for name, why in facts["inapplicable_checks"].items()]]


def _cited(paper: dict[str, str]) -> str:
    text = f"Paper: {paper['title']}. {paper['authors']}, {paper['year']}. {paper['link']}"
    return f"{text} ({paper['contribution']})" if paper["contribution"] else text


def _shown_example(example: dict[str, Any]) -> str:
    sizes = f"input_size {example['input_size']}, hidden_size {example['hidden_size']}"
    if example["parameters"] is None:
        return f"Parameters: unknown with {sizes}: {example['note']}"
    return f"Parameters: {example['parameters']:,} with {sizes} and one layer"


def _show_options(console: Console, options: list[dict[str, Any]]) -> None:
    console.text("\nOptions" if options else "\nOptions: none", bold=True)
    for option in options:
        console.text(f"{option['name']}: {option['type']} = {option['default']}", indent=2)
        console.text(option["text"], indent=6)
