"""The reference has all that can be called, raised, typed and set, each where one looks for it."""

import inspect
import re
from collections import Counter
from importlib import import_module

import click
import pytest
import yaml

import rnnkit
import rnnkit.compare
import rnnkit.testing
from docs.site.api_markdown import DIRECTIVE, documented
from docs.site.error_messages import SOURCE, VALIDATION, Messages, with_index
from rnnkit import Catalog, LockWarning, RnnkitError, errors
from rnnkit.cli.group import commands
from rnnkit.testing import use_catalog
from tests.helpers import pages
from tests.helpers.pages import ROOT

REFERENCE = ROOT / "docs/reference"
PUBLIC = [f"{module.__name__}.{name}" for module in (rnnkit, rnnkit.compare, rnnkit.testing) for name in module.__all__]
DIRECTIVES = [name for page in (ROOT / "docs").rglob("*.md") for name, _ in DIRECTIVE.findall(page.read_text("utf-8"))]
STATES = {
    "rnnkit_builtin._torch_backbone.HiddenState",
    "rnnkit_builtin.lstm.LSTMState",
    "rnnkit_builtin.lstm_cell.LSTMCellState",
}
PLANS = {f"rnnkit.plan.{name}" for name in ("Executor", "Plan", "Refusal", "Regularization", "plan_for", "unroll")}
RAISED = [each for each in vars(errors).values() if inspect.isclass(each) and issubclass(each, Exception)]
RAISED.append(rnnkit.testing.CheckFailedError)
ERRORS = REFERENCE / "errors.md"


def test_every_public_name_is_documented_once():
    assert Counter(DIRECTIVES) == Counter([*PUBLIC, *STATES, *PLANS])


@pytest.mark.parametrize("name", DIRECTIVES)
def test_documented_names_exist_and_have_docstrings(name):
    module, _, attribute = name.rpartition(".")
    documentation = documented(name, {})
    assert documentation.startswith(f"## {name}\n")
    if inspect.isroutine(value := getattr(import_module(module), attribute)):
        assert all(
            f"{each}:" in documentation or f"*{each}" in documentation for each in inspect.signature(value).parameters
        )
    assert len(documentation.splitlines()) > 4, "a name, and nothing about it"


@pytest.mark.parametrize("name", PUBLIC)
def test_index_links_to_every_public_name(name):
    if name.endswith(("Error", "Warning")):
        assert re.search(rf"\]\(#{name}\)|\]\[{name}\]", ERRORS.read_text("utf-8"))
    else:
        assert f"][{name}]" in (REFERENCE / "index.md").read_text("utf-8")


def members_of(name):
    """The headings of a class on its page."""
    [options] = [
        options
        for page in REFERENCE.rglob("*.md")
        for found, options in DIRECTIVE.findall(page.read_text("utf-8"))
        if found == name
    ]
    return re.findall(
        rf"^### {re.escape(name)}\.(\w+)$",
        documented(name, (yaml.safe_load(options) or {}).get("options", {})),
        re.MULTILINE,
    )


def test_model_page_omits_members_of_every_module():
    members = ["forward", "step", "step_module", "device", "dtype", "initial_state", "reset_state", "select_state"]
    assert members_of("rnnkit.RecurrentModel") == [*members, "merge_directions", "restore_state"]
    own = {"new_parameter", "project", "step", "unroll", "unroll_layers", "symbols", "set_forget_bias"}
    assert own <= set(members_of("rnnkit.Cell"))
    assert not {"_unroll_origin", "cuda", "train"} & set(members_of("rnnkit.Cell"))


def test_listed_members_exist():
    pages = [page.read_text("utf-8") for page in REFERENCE.rglob("*.md")]
    options = [(name, yaml.safe_load(given) or {}) for page in pages for name, given in DIRECTIVE.findall(page)]
    listed = {name: each["options"]["members"] for name, each in options if "members" in each.get("options", {})}
    assert "rnnkit.Catalog" in listed
    for name, members in listed.items():
        module, _, cls = name.rpartition(".")
        documented_class = getattr(import_module(module), cls)
        existing = {*dir(documented_class), *documented_class.__annotations__}
        assert [each for each in members if each not in existing] == [], name


@pytest.mark.parametrize("cls", [rnnkit.RecurrentSpec, rnnkit.StackOptions, rnnkit.InitOptions, rnnkit.Kind])
def test_fields_are_in_the_signature_and_have_descriptions(cls):
    documentation = documented(f"rnnkit.{cls.__name__}", {})
    signature = documentation.split("```")[1]
    assert all(re.search(rf"\b{name}: ", signature) for name in cls.__dataclass_fields__)
    for name in cls.__annotations__:
        assert re.search(
            rf"^(- `{name}` \(`.+`\): |### \S+\.{name}\n\n```python\n.+\n```\n\n)[\w`]", documentation, re.MULTILINE
        )
    assert "Annotated" not in documentation
    assert "_Size" not in documentation


# errors


