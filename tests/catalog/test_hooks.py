"""The hooks are called as their reference documents, and the reference has all of them."""

import inspect
import re
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
from torch import nn
from torch.nn.utils import parametrizations, parametrize

from rnnkit import (
    BuildError,
    Catalog,
    CheckpointError,
    PluginError,
    RecurrentModel,
    build_model,
    get_kind,
    hookimpl,
    hookspecs,
    load_model,
    register_kind,
    save_model,
    summarize_spec,
    verify_model,
)
from rnnkit.catalog.registration import register_hooks
from rnnkit.testing import use_catalog
from tests.helpers.hang import HANG
from tests.helpers.models import small_input, small_model, small_spec
from tests.helpers.pages import ROOT

# A plugin that builds `rnn_cell` under the names in KINDS, and notes in `calls` which models its hook sees.
PLUGIN = """
from dataclasses import replace

from rnnkit import get_kind


def build(spec, *, device, dtype):
    return get_kind("rnn_cell").builder(replace(spec, kind="rnn_cell", options={}), device=device, dtype=dtype)


class Plugin:
    def __init__(self, *kinds):
        self.kinds = kinds

    @hookimpl
    def register_kinds(self, register):
        for name in self.kinds:
            register(kind(name, builder=build))

    @hookimpl
    def after_build(self, spec, model):
        calls.append((spec.kind, self.kinds))


"""


def plugin_of(*kinds, after_build=""):
    """The source of a module with the hooks of a `Plugin`, the second of which can be replaced."""
    after_build = after_build or "after_build = plugin.after_build"
    return f"{PLUGIN}plugin = Plugin(*{kinds!r})\nregister_kinds = plugin.register_kinds\n{after_build}\n"


class Noting:
    """An object whose hook notes its name."""

    def __init__(self, name="mine", notes=None):
        self.name = name
        self.notes = [] if notes is None else notes

    @hookimpl
    def after_build(self, spec, model):
        self.notes.append((self.name, spec, model))


class First(Noting):
    @hookimpl(tryfirst=True)
    def after_build(self, spec, model):
        super().after_build(spec, model)


class Last(Noting):
    @hookimpl(trylast=True)
    def after_build(self, spec, model):
        super().after_build(spec, model)


def hook(function):
    """An object with a function as its hook."""

    class Hook:
        after_build = staticmethod(hookimpl(function))

        def __repr__(self):
            return "<my hook>"

    return Hook()


@pytest.fixture(autouse=True)
def catalog():
    """A catalog of its own for each test, so that none sees another's hooks."""
    with use_catalog(Catalog()) as catalog:
        yield catalog


# For whom it is called, and in which order


def test_the_hook_sees_the_whole_model_and_its_spec(kind):
    noting, spec = Noting(), small_spec(kind)
    with register_hooks(noting):
        model = build_model(spec, dtype=torch.float64)
    [(_, spec_seen, model_seen)] = noting.notes
    assert model_seen is model
    assert spec_seen is model.spec is spec
    assert {parameter.dtype for parameter in model_seen.parameters()} == {torch.float64}
    assert model_seen.readout.linear.out_features == 2


def test_plugin_hook_is_called_for_its_own_kinds_only(plugins):
    module = plugins.install("one", "two", source=plugin_of("one", "two"), distribution="acme")
    other = plugins.install("three", source=plugin_of("three"), distribution="other-cells")
    for name in ("one", "gru", "two", "three", "rnn_cell"):
        small_model(name)
    assert [kind for kind, _ in plugins.module(module).calls] == ["acme/one", "acme/two"]
    assert [kind for kind, _ in plugins.module(other).calls] == ["other-cells/three"]


