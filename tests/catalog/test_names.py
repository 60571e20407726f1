"""Names of kinds: bare, with a distribution, reserved, ambiguous; and their messages."""

import importlib
import importlib.metadata
import pickle
import sys

import pytest

from rnnkit import (
    AmbiguousKindError,
    BlockedKindError,
    Catalog,
    Kind,
    PluginError,
    RecurrentSpec,
    UnknownKindError,
    build_model,
    get_kind,
    list_kinds,
    register_kind,
    resolve_kind,
)
from rnnkit.testing import use_catalog
from tests.helpers.plugins_on_disk import write_distribution

SIZES = {"input_size": 3, "hidden_size": 4}
RNNKIT = importlib.metadata.version("rnnkit")
INSTALLED = ", ".join(Catalog().names())
HOW_MANY = f"{len(Catalog().names())} kinds are installed: `list_kinds()` and `rnnkit list` show them"


@pytest.fixture
def nbrc(plugins):
    """A distribution Test_NBRC that provides test_nbrc: the module of its plugin."""
    return plugins.install("test_nbrc", distribution="Test_NBRC")


def statuses(catalog, kind):
    return [provider.status for provider in catalog.providers(kind)]


# Canonical names

NAMES_OF_NBRC = [
    "test_nbrc",
    "test-nbrc/test_nbrc",
    "Test_NBRC/test_nbrc",
    "test.nbrc/test_nbrc",
    "TEST-_.NBRC/test_nbrc",
]
NAMES_OF_LSTM = ["lstm", "rnnkit/lstm", "RnnKit/lstm"]


@pytest.mark.parametrize(
    ("name", "canonical", "distribution"),
    [
        *((name, "lstm", "rnnkit") for name in NAMES_OF_LSTM),
        *((name, "test-nbrc/test_nbrc", "test-nbrc") for name in NAMES_OF_NBRC),
    ],
)
def test_every_name_of_a_kind_becomes_its_canonical_one(nbrc, name, canonical, distribution):
    catalog = Catalog()
    assert catalog.canonical(name) == canonical
    assert catalog.distribution(name) == distribution
    assert catalog.resolve(name).chosen.name == canonical
    assert catalog.get(name) is catalog.get(canonical)


@pytest.mark.parametrize(
    "name", ["Test_NBRC", "test-nbrc/Test_nbrc", "testatr/test_nbrc", "test-nbrc", "LSTM", "rnnkit/LSTM"]
)
def test_kinds_are_case_sensitive_and_distributions_are_not(nbrc, name):
    with pytest.raises(UnknownKindError):
        Catalog().canonical(name)


@pytest.mark.parametrize("names", [NAMES_OF_LSTM, NAMES_OF_NBRC], ids=["own", "third-party"])
def test_a_spec_holds_the_canonical_name_whichever_it_was_given(nbrc, names):
    with use_catalog(Catalog()) as catalog:
        specs = {RecurrentSpec(kind=name, **SIZES) for name in names}
        assert {spec.kind for spec in specs} == {catalog.canonical(names[0])}
        [spec] = specs
        assert spec.to_dict()["kind"] == spec.kind
        assert RecurrentSpec.from_json(spec.to_json()) == spec
        assert pickle.loads(pickle.dumps(spec)) == spec


def test_saved_spec_stays_unambiguous(plugins, nbrc):
    with use_catalog(Catalog()):
        spec = RecurrentSpec(kind="test_nbrc", **SIZES)
    plugins.install("test_nbrc", distribution="another")
    with use_catalog(Catalog()):
        assert RecurrentSpec.from_dict(spec.to_dict()) == spec


def test_listing_gives_canonical_names(plugins, nbrc):
    plugins.install("test_nbrc", "lstm", distribution="another")
    third_party = ["another/lstm", "another/test_nbrc", "test-nbrc/test_nbrc"]
    assert Catalog().names() == sorted([*INSTALLED.split(", "), *third_party])
    with use_catalog(Catalog()):
        assert list_kinds("test_nbrc") == third_party[1:]
        assert list_kinds("*/lstm") == ["another/lstm", "lstm"]
        assert list_kinds("rnnkit/*") == INSTALLED.split(", ")
        assert list_kinds("another/*") == third_party[:2]
        assert list_kinds("lstm") == ["another/lstm", "lstm"]


# rnnkit's own names are reserved


@pytest.fixture
def claimed(plugins):
    """A distribution `other` that provides an lstm of its own: the module of its plugin."""
    return plugins.install("lstm", distribution="other")


