"""A plugin whose module is loaded again, by `importlib.reload` or as IPython's autoreload does: the new code counts."""

import importlib
import pickle
import sys
import warnings

import pytest
import torch

from rnnkit import BuildError, Catalog, PluginError, RecurrentSpec, build_model, get_kind, get_readout
from rnnkit.testing import use_catalog
from tests.helpers.plugins_on_disk import DECAY_CELL

SIZES = {"input_size": 3, "hidden_size": 4}
REGISTER = """

@hookimpl
def register_kinds(register):
    register(cell_kind(DecayCell, name="decay", summary="A test.", options=DecayOptions))
"""


def cell_of(value):
    """The source of a cell whose hidden state is always this value."""
    step = "self.decay * state.h + x_t @ self.weight_ih.t()"
    return DECAY_CELL.replace(step, f"0 * (x_t @ self.weight_ih.t()) + {value}")


ONE, TWO = cell_of(1) + REGISTER, cell_of(2) + REGISTER


@pytest.fixture(params=["module", "object"])
def acme(request, plugins):
    """The module of an installed plugin, whose entry point names the module or an object in it."""
    source = ONE if request.param == "module" else as_object(ONE)
    plugin = "" if request.param == "module" else "plugin"
    module = plugins.install("decay", source=source, plugin=plugin, distribution="acme")
    with use_catalog(Catalog()):
        yield plugins.folder(module) / f"{module}.py"


def as_object(source):
    return (
        source.replace(
            "@hookimpl\ndef register_kinds(register):",
            "class Plugin:\n    @hookimpl\n    def register_kinds(self, register):",
        ).replace("    register(cell", "        register(cell")
        + "\nplugin = Plugin()\n"
    )


def rewrite(path, *edits):
    """Replace texts of a module's source, given in pairs, and return the module."""
    text = path.read_text(encoding="utf-8")
    for old, new in zip(edits[::2], edits[1::2], strict=True):
        assert old in text
        text = text.replace(old, new)
    path.write_text(text, encoding="utf-8")
    importlib.invalidate_caches()
    for cached in path.parent.glob("__pycache__/*"):
        cached.unlink()
    return sys.modules[path.stem]


def output():
    model = build_model(RecurrentSpec(kind="decay", **SIZES))
    return model, model(torch.zeros(1, 2, 3)).unique().item()


def test_the_step_of_the_new_code_runs_and_the_model_is_pickled(acme):
    assert output()[1] == 1
    module = rewrite(acme, "self.weight_ih.t()) + 1", "self.weight_ih.t()) + 2")
    importlib.reload(module)
    model, value = output()
    assert value == 2
    assert type(model.backbone.cells[0]) is module.DecayCell
    assert pickle.loads(pickle.dumps(model)).spec == model.spec
    assert get_kind("decay") is get_kind("decay"), "it is loaded once"


def test_a_module_that_is_imported_again_counts_too(acme):
    output()
    rewrite(acme, "self.weight_ih.t()) + 1", "self.weight_ih.t()) + 2")
    del sys.modules[acme.stem]
    importlib.import_module(acme.stem)
    assert output()[1] == 2


def test_new_options_are_validated(acme):
    output()
    importlib.reload(rewrite(acme, "decay: float = 0.5", "rate: float = 0.5", "*, decay=0.5", "*, rate=0.5"))
    with pytest.raises(ValueError, match="rate"):
        RecurrentSpec(kind="decay", options={"rate": "fast"}, **SIZES)


def test_a_spec_from_before_is_refused(acme):
    spec = RecurrentSpec(kind="decay", **SIZES)
    importlib.reload(sys.modules[acme.stem])
    message = "The plugin of kind 'acme/decay' was reloaded after this spec was created: recreate it with "
    with pytest.raises(BuildError, match=message):
        build_model(spec)
    build_model(RecurrentSpec.from_dict(spec.to_dict()))


def test_new_code_that_is_broken_is_an_error(acme):
    output()
    importlib.reload(rewrite(acme, 'name="decay"', 'name="other"'))
    with pytest.raises(PluginError, match="it has entry points for 'decay', but registers 'other'"):
        get_kind("decay")
    importlib.reload(rewrite(acme, 'name="other"', 'name="decay"'))
    assert output()[1] == 1


def test_the_hook_after_build_of_the_new_code_is_called(plugins):
    hook = "\n\n@hookimpl\ndef after_build(spec, model):\n    model.note = 'old'\n"
    module = plugins.install("decay", source=ONE + hook, distribution="acme")
    with use_catalog(Catalog()):
        assert output()[0].note == "old"
        importlib.reload(rewrite(plugins.folder(module) / f"{module}.py", "'old'", "'new'"))
        assert output()[0].note == "new"


def test_only_the_module_of_the_cell_is_reloaded(plugins):
    """As autoreload does when that file alone has changed: the plugin's module still has the class from before."""
    cells = plugins.install(source=cell_of(1))
    source = f"from rnnkit import cell_kind\nfrom {cells} import DecayCell, DecayOptions\n{REGISTER}"
    module = plugins.install("decay", source=source, distribution="acme")
    with use_catalog(Catalog()):
        output()
        importlib.reload(
            rewrite(plugins.folder(cells) / f"{cells}.py", "self.weight_ih.t()) + 1", "self.weight_ih.t()) + 2")
        )
        message = (
            f"registers {cells}.DecayCell, {cells}.DecayOptions as defined before a module was reloaded: "
            f"reload {module} too, or restart Python"
        )
        with pytest.warns(RuntimeWarning, match=message):
            get_kind("decay")
        with warnings.catch_warnings(action="error"):
            get_kind("decay")  # it warns once
        importlib.reload(sys.modules[module])
        assert output()[1] == 2


READOUT = """
from rnnkit import Readout


class First(Readout):
    name = "first"

    def pool(self, output, lengths):
        return output[:, 0] + 1


@hookimpl
def register_readouts(register):
    register(First)
"""


def test_a_readout_is_reloaded(plugins):
    module = plugins.install("first", source=READOUT, distribution="acme", group="rnnkit.readouts")
    with use_catalog(Catalog()):
        assert get_readout("first") is sys.modules[module].First
        importlib.reload(sys.modules[module])
        assert get_readout("first") is sys.modules[module].First


def test_no_module_is_reloaded_without_need(acme):
    get_kind("decay")
    module = sys.modules[acme.stem]
    record = get_kind("decay")
    assert get_kind("decay") is record
    assert record.cell is module.DecayCell