def test_plugin_is_not_imported_for_other_kinds(plugins):
    """Installing a package never changes what another builds."""
    hostile = "def after_build(spec, model):\n    raise RuntimeError('called')\n\n\nraise RuntimeError('imported')\n"
    plugins.install("hostile", source=hostile, distribution="a-hostile-one")
    plugins.install("gru", source=hostile, distribution="another-hostile-one")
    module = plugins.install("mine", source=plugin_of("mine"), distribution="z-mine")
    expected = seeded_parameters("rnn_cell")
    torch.testing.assert_close(seeded_parameters("mine"), expected, rtol=0, atol=0)
    small_model("gru")
    assert plugins.imported() == [module]


def seeded_parameters(name):
    torch.manual_seed(0)
    return list(small_model(name).parameters())


def test_loaded_plugin_is_not_called_for_other_kinds(plugins):
    raising = plugin_of("mine", after_build="@hookimpl\ndef after_build(spec, model): raise RuntimeError('called')")
    plugins.install("mine", source=raising, distribution="acme")
    get_kind("mine")
    small_model("rnn_cell")
    small_model("mixed")
    with pytest.raises(PluginError, match="called"):
        small_model("mine")


def test_hook_of_the_registering_object_is_called(plugins):
    source = f"{PLUGIN}one, two = Plugin('one'), Plugin('two')\n"
    module = plugins.install("one", source=source, plugin="one", distribution="acme")
    with (plugins.folder(module) / "acme-1.0.dist-info" / "entry_points.txt").open("a") as file:
        file.write(f"two = {module}:two\n")
    for name in ("two", "one", "two"):
        small_model(name)
    assert plugins.module(module).calls == [("acme/two", ("two",)), ("acme/one", ("one",)), ("acme/two", ("two",))]


def test_hook_of_an_inner_kind_is_not_called(plugins):
    base = plugins.install("base", source=plugin_of("base"), distribution="acme")
    plugins.install("upon", source=plugin_of("upon").replace("rnn_cell", "base"), distribution="other-cells")
    small_model("upon")
    assert plugins.module(base).calls == []


# A plugin with an old name of its kind too.
RENAMED = f"""{plugin_of("new")}
from rnnkit import KindAlias


@hookimpl
def register_kinds(register):
    plugin.register_kinds(register)
    register(KindAlias(name='old', kind='new', since='1'))
"""


def test_alias_of_another_plugin_keeps_loaded_hooks(plugins):
    module = plugins.install("mine", source=plugin_of("mine"), distribution="acme")
    plugins.install("new", "old", source=RENAMED, distribution="other-cells")
    small_model("mine")
    with pytest.warns(FutureWarning):
        small_model("old")
    small_model("mine")
    assert len(plugins.module(module).calls) == 2


def test_an_old_name_leads_to_the_hook_of_the_new_one(plugins):
    module = plugins.install("new", "old", source=RENAMED, distribution="acme")
    with pytest.warns(FutureWarning):
        small_model("old")
    assert plugins.module(module).calls == [("acme/new", ("new",))]


def test_hook_order_is_plugin_then_registration(plugins):
    notes = []
    plugin = plugin_of("mine", after_build="@hookimpl(trylast=True)\ndef after_build(model): model.seen = ['plugin']")
    plugins.install("mine", source=plugin, distribution="acme")
    for each in (Last("a", notes), Noting("b", notes), First("c", notes), Last("d", notes), First("e", notes)):
        register_hooks(each)
    register_hooks(hook(lambda model: model.seen.append("object")))
    model = small_model("mine")
    assert [name for name, _, _ in notes] == ["a", "b", "c", "d", "e"]
    assert model.seen == ["plugin", "object"]


@pytest.mark.parametrize("arguments", ["", "spec", "model", "spec, model", "model, spec"])
def test_hook_takes_any_arguments_in_any_order(plugins, arguments):
    source = f"@hookimpl\ndef after_build({arguments}): calls.append(dict({arguments_as_keywords(arguments)}))"
    module = plugins.install("mine", source=plugin_of("mine", after_build=source), distribution="acme")
    noting = hook(eval(f"lambda {arguments}: seen.append(dict({arguments_as_keywords(arguments)}))", {"seen": []}))  # noqa: S307  # in words
    register_hooks(noting)
    model = small_model("mine")
    [of_plugin] = plugins.module(module).calls
    [of_object] = noting.after_build.__globals__["seen"]
    everything = {"spec": model.spec, "model": model}
    assert of_plugin == of_object == {name: everything[name] for name in re.findall(r"\w+", arguments)}