def test_a_third_party_cannot_take_a_name_of_rnnkits_own(plugins, claimed):
    with use_catalog(Catalog()):
        spec = RecurrentSpec(kind="lstm", **SIZES)
        assert spec.kind == "lstm"
        assert build_model(spec).backbone.rnn.hidden_size == 4
    assert plugins.imported() == []


def test_reserved_bare_name_needs_the_distribution(claimed):
    with use_catalog(Catalog()) as catalog:
        assert get_kind("other/lstm").builder.__module__ == claimed
        assert RecurrentSpec(kind="other/lstm", **SIZES).kind == "other/lstm"
        assert get_kind("lstm").builder.__module__ != claimed
        assert statuses(catalog, "lstm") == ["loaded", "loaded"]


def test_blocking_rnnkit_keeps_its_names_reserved(claimed):
    catalog = Catalog(block=["rnnkit"])
    for name in NAMES_OF_LSTM:
        with pytest.raises(BlockedKindError) as caught:
            catalog.get(name)
        assert str(caught.value) == (
            f"The kind {name!r} is installed but blocked: the distribution 'rnnkit' is blocked by "
            "Catalog(block=...). Change that to use it."
        )
    assert catalog.get("other/lstm").builder.__module__ == claimed


# Ambiguous names


@pytest.fixture
def two(plugins):
    """Two distributions that provide the same kind, the second of them one more."""
    plugins.install("test_nbrc", distribution="two")
    plugins.install("test_nbrc", "test_sru", distribution="one", metadata="Name: {name}\nVersion: 2.0\n")


AMBIGUOUS = (
    "The kind 'test_nbrc' is provided by several distributions: one 2.0, two 1.0. Use a full name, "
    "'one/test_nbrc' or 'two/test_nbrc', or block the others with RNNKIT_BLOCK_PLUGINS or RNNKIT_ALLOW_PLUGINS."
)


def test_ambiguous_names_fail_only_when_the_bare_name_is_used(plugins, two):
    catalog = Catalog()
    assert [name for name in catalog.names() if "/test_" in name] == ["one/test_nbrc", "one/test_sru", "two/test_nbrc"]
    assert catalog.get("test_sru").name == "test_sru"
    assert catalog.get("one/test_nbrc") is not catalog.get("two/test_nbrc")


def test_ambiguous_name_lists_full_names(plugins, two):
    catalog = Catalog()
    for ask in (catalog.canonical, catalog.distribution, catalog.get):
        with pytest.raises(AmbiguousKindError) as caught:
            ask("test_nbrc")
        assert str(caught.value) == AMBIGUOUS
    assert plugins.imported() == []


def test_ambiguity_does_not_depend_on_scan_order(two, monkeypatch):
    monkeypatch.setattr(sys, "path", sys.path[::-1])
    with pytest.raises(AmbiguousKindError) as caught:
        Catalog().get("test_nbrc")
    assert str(caught.value) == AMBIGUOUS


def test_a_spec_with_a_bare_name_of_two_raises_the_same_error(two):
    with use_catalog(Catalog()), pytest.raises(AmbiguousKindError) as caught:
        RecurrentSpec(kind="test_nbrc", **SIZES)
    assert str(caught.value) == AMBIGUOUS


@pytest.mark.parametrize("rule", [{"block": ["two"]}, {"allow": ["one"]}], ids=["block", "allow"])
def test_of_two_the_one_that_is_not_blocked_is_chosen(two, rule):
    assert Catalog(**rule).canonical("test_nbrc") == "one/test_nbrc"


def test_two_that_are_both_blocked_are_both_named(two):
    with pytest.raises(BlockedKindError) as caught:
        Catalog(block=["one"], allow=["three"]).get("test_nbrc")
    assert str(caught.value) == (
        "The kind 'test_nbrc' is installed but blocked: the distribution 'one' is blocked by Catalog(block=...); "
        "the distribution 'two' is not among those allowed by Catalog(allow=...). Change that to use it."
    )


# One distribution


@pytest.mark.parametrize("readable", [True, False], ids=["all-readable", "beside-an-unreadable-one"])
def test_first_distribution_on_the_path_counts(plugins, readable):
    plugins.install("test_nbrc", "test_old", distribution="Test_NBRC")
    first = plugins.install("test_nbrc", distribution="test.nbrc", metadata="Version: 2.0\n")  # goes before
    if not readable:
        folder = plugins.folder(plugins.install(distribution="unreadable"))
        [entry_points] = folder.glob("*/entry_points.txt")
        entry_points.write_text("[rnnkit]\nno equals sign\n", encoding="utf-8")
    catalog = Catalog()
    assert catalog.names("test-nbrc/*") == ["test-nbrc/test_nbrc"]
    [provider] = catalog.providers("test_nbrc")
    assert provider.candidate.version == "2.0"
    assert catalog.get("test_nbrc").builder.__module__ == first
    assert plugins.imported() == [first]


