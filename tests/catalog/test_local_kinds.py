"""Kinds that a process registers itself, for notebooks and tests."""

import pickle
import warnings
from dataclasses import replace

import pytest

from rnnkit import (
    Catalog,
    Kind,
    Options,
    PluginError,
    RecurrentSpec,
    ReservedKindError,
    UnknownKindError,
    build_model,
    get_kind,
    list_kinds,
    register_kind,
    resolve_kind,
)
from rnnkit.testing import use_catalog
from tests.helpers.models import small_input, small_spec


@pytest.fixture(autouse=True)
def catalog():
    """A catalog of its own for each test, so that none sees another's kinds."""
    with use_catalog(Catalog()) as catalog:
        yield catalog


class DecayOptions(Options):
    order: int = 2


def gru_builder(spec, *, device, dtype):
    """A gated recurrent unit. By another name."""
    return get_kind("gru").builder(replace(spec, kind="gru", options={}), device=device, dtype=dtype)


def mine(**fields):
    return Kind(**{"name": "mine", "builder": gru_builder, "summary": "A test.", **fields})


def test_a_local_kind_is_a_kind_like_any_other():
    local = register_kind(mine(options=DecayOptions))
    assert local.name == "local/mine"
    assert "local/mine" in list_kinds()
    spec = small_spec("mine", options={"order": 3})
    assert spec.kind == "local/mine"
    assert spec.options == DecayOptions(order=3)
    assert RecurrentSpec.from_json(spec.to_json()) == spec
    assert build_model(spec)(small_input().float()).shape == (4, 2)


def test_a_local_kind_stays_until_it_is_removed():
    local = register_kind(mine())
    local.remove()
    assert list_kinds("*mine") == []
    with pytest.raises(UnknownKindError, match="'mine' is not registered in this process"):
        get_kind("local/mine")
    local.remove()  # once more does no harm


def test_decorator_takes_summary_from_docstring():
    decorated = register_kind("mine", options=DecayOptions)(gru_builder)
    assert decorated is gru_builder
    kind = get_kind("local/mine")
    assert (kind.builder, kind.options) == (gru_builder, DecayOptions)
    assert kind.summary == "A gated recurrent unit. By another name."
    register_kind("other", summary="Said here.", equation="h")(lambda: None)
    assert (get_kind("other").summary, get_kind("other").equation) == ("Said here.", "h")


@pytest.mark.parametrize("error", [None, RuntimeError, KeyboardInterrupt])
def test_with_block_removes_the_kind_after_an_exception(error):
    try:
        with register_kind(mine()) as local:
            assert RecurrentSpec(kind=local.name, input_size=1, hidden_size=1).kind == "local/mine"
            if error is not None:
                raise error
    except (RuntimeError, KeyboardInterrupt):
        pass
    assert list_kinds("*mine") == []


def test_registering_a_builder_again_replaces_it():
    register_kind(mine(summary="Old."))
    with pytest.warns(UserWarning, match=r"The local kind 'mine' of .*gru_builder is replaced by its new version"):
        register_kind(mine(summary="New."))
    assert get_kind("mine").summary == "New."


def test_a_cell_of_a_notebook_can_be_run_again():
    """A class that is defined again is another object, of the same module and qualified name."""
    cell = "@register_kind('mine')\nclass Mine:\n    'Version {}.'"
    names = {"register_kind": register_kind, "__name__": "__main__"}
    exec(cell.format(1), names)  # noqa: S102  # as a notebook does
    with pytest.warns(UserWarning, match=r"'mine' of __main__\.Mine is replaced"):
        exec(cell.format(2), names)  # noqa: S102  # as a notebook does
    assert get_kind("mine").summary == "Version 2."
    assert get_kind("mine").builder is names["Mine"]


def test_a_scope_puts_back_what_it_replaced():
    register_kind(mine(summary="Outer."))
    with warnings.catch_warnings(action="ignore"), register_kind(mine(summary="Inner.")):
        assert get_kind("mine").summary == "Inner."
    assert get_kind("mine").summary == "Outer."


def test_another_builder_of_that_name_is_refused():
    register_kind(mine())
    with pytest.raises(ReservedKindError) as caught:
        register_kind(mine(builder=small_spec))
    assert str(caught.value) == (
        "The local kind 'mine' is tests.catalog.test_local_kinds.gru_builder already, and cannot be "
        "tests.helpers.models.small_spec too. Choose another name, or remove the other one first"
    )
    assert get_kind("mine").builder is gru_builder


@pytest.mark.parametrize("name", ["lstm", "rnn_cell"])
def test_the_names_of_rnnkits_own_kinds_are_refused(name):
    with pytest.raises(ReservedKindError, match=f"{name!r} is one of rnnkit's own kinds. Choose another name"):
        register_kind(mine(name=name))
    assert get_kind(name).name == name


@pytest.mark.parametrize(
    ("fields", "cause"),
    [
        ({"options": dict}, "the options of its kind 'mine' are <class 'dict'>"),
        ({"builder": None}, "the builder of its kind 'mine' is None"),
        ({"name": "my/kind"}, "the name of its kind is 'my/kind'"),
        ({"name": ""}, "the name of its kind is ''"),
    ],
    ids=["options", "builder", "slash", "empty"],
)
def test_a_record_that_cannot_work_is_refused_at_once(fields, cause):
    with pytest.raises(PluginError, match="cannot be registered") as caught:
        register_kind(mine(**fields))
    assert cause in str(caught.value)
    assert not list_kinds("local/*")


def test_a_spec_of_a_local_kind_that_is_gone_says_why():
    """As in a process that has not registered it: the spec arrives, the build explains."""
    with register_kind(mine()):
        pickled = pickle.dumps(small_spec("mine"))
    spec = pickle.loads(pickled)
    with pytest.raises(UnknownKindError) as caught:
        build_model(spec)
    assert str(caught.value) == (
        "The local kind 'mine' is not registered in this process. A local kind is known only where register_kind was "
        "called: call it here too, in a module that worker processes also import, or make a plugin of it."
    )


def test_resolution_of_a_local_kind():
    register_kind(mine())
    assert str(resolve_kind("mine")) == (
        "mine -> local/mine: this process has registered it\n"
        "  local/mine: tests.catalog.test_local_kinds.gru_builder (registered by this process), loaded"
    )