def arguments_as_keywords(arguments):
    return ", ".join(f"{name}={name}" for name in re.findall(r"\w+", arguments))


def test_local_kinds_have_the_hooks_that_are_registered():
    noting = Noting()
    register_hooks(noting)
    register_kind("mine")(lambda spec, **where: get_kind("gru").builder(small_spec("gru"), **where))
    model = small_model("mine")
    assert [seen for _, _, seen in noting.notes] == [model]


# Registering objects


def test_an_object_is_called_until_it_is_removed():
    noting = Noting()
    registered = register_hooks(noting)
    small_model("gru")
    registered.remove()
    registered.remove()  # once more does no harm
    small_model("gru")
    assert len(noting.notes) == 1
    register_hooks(noting)  # which it may be again
    small_model("gru")
    assert len(noting.notes) == 2


@pytest.mark.parametrize("error", [None, RuntimeError, KeyboardInterrupt])
def test_with_block_removes_hooks_after_an_exception(error):
    noting = Noting()
    try:
        with register_hooks(noting) as registered:
            assert registered.owner is noting
            small_model("gru")
            if error is not None:
                raise error
    except (RuntimeError, KeyboardInterrupt):
        pass
    small_model("gru")
    assert len(noting.notes) == 1


def test_removing_one_leaves_the_others_in_their_order():
    notes = []
    registered = [register_hooks(Noting(name, notes)) for name in "abcd"]
    registered[1].remove()
    small_model("gru")
    assert [name for name, _, _ in notes] == ["a", "c", "d"]


def test_hooks_belong_to_their_catalog():
    outer, inner = Noting(), Noting()
    registered = register_hooks(outer)
    with use_catalog(Catalog()):
        register_hooks(inner)
        small_model("gru")
        registered.remove()  # from where it is
    small_model("gru")
    assert (len(outer.notes), len(inner.notes)) == (0, 1)


def test_a_module_may_be_registered(plugins):
    module = plugins.install("mine", source="@hookimpl\ndef after_build(model): calls.append(model)\n")
    __import__(module)
    register_hooks(plugins.module(module))
    assert plugins.module(module).calls == [small_model("gru")]


class Unmarked:
    def after_build(self, spec, model): ...


class Misspelt:
    @hookimpl
    def after_built(self, spec, model): ...


class WrongArguments:
    @hookimpl
    def after_build(self, spec, model, device): ...


class Registering(Noting):
    @hookimpl
    def register_kinds(self, register): ...


@hookimpl
def after_build(spec, model): ...


@pytest.mark.parametrize(
    ("owner", "message"),
    [
        (
            Noting,
            r"<class '.*Noting'> cannot be used: it is a class. Register an object of it: register_hooks(Noting()).",
        ),
        (after_build, "it is a function. Make it a method of a class, and register an object of it."),
        (object(), "it has no hook `after_build`. Write one, marked with `@rnnkit.hookimpl`."),
        (None, "The hooks of None cannot be used: it has no hook `after_build`."),
        (Unmarked(), "its function `after_build` is not marked. Put `@rnnkit.hookimpl` on it."),
        (
            Misspelt(),
            "it marks 'after_built', which is not a hook of rnnkit. Did you mean 'after_build'? The hooks are",
        ),
        (WrongArguments(), "its hook is `after_build(spec, model, device)`. Write `def after_build(spec, model):`."),
        (Registering(), "it has the hook `register_kinds`, which is for plugins. Use rnnkit.register_kind."),
    ],
    ids=["class", "function", "hookless", "none", "unmarked", "misspelt", "arguments", "register_kinds"],
)
def test_what_cannot_be_called_is_refused_at_once(owner, message):
    pattern = re.escape(message).replace(r"\.\*", ".*")
    with pytest.raises(PluginError, match=pattern):
        register_hooks(owner)
    small_model("gru")