def test_first_entry_point_of_a_name_counts(tmp_path, monkeypatch):
    write_distribution(tmp_path / "twice", "twice", entry_points="[rnnkit]\ntest_nbrc = first\ntest_nbrc = second\n")
    monkeypatch.syspath_prepend(tmp_path / "twice")
    assert [provider.candidate.value for provider in Catalog().providers("test_nbrc")] == ["first"]


def test_two_entry_points_may_share_a_plugin(plugins):
    plugins.install("test_nbrc", "test_sru", distribution="one")
    catalog = Catalog()
    assert catalog.get("test_nbrc").name == "test_nbrc"
    assert statuses(catalog, "test_sru") == ["loaded"]
    assert catalog.get("one/test_sru") is catalog.get("test_sru")


def test_leftovers_of_an_interrupted_pip_are_ignored(plugins, nbrc):
    plugins.install("test_nbrc", distribution="~est_NBRC")
    assert Catalog().canonical("test_nbrc") == "test-nbrc/test_nbrc"


def test_a_distribution_may_be_called_local(plugins):
    module = plugins.install("test_nbrc", distribution="local")
    for name in ("test_nbrc", "local/test_nbrc"):
        assert Catalog().canonical(name) == "local/test_nbrc"
        assert Catalog().get(name).builder.__module__ == module


# Resolutions


@pytest.fixture
def catalog(plugins):
    """In place of the process's own: sees what a test installs before its first question."""
    with use_catalog(Catalog()) as catalog:
        yield catalog


def test_the_resolution_of_a_kind_of_rnnkits_own(catalog):
    assert str(resolve_kind("lstm")) == (
        "lstm -> lstm: rnnkit's own kinds come first\n"
        f"  lstm: rnnkit_builtin.lstm (distribution rnnkit {RNNKIT}, entry point 'lstm'), not loaded"
    )


def test_the_resolution_of_a_name_that_a_third_party_claims_too(catalog, claimed):
    assert str(resolve_kind("lstm")) == (
        "lstm -> lstm: rnnkit's own kinds come first\n"
        f"  other/lstm: {claimed} (distribution other 1.0, entry point 'lstm'), not loaded\n"
        f"  lstm: rnnkit_builtin.lstm (distribution rnnkit {RNNKIT}, entry point 'lstm'), not loaded"
    )


def test_the_resolution_of_a_kind_with_one_provider(catalog, nbrc):
    assert str(resolve_kind("test_nbrc")) == (
        "test_nbrc -> test-nbrc/test_nbrc: it has no other provider\n"
        f"  test-nbrc/test_nbrc: {nbrc} (distribution test-nbrc 1.0, entry point 'test_nbrc'), not loaded"
    )


def test_the_resolution_of_a_name_with_its_distribution(catalog, nbrc, plugins):
    plugins.install("test_nbrc", distribution="another")
    get_kind("Test_NBRC/test_nbrc")
    assert str(resolve_kind("Test_NBRC/test_nbrc")) == (
        "Test_NBRC/test_nbrc -> test-nbrc/test_nbrc: it is named with its distribution\n"
        f"  test-nbrc/test_nbrc: {nbrc} (distribution test-nbrc 1.0, entry point 'test_nbrc'), loaded"
    )


def test_the_resolution_of_an_ambiguous_name(catalog, plugins):
    second = plugins.install("test_nbrc", distribution="two")
    first = plugins.install("test_nbrc", distribution="one", metadata="Version: 2.0\n")
    resolution = resolve_kind("test_nbrc")
    assert resolution.error is AmbiguousKindError
    assert str(resolution) == (
        f"test_nbrc -> nothing: {AMBIGUOUS}\n"
        f"  one/test_nbrc: {first} (distribution one 2.0, entry point 'test_nbrc'), not loaded\n"
        f"  two/test_nbrc: {second} (distribution two 1.0, entry point 'test_nbrc'), not loaded"
    )