@pytest.fixture(scope="module")
def raised_on_the_page(tmp_path_factory):
    """Run the page of errors, and record which are raised or warned of by the code below each heading."""
    folder, source = tmp_path_factory.mktemp("errors"), ERRORS.read_text("utf-8")
    section, recorded = [""], []

    def noting(cls, *args, **kwargs):
        error = Exception.__new__(cls, *args, **kwargs)
        recorded.append((section[0], error))
        return error

    def printed_by(code, names, page, run=pages.printed_by):
        section[0] = (["", *(name for name, _ in DIRECTIVE.findall(source[: source.index(code)]))])[-1]
        return run(code, names, page)

    with pytest.MonkeyPatch.context() as patch, use_catalog(Catalog()):
        patch.syspath_prepend(folder)
        patch.chdir(folder)
        patch.setattr(pages, "printed_by", printed_by)
        for root in (RnnkitError, LockWarning, rnnkit.WeightWarning, rnnkit.DeprecatedKindWarning):
            patch.setattr(root, "__new__", noting, raising=False)
        pages.run_page(ERRORS, folder)
    return recorded


def shown_below(name):
    """Return the output shown in the examples of an error."""
    source = ERRORS.read_text("utf-8")
    parts = re.split(r"^::: (\S+)$", source, flags=re.MULTILINE)
    below = dict(zip(parts[1::2], parts[2::2], strict=True))[name]
    return "\n".join(shown for _, _, shown in pages.BLOCK.findall(below))


@pytest.mark.parametrize("cls", RAISED)
def test_example_raises_the_error_with_the_shown_message(cls, raised_on_the_page):
    name = f"{'rnnkit.testing' if 'testing' in cls.__module__ else 'rnnkit'}.{cls.__name__}"
    of_section = [error for section, error in raised_on_the_page if section == name]
    if cls is RnnkitError:  # the base of all, which is caught and not raised
        assert of_section[0].__traceback__ is not None
        return
    own = [error for error in of_section if type(error) is cls]
    assert own, f"nothing below the heading of {name} raises it"
    assert issubclass(cls, Warning) or own[-1].__traceback__ is not None
    assert str(own[-1])
    assert str(own[-1]) in shown_below(name)


@pytest.mark.parametrize("cls", RAISED)
def test_error_has_instructions(cls):
    source = ERRORS.read_text("utf-8")
    heading = source.index(f"::: rnnkit.{'testing.' if 'testing' in cls.__module__ else ''}{cls.__name__}\n")
    below = source[heading + 4 :].partition("\n::: ")[0]
    assert "**How to fix it.**" in below or cls is RnnkitError


def test_index_has_every_message():
    page = ERRORS.read_text("utf-8")
    assert page == with_index(page), "if that is right: python -m docs.site.error_messages"


@pytest.mark.parametrize("cls", RAISED)
def test_index_has_a_message_of_every_error(cls):
    indexed = set(Messages(SOURCE).index().values())
    assert cls is RnnkitError or cls.__name__ in {each.rpartition(".")[2] for each in indexed}


def test_index_has_the_words_of_raised_messages(raised_on_the_page):
    """Each message that an example raises has the words of an entry of its class, or of a field of a spec file."""
    entries = Messages(SOURCE).index().items()
    # the last one of each section is shown; earlier ones can be reasons of checks, which the index leaves out
    raised = {(section, type(error).__name__): str(error) for section, error in raised_on_the_page if section}
    assert len(raised) > 10
    for (_, cls), message in raised.items():
        classes = {cls, f"testing.{cls}", VALIDATION}
        patterns = [re.escape(text).replace("…", ".*") for text, of in entries if of in classes]
        assert any(re.search(each, message, re.DOTALL) for each in patterns), message


# the command


def section_of(page, name):
    """Return the section of a command."""
    found = re.search(
        rf"^## (?:`rnnkit )?{name}`?(?: \{{[^}}\n]*\}})?$(.*?)(?=^## |\Z)", page, re.MULTILINE | re.DOTALL
    )
    assert found, f"no heading for the command {name}"
    return found[1]


CONTEXT = click.Context(commands)
COMMANDS = {name: commands.get_command(CONTEXT, name) for name in commands.list_commands(CONTEXT)}


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_a_section_with_an_example(name):
    assert f"$ rnnkit {name}" in section_of((REFERENCE / "command.md").read_text("utf-8"), name)


@pytest.mark.parametrize("name", COMMANDS)
def test_arguments_and_options_are_documented(name):
    section = section_of((REFERENCE / "command_options.md").read_text("utf-8"), name)
    for parameter in COMMANDS[name].params:
        reported = parameter.opts if isinstance(parameter, click.Option) else [parameter.make_metavar(CONTEXT)]
        for each in reported:
            assert re.search(rf"(?<!\S){re.escape(each)}(?![\w-])", section), f"rnnkit {name}: {each}"


# the environment


def variables():
    """The environment variables that the sources ask for by their names."""
    text = "\n".join(path.read_text("utf-8") for path in (ROOT / "registry").rglob("*.py"))
    asked = re.findall(r"environ(?:\.get\(|\[)\"(\w+)\"", text)
    return sorted({*asked, *re.findall(r"_?RNNKIT_[A-Z]+(?:_[A-Z]+)*", text), "COLUMNS"})


def test_sources_read_environment_variables():
    assert {"RNNKIT_ALLOW_PLUGINS", "RNNKIT_STRICT_PLUGINS", "_RNNKIT_COMPLETE", "NO_COLOR"} <= set(variables())


@pytest.mark.parametrize("name", variables())
def test_environment_variables_are_documented(name):
    assert f"| `{name}` |" in (REFERENCE / "index.md").read_text("utf-8")