def test_an_object_is_registered_once():
    noting = Noting()
    register_hooks(noting)
    with pytest.raises(PluginError, match="it is registered already"):
        register_hooks(noting)
    small_model("gru")
    assert len(noting.notes) == 1


def test_objects_that_are_equal_are_two():
    class Equal(Noting):
        __hash__ = None

        def __eq__(self, other):
            return True

    one, other = Equal(), Equal()
    register_hooks(one)
    register_hooks(other).remove()
    small_model("gru")
    assert (len(one.notes), len(other.notes)) == (1, 0)


def test_threads_that_register_at_once_lose_nothing():
    threads, notes = 32, []
    start = threading.Barrier(threads)

    def register(name):
        start.wait(timeout=HANG)
        return register_hooks(Noting(name, notes))

    with ThreadPoolExecutor(threads) as pool:
        registered = list(pool.map(register, range(threads), timeout=HANG))
        small_model("gru")
        assert sorted(name for name, _, _ in notes) == list(range(threads))
        list(pool.map(lambda each: each.remove(), registered, timeout=HANG))
    small_model("gru")
    assert len(notes) == threads


# Errors in hooks


@pytest.mark.parametrize("error", ["ValueError", "SystemExit"])
def test_what_a_plugins_hook_raises_is_the_plugins_mistake(plugins, error):
    raising = f"@hookimpl\ndef after_build(model): raise {error}('stuck')"
    plugins.install("mine", source=plugin_of("mine", after_build=raising), distribution="acme")
    spec = small_spec("mine")
    with pytest.raises(PluginError) as caught:
        build_model(spec)
    assert (
        f"(distribution acme 1.0, entry point 'mine') is broken: its hook `after_build` raised {error}: stuck"
        in str(caught.value)
    )
    assert type(caught.value.__cause__).__name__ == error


def test_what_a_users_hook_raises_passes_with_a_note():
    def raising(model):
        raise ZeroDivisionError("mine")

    register_hooks(hook(raising))
    with pytest.raises(ZeroDivisionError, match="mine") as caught:
        small_model("gru")
    assert caught.value.__notes__ == ["in the hook `after_build` of <my hook>, which register_hooks registered"]


def test_a_hook_of_a_plugin_that_returns_something_is_refused(plugins):
    source = plugin_of("mine", after_build="@hookimpl\ndef after_build(model): return model")
    plugins.install("mine", source=source, distribution="acme")
    with pytest.raises(PluginError) as caught:
        small_model("mine")
    assert "its hook `after_build` returned a RecurrentModel. A hook of rnnkit returns nothing." in str(caught.value)


@pytest.mark.parametrize("result", [False, 0, (), "model"])
def test_a_hook_of_a_user_that_returns_something_is_refused(result):
    register_hooks(hook(lambda model: result))
    with pytest.raises(PluginError, match=r"its hook `after_build` returned a \w+\. A hook of rnnkit"):
        small_model("gru")