def test_resolution_with_one_blocked_provider(catalog, plugins, monkeypatch):
    monkeypatch.setenv("RNNKIT_BLOCK_PLUGINS", "two")
    second = plugins.install("test_nbrc", distribution="two")
    first = plugins.install("test_nbrc", distribution="one")
    assert str(resolve_kind("test_nbrc")) == (
        "test_nbrc -> one/test_nbrc: all others are blocked\n"
        f"  one/test_nbrc: {first} (distribution one 1.0, entry point 'test_nbrc'), not loaded\n"
        f"  two/test_nbrc: {second} (distribution two 1.0, entry point 'test_nbrc'), blocked by "
        "RNNKIT_BLOCK_PLUGINS"
    )


def test_the_resolution_of_a_kind_that_is_blocked(catalog, nbrc, monkeypatch):
    monkeypatch.setenv("RNNKIT_ALLOW_PLUGINS", "another")
    resolution = resolve_kind("test_nbrc")
    assert resolution.error is BlockedKindError
    assert str(resolution) == (
        "test_nbrc -> nothing: The kind 'test_nbrc' is installed but blocked: the distribution 'test-nbrc' is not "
        "among those allowed by RNNKIT_ALLOW_PLUGINS. Change that to use it.\n"
        f"  test-nbrc/test_nbrc: {nbrc} (distribution test-nbrc 1.0, entry point 'test_nbrc'), not among those "
        "allowed by RNNKIT_ALLOW_PLUGINS"
    )


def test_the_resolution_of_a_kind_that_was_found_to_be_broken(catalog, plugins):
    module = plugins.install("test_nbrc", distribution="test-nbrc", source="1 / 0")
    with pytest.raises(PluginError):
        get_kind("test_nbrc")
    plugin = f"{module} (distribution test-nbrc 1.0, entry point 'test_nbrc')"
    assert str(resolve_kind("test_nbrc")) == (
        "test_nbrc -> test-nbrc/test_nbrc: it has no other provider\n"
        f"  test-nbrc/test_nbrc: {plugin}, broken: importing it raised ZeroDivisionError: division by zero"
    )


def no_builder(spec, *, device, dtype):
    raise NotImplementedError


def test_the_resolution_of_a_local_kind(catalog, plugins):
    module = plugins.install("test_mine", distribution="another")
    with register_kind(Kind(name="test_mine", builder=no_builder, summary="Mine.")):
        assert str(resolve_kind("test_mine")) == (
            "test_mine -> local/test_mine: this process has registered it\n"
            f"  another/test_mine: {module} (distribution another 1.0, entry point 'test_mine'), not loaded\n"
            f"  local/test_mine: {__name__}.no_builder (registered by this process), loaded"
        )
    assert resolve_kind("test_mine").chosen.name == "another/test_mine"


def unknown(kind, hint=""):
    return (
        f"No installed plugin provides the kind {kind!r}.{hint} {HOW_MANY}. "
        "To use another, install the distribution that provides it."
    )


UNKNOWN = {
    "test_nothing": unknown("test_nothing"),
    "lsmt": unknown("lsmt", " Did you mean 'lstm'?"),
    "": unknown(""),
    "/": unknown("/"),
    "no-such/test_nbrc": (
        f"No distribution 'no-such' with a kind 'test_nbrc' is installed. {HOW_MANY}. "
        "To use it, run `pip install no-such`."
    ),
    "local/mine": (
        "The local kind 'mine' is not registered in this process. A local kind is known only where register_kind was "
        "called: call it here too, in a module that worker processes also import, or make a plugin of it."
    ),
}


@pytest.mark.parametrize(("name", "reason"), UNKNOWN.items())
def test_the_resolution_of_an_unknown_name(catalog, name, reason):
    resolution = resolve_kind(name)
    assert str(resolution) == f"{name} -> nothing: {reason}"
    with pytest.raises(UnknownKindError) as caught:
        resolution.require()
    assert str(caught.value) == reason


NO_NAMES = ["/lstm", "lstm/", "//lstm", "rnnkit/", "rnnkit//lstm", "another/rnnkit/lstm", " ", "lstm\n"]


@pytest.mark.parametrize("name", NO_NAMES)
def test_a_name_that_nothing_can_have_stands_for_nothing(catalog, name):
    resolution = resolve_kind(name)
    assert resolution.chosen is None
    assert resolution.error is UnknownKindError
    assert repr(name.rpartition("/")[2]) in resolution.reason or repr(name) in resolution.reason


def test_misspelled_kind_does_not_suggest_installation(catalog):
    assert "pip install rnnkit" not in resolve_kind("rnnkit/lsmt").reason
    assert "Did you mean 'lstm'?" in resolve_kind("rnnkit/lsmt").reason