@pytest.mark.parametrize(
    ("source", "message"),
    [
        (
            "@hookimpl\ndef after_build(spec, net): pass",
            "its hook is `after_build(spec, net)`. Write `def after_build(spec, model):`.",
        ),
        (
            "@hookimpl\ndef after_built(model): pass",
            "Did you mean 'after_build'? The hooks are `after_build`, `register_commands`, `register_executors`",
        ),
        (
            "@hookimpl(specname='after_build')\ndef initialise(net): pass",
            "its hook is `initialise(net)`. Write `def after_build(spec, model):`.",
        ),
        (
            "@hookimpl(wrapper=True)\ndef after_build(model): pass",
            "its hook is a wrapper that does not yield. Write a plain function.",
        ),
        (
            "@hookimpl\ndef after_build(*, spec, model): pass",
            "its hook is `after_build(*, spec, model)`. Write `def after_build(spec, model):`.",
        ),
        (
            "@hookimpl\ndef after_build(spec, model=None): pass",
            "its hook is `after_build(spec, model=None)`. Write `def after_build(spec, model):`.",
        ),
        (
            "@hookimpl\ndef after_build(**arguments): pass",
            "its hook is `after_build(**arguments)`. Write `def after_build(spec, model):`.",
        ),
    ],
)
def test_invalid_hook_breaks_its_plugin_at_load(plugins, source, message):
    plugins.install("mine", source=plugin_of("mine", after_build=source), distribution="acme")
    with pytest.raises(PluginError, match=re.escape(message)):
        get_kind("mine")


TWO_YIELDS = "@hookimpl({}=True)\ndef after_build(model):\n    yield\n    yield"


@pytest.mark.parametrize("style", ["wrapper", "hookwrapper"])
def test_wrapper_that_yields_twice_is_an_error_of_its_plugin(plugins, style):
    source = plugin_of("mine", after_build=TWO_YIELDS.format(style))
    plugins.install("mine", source=source, distribution="acme")
    with pytest.raises(
        PluginError, match=r"distribution acme 1\.0.* its hook `after_build` raised RuntimeError: .*yield"
    ):
        small_model("mine")


def test_wrapper_of_a_user_that_yields_twice_is_named():
    class Twice:
        @hookimpl(wrapper=True)
        def after_build(self, model):
            yield
            yield

    with register_hooks(Twice()), pytest.raises(RuntimeError, match="yield") as caught:
        small_model("gru")
    assert "in the hook `after_build` of <" in caught.value.__notes__[0]


def test_unknown_optional_hook_is_ignored(plugins):
    later = "@hookimpl(optionalhook=True)\ndef after_training(model, losses): raise RuntimeError"
    plugins.install("mine", source=plugin_of("mine", after_build=later), distribution="acme")
    assert isinstance(small_model("mine"), RecurrentModel)


def test_a_hook_may_have_another_name_in_its_module(plugins):
    source = "@hookimpl(specname='after_build')\ndef initialise(model): calls.append(model)"
    module = plugins.install("mine", source=plugin_of("mine", after_build=source), distribution="acme")
    assert [small_model("mine")] == plugins.module(module).calls


# Models that are built for other ends: on meta, and to be filled from a file


def all_ones(model):
    for parameter in model.parameters():
        nn.init.ones_(parameter)


def test_initializer_hook_does_not_change_loaded_weights(kind, tmp_path):
    trained = small_model(kind)
    save_model(trained, tmp_path / "model.safetensors")
    with register_hooks(hook(all_ones)):
        assert all((parameter == 1).all() for parameter in small_model(kind).parameters())
        loaded = load_model(tmp_path / "model.safetensors")
        assert verify_model(tmp_path / "model.safetensors").drift == 0
        assert summarize_spec(trained.spec).parameters == sum(each.numel() for each in trained.parameters())
        build_model(trained.spec, device="meta")
    torch.testing.assert_close(dict(loaded.state_dict()), dict(trained.state_dict()), rtol=0, atol=0)


def test_random_numbers_of_a_hook_are_not_seen_after_loading(tmp_path):
    save_model(small_model("gru"), tmp_path / "model.safetensors")
    torch.manual_seed(1)
    expected = torch.rand(3)
    torch.manual_seed(1)
    with register_hooks(hook(draws)):
        load_model(tmp_path / "model.safetensors")
    torch.testing.assert_close(torch.rand(3), expected, rtol=0, atol=0)


def draws(model):
    nn.init.normal_(model.readout.linear.weight)