def test_unknown_name_with_every_kind_blocked():
    assert "pip install rnnkit" not in Catalog(block=["rnnkit"], allow=[]).resolve("test_nothing").reason


def test_resolution_does_not_import_a_broken_plugin(catalog, plugins):
    plugins.install("test_nbrc", source="1 / 0")
    assert resolve_kind("test_nbrc").chosen.bare_name == "test_nbrc"
    assert statuses(catalog, "test_nbrc") == ["not loaded"]
    assert plugins.imported() == []


# Status of a plugin


def test_a_provider_is_loaded_once_its_kind_was_asked_for(catalog, nbrc):
    before = resolve_kind("test_nbrc")
    assert statuses(catalog, "test_nbrc") == ["not loaded"]
    get_kind("test_nbrc")
    assert statuses(catalog, "test_nbrc") == ["loaded"]
    assert [provider.status for provider in before.providers] == ["not loaded"]


def test_provider_is_broken_after_a_failed_load(catalog, plugins):
    plugins.install("test_nbrc", "test_sru", source="1 / 0")
    with pytest.raises(PluginError) as caught:
        get_kind("test_nbrc")
    for kind in ("test_nbrc", "test_sru"):
        assert statuses(catalog, kind) == ["broken"]
        assert [provider.note for provider in catalog.providers(kind)] == [caught.value.cause]


def test_loaded_kind_stays_loaded_after_an_error(catalog, plugins):
    source = "@hookimpl\ndef register_kinds(register): register(kind('test_nbrc'))"
    plugins.install("test_nbrc", "test_sru", source=source)
    assert get_kind("test_nbrc").name == "test_nbrc"
    with pytest.raises(PluginError):
        get_kind("test_sru")
    assert statuses(catalog, "test_nbrc") == ["loaded"]
    assert statuses(catalog, "test_sru") == ["broken"]


@pytest.mark.parametrize(
    "source",
    [
        pytest.param("1 / 0", id="import"),
        pytest.param("@hookimpl\ndef register_kinds(register): 1 / 0", id="hook"),
        pytest.param("", id="no-hook"),
    ],
)
def test_fixed_plugin_works_at_the_next_attempt(catalog, plugins, source):
    module = plugins.install("test_nbrc", source=source)
    with pytest.raises(PluginError):
        get_kind("test_nbrc")
    file = plugins.folder(module) / f"{module}.py"
    good = plugins.install("test_nbrc", distribution="good")
    file.write_bytes((plugins.folder(good) / f"{good}.py").read_bytes())
    plugins.forget()
    importlib.invalidate_caches()
    assert get_kind("test_nbrc").builder.__module__ == module
    assert statuses(catalog, "test_nbrc") == ["loaded"]


# Versions


@pytest.fixture
def no_metadata(monkeypatch):
    def read(distribution):
        raise AssertionError("the metadata of a distribution were read")

    monkeypatch.setattr(importlib.metadata.Distribution, "metadata", property(read))


def test_neither_listing_nor_looking_up_reads_versions(catalog, nbrc, no_metadata):
    assert list_kinds("*nbrc") == ["test-nbrc/test_nbrc"]
    assert [provider.candidate.name for provider in resolve_kind("test_nbrc").providers] == ["test-nbrc/test_nbrc"]
    assert get_kind("test_nbrc").name == "test_nbrc"
    with pytest.raises(AssertionError, match="were read"):  # and here they would have been
        importlib.metadata.version("Test_NBRC")


UNREADABLE = {"missing": None, "bytes": b"Version: \xff\n", "no-version": "Name: {name}\n", "empty": ""}


@pytest.mark.parametrize("metadata", UNREADABLE.values(), ids=UNREADABLE)
def test_unreadable_metadata_affects_only_the_version(catalog, plugins, metadata):
    module = plugins.install("test_nbrc", distribution="test-nbrc", metadata=metadata)
    assert list_kinds("test_nbrc") == ["test-nbrc/test_nbrc"]
    assert get_kind("test_nbrc").name == "test_nbrc"
    [provider] = catalog.providers("test_nbrc")
    assert provider.candidate.version == "of unknown version"
    assert str(provider.candidate) == (f"{module} (distribution test-nbrc of unknown version, entry point 'test_nbrc')")


@pytest.mark.parametrize("name", [None, 5, ["lstm"], b"lstm"])
def test_name_must_be_a_string(name):
    with pytest.raises(UnknownKindError, match="The name of a kind should be a string, but is"):
        get_kind(name)
    assert resolve_kind(name).chosen is None