class Positive(nn.Module):
    def forward(self, weight):
        return nn.functional.softplus(weight)


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(parametrizations.weight_norm, id="weight-norm"),
        pytest.param(parametrizations.spectral_norm, id="spectral-norm"),
        pytest.param(lambda *where: parametrize.register_parametrization(*where, Positive()), id="of-ones-own"),
    ],
)
def test_parametrized_model_loads_only_with_its_hook(change, tmp_path):
    file, x = tmp_path / "model.safetensors", small_input()
    with register_hooks(hook(lambda model: change(model.backbone.cells[1], "weight_hh") and None)):
        model = small_model("rnn_cell").eval()
        save_model(model, file)
        loaded = load_model(file).eval()
        assert verify_model(file).ok
    assert parametrize.is_parametrized(loaded.backbone.cells[1])
    torch.testing.assert_close(loaded(x), model(x))
    with pytest.raises(CheckpointError, match="does not fit the model of its spec"):
        load_model(file)


def test_forward_hooks_are_there_again_after_loading(tmp_path):
    def doubling(model):
        model.register_forward_hook(lambda _module, _arguments, y: 2 * y if isinstance(y, torch.Tensor) else y)

    plain = small_model("gru")
    save_model(plain, tmp_path / "model.safetensors")
    with register_hooks(hook(doubling)):
        loaded = load_model(tmp_path / "model.safetensors")
    x = small_input()
    torch.testing.assert_close(loaded(x), 2 * plain(x))


# The reference

PAGE = (ROOT / "docs/reference/hooks.md").read_text(encoding="utf-8")
HOOKS = {name: inspect.signature(each) for name, each in vars(hookspecs).items() if hasattr(each, "rnnkit_spec")}


def sections():
    """The text of each second-level section of the page, by its title."""
    _, *parts = re.split(r"^## ", PAGE, flags=re.MULTILINE)
    return {part.partition("\n")[0]: part.partition("\n")[2] for part in parts}


def hooks_on_the_page():
    """The hooks that have a section, and the arguments in the table of each."""
    titles = [title for title in sections() if title.startswith("`")]
    return {
        re.fullmatch(r"`(\w+)\(.*\)`", title)[1]: re.findall(r"^\| `(\w+)` \|", sections()[title], re.MULTILINE)
        for title in titles
    }


def test_there_are_hooks():
    assert {"register_kinds", "after_build"} <= HOOKS.keys()


def test_the_page_has_every_hook_and_every_argument_and_no_other():
    assert hooks_on_the_page() == {name: list(signature.parameters) for name, signature in HOOKS.items()}


@pytest.mark.parametrize("name", HOOKS)
def test_the_title_of_a_hook_is_how_it_is_written(name):
    assert f"`{name}({', '.join(HOOKS[name].parameters)})`" in sections()


@pytest.mark.parametrize("name", HOOKS)
def test_hook_docstring_describes_arguments_and_call(name):
    text = inspect.getdoc(getattr(hookspecs, name))
    documented = re.findall(r"^    (\w+): ", text.partition("Args:")[2], re.MULTILINE)
    assert documented == list(HOOKS[name].parameters)
    assert "Called" in text


@pytest.mark.parametrize("name", HOOKS)
def test_hook_section_of_the_page_is_complete(name):
    [text] = [text for title, text in sections().items() if title.startswith(f"`{name}(")]
    assert re.findall(r"^\*\*([\w ]+)\.\*\*", text, re.MULTILINE) == ["Called", "Scope", "Order", "Result", "Errors"]
    assert f"def {name}(" in text


class LooksAtValues:
    @hookimpl
    def after_build(self, model):
        if next(model.parameters()).sum() > 0:
            pass


def test_hook_that_fails_on_meta_is_named_when_saving(tmp_path):
    with register_hooks(LooksAtValues()):
        model = small_model("gru")
        with pytest.raises(BuildError, match=r"on the meta device.*in the hook `after_build` of .*LooksAtValues"):
            save_model(model, tmp_path / "model.safetensors")
