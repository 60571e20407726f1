"""Faulty distributions, as data: their files, and the errors of rnnkit for their kinds."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.helpers.plugins_on_disk import PREAMBLE, USUAL, write_distribution

HOOK = "@hookimpl\ndef register_kinds(register): "
GOOD = "register(kind(KIND))"
WORDLESS = """
class Wordless(Exception):
    def __repr__(self):
        raise RuntimeError("no words for this")
"""


@dataclass(frozen=True, kw_only=True)
class Hostile:
    """A distribution `hostile-NAME` with a module `hostile_NAME`, to which the entry points of its kinds lead.

    Attributes:
        name: what is wrong with it.
        source: of the module, in which KIND stands for its first kind's name; None: there is no module.
        message: what is wrong, in the words of the error, FOLDER standing for where all this lies on disk; empty:
            nothing, the kinds can be used.
        cause: the class of the exception that the error is chained to.
        kinds: those to ask for; empty: the one whose name is `name`, with underscores.
        value: what the entry points lead to, if not to the module.
        entry_points: the file, if it is not one entry point for each kind.
        metadata: the file METADATA; None: there is none.
        folder: the name of the distribution as the folder of its metadata has it, if it has another.
        version: as the error has it.
        hidden: its metadata do not say which kinds it has: they are unknown ones, and `message` is what is said on top.
    """

    name: str
    source: str | None = HOOK + GOOD
    message: str = ""
    cause: str = ""
    kinds: Sequence[str] = ()
    value: str = ""
    entry_points: str | bytes = ""
    metadata: str | bytes | None = USUAL
    folder: str | None = None
    version: str = "1.0"
    hidden: bool = False

    @property
    def distribution(self) -> str:
        return f"hostile-{self.name}"

    @property
    def module(self) -> str:
        return self.distribution.replace("-", "_")

    @property
    def kind_names(self) -> Sequence[str]:
        return self.kinds or [self.name.replace("-", "_")]

    @property
    def listed(self) -> list[str]:
        """Its part of the list of kinds."""
        return [] if self.hidden else [f"{self.distribution}/{kind.rpartition('/')[2]}" for kind in self.kind_names]

    def write(self, folder: Path) -> Path:
        """Write it into a new folder in this one; which folder that is."""
        entries = "".join(f"{kind} = {self.value or self.module}\n" for kind in self.kind_names)
        write_distribution(
            folder / self.module,
            self.distribution if self.folder is None else self.folder,
            module=self.module,
            source=self.source and self.source.replace("KIND", repr(self.kind_names[0])),
            entry_points=self.entry_points or f"[rnnkit]\n{entries}",
            metadata=self.metadata,
        )
        return folder / self.module

    def error(self, kind: str) -> str:
        """The error for a kind that is not hidden."""
        return (
            f"The plugin {self.value or self.module} (distribution {self.distribution} {self.version}, "
            f"entry point {kind!r}) is broken: {self.message} To block it, add "
            f"{self.distribution} to RNNKIT_BLOCK_PLUGINS."
        )


IMPORTS = [
    Hostile(
        name="missing-dependency",
        source="import no_such_dependency",
        message=(
            "importing it raised ModuleNotFoundError: No module named 'no_such_dependency'. Install what provides"
            " the module 'no_such_dependency'."
        ),
        cause="ModuleNotFoundError",
    ),
    Hostile(
        name="missing-submodule",
        source="import json.no_such_part",
        message=(
            "importing it raised ModuleNotFoundError: No module named 'json.no_such_part'. Install what provides "
            "the module 'json.no_such_part'."
        ),
        cause="ModuleNotFoundError",
    ),
    Hostile(
        name="missing-namesake",  # its own name begins with that of the module that it misses
        source="import hostile_missing_name",
        message=(
            "importing it raised ModuleNotFoundError: No module named 'hostile_missing_name'. Install what "
            "provides the module 'hostile_missing_name'."
        ),
        cause="ModuleNotFoundError",
    ),
    Hostile(
        name="missing-function",
        source="from sys import no_such_thing",
        message=(
            "importing it raised ImportError: cannot import name 'no_such_thing' from 'sys' (unknown location). "
            "Ask its authors, or install another version."
        ),
        cause="ImportError",
    ),
    Hostile(
        name="own-module-missing",
        source=None,
        message=(
            "importing it raised ModuleNotFoundError: No module named 'hostile_own_module_missing'. Its own "
            "module is missing: install hostile-own-module-missing again."
        ),
        cause="ModuleNotFoundError",
    ),
    Hostile(
        name="own-submodule-missing",
        value="hostile_own_submodule_missing.kinds",
        message=(
            "importing it raised ModuleNotFoundError: No module named 'hostile_own_submodule_missing.kinds'; "
            "'hostile_own_submodule_missing' is not a package. Its own module is missing: install hostile-own-"
            "submodule-missing again."
        ),
        cause="ModuleNotFoundError",
    ),
    Hostile(
        name="own-object-missing",
        value="hostile_own_object_missing:plugin",
        message=(
            "importing it raised AttributeError: module 'hostile_own_object_missing' has no attribute 'plugin'. "
            "Correct the entry point: its module has no such object."
        ),
        cause="AttributeError",
    ),
    Hostile(
        name="no-reference",
        value="no reference!",
        message=(
            "its entry point leads to 'no reference!', which is neither `module` nor `module:object`. Ask its "
            "authors, or install another version."
        ),
    ),
    Hostile(
        name="syntax-error",
        source="kinds = (",
        message=(
            "importing it raised SyntaxError: '(' was never closed "
            f"(hostile_syntax_error.py, line {len(PREAMBLE.splitlines()) + 1}). "
            "Ask its authors, or install another version."
        ),
        cause="SyntaxError",
    ),
    Hostile(
        name="exception",
        source="raise RuntimeError('one line,\\nanother')",
        message="importing it raised RuntimeError: one line, another. Ask its authors, or install another version.",
        cause="RuntimeError",
    ),
    Hostile(
        name="exception-without-text",
        source="raise RuntimeError",
        message="importing it raised RuntimeError. Ask its authors, or install another version.",
        cause="RuntimeError",
    ),
    Hostile(
        name="exception-without-repr",
        source=f"{WORDLESS}\nraise Wordless",
        message="importing it raised Wordless. Ask its authors, or install another version.",
        cause="Wordless",
    ),
    Hostile(
        name="value-error",
        source="raise ValueError('a wrong turn')",
        message="importing it raised ValueError: a wrong turn. Ask its authors, or install another version.",
        cause="ValueError",
    ),
    Hostile(
        name="assertion-error",
        source="assert False, 'a wrong turn'",
        message="importing it raised AssertionError: a wrong turn. Ask its authors, or install another version.",
        cause="AssertionError",
    ),
    Hostile(
        name="system-exit",
        source="raise SystemExit(3)",
        message="importing it raised SystemExit: 3. Ask its authors, or install another version.",
        cause="SystemExit",
    ),
    Hostile(
        name="base-exception",
        source="class Stop(BaseException): pass\n\nraise Stop('everything')",
        message="importing it raised Stop: everything. Ask its authors, or install another version.",
        cause="Stop",
    ),
    Hostile(
        name="recursion",
        source="def again(): again()\n\nagain()",
        message=(
            "importing it raised RecursionError: maximum recursion depth exceeded. Ask its authors, or install "
            "another version."
        ),
        cause="RecursionError",
    ),
    Hostile(
        name="options-without-hash",
        source="from pydantic import Field\n\nclass Needy(Options):\n    widths: list = Field(default_factory=list)",
        message=(
            "importing it raised TypeError: Each field of Needy needs a valid and hashable default (a tuple, not "
            "a list): unhashable type: 'list'. Ask its authors, or install another version."
        ),
        cause="TypeError",
    ),
    Hostile(
        name="leaves-sys-modules",
        source="import sys\n\ndel sys.modules[__name__]",
        message=(
            "importing it raised KeyError: 'hostile_leaves_sys_modules'. It has removed itself from sys.modules: "
            "leave it there."
        ),
        cause="KeyError",
    ),
    Hostile(
        name="replaces-itself",
        source="import sys\n\nsys.modules[__name__] = object()",
        message="<object object at ADDRESS> has no hook `register_kinds`. Write one, marked with `@rnnkit.hookimpl`.",
    ),
    Hostile(
        name="looks-itself-up",
        source="import rnnkit\n\nrnnkit.get_kind(KIND)",
        message="it asks for its own kind while it is being loaded. Ask later, in a function.",
    ),
    Hostile(
        name="looks-around",
        source=f"import rnnkit\n\nrnnkit.list_kinds()\nrnnkit.resolve_kind(KIND)\n\n{HOOK}{GOOD}",
    ),
]

HOOKS = [
    Hostile(
        name="no-hook",
        source="",
        message="it has no hook `register_kinds`. Write one, marked with `@rnnkit.hookimpl`.",
    ),
    Hostile(
        name="unmarked-hook",
        source=f"def register_kinds(register): {GOOD}",
        message="its function `register_kinds` is not marked. Put `@rnnkit.hookimpl` on it.",
    ),
    Hostile(
        name="misspelt-hook",
        source=f"@hookimpl\ndef register_kind(register): {GOOD}",
        message=(
            "it marks 'register_kind', which is not a hook of rnnkit. Did you mean 'register_kinds'? The hooks are "
            "`after_build`, `register_commands`, `register_executors`, `register_kinds`, `register_readouts`, "
            "`register_tasks`."
        ),
    ),
    Hostile(
        name="wrong-argument",
        source="@hookimpl\ndef register_kinds(registry): pass",
        message="its hook is `register_kinds(registry)`. Write `def register_kinds(register):`.",
    ),
    Hostile(
        name="function-for-module",
        value="hostile_function_for_module:register_kinds",
        message="its entry point names a function. Name the module that it is in.",
    ),
    Hostile(
        name="class-for-object",
        source=f"class Plugin:\n    @hookimpl\n    def register_kinds(self, register): {GOOD}",
        value="hostile_class_for_object:Plugin",
        message=("its entry point names a class. Name a module, or an object of that class."),
    ),
    Hostile(
        name="none-for-module",
        source="plugin = None",
        value="hostile_none_for_module:plugin",
        message="None has no hook `register_kinds`. Write one, marked with `@rnnkit.hookimpl`.",
    ),
    Hostile(
        name="raising-attribute",
        source="class Plugin:\n    @property\n    def register_kinds(self): raise RuntimeError('no hook')\n\n"
        "plugin = Plugin()",
        value="hostile_raising_attribute:plugin",
        message="looking for its hook raised RuntimeError: no hook. Ask its authors, or install another version.",
        cause="RuntimeError",
    ),
    Hostile(
        name="exiting-attributes",
        source="class Plugin:\n    def __dir__(self): raise SystemExit(3)\n\nplugin = Plugin()",
        value="hostile_exiting_attributes:plugin",
        message="looking for its hook raised SystemExit: 3. Ask its authors, or install another version.",
        cause="SystemExit",
    ),
    Hostile(
        name="exit-in-hook",
        source=f"import sys\n\n{HOOK}sys.exit('enough')",
        message="its hook `register_kinds` raised SystemExit: enough. Ask its authors, or install another version.",
        cause="SystemExit",
    ),
    Hostile(
        name="raises-half-way",
        kinds=["half_of_two", "other_half"],
        source=f"{HOOK}{GOOD}; raise RuntimeError('stuck')",
        message="its hook `register_kinds` raised RuntimeError: stuck. Ask its authors, or install another version.",
        cause="RuntimeError",
    ),
    Hostile(
        name="looks-itself-up-in-hook",
        source=f"import rnnkit\n\n{HOOK}rnnkit.get_kind(KIND)",
        message="it asks for its own kind while it is being loaded. Ask later, in a function.",
    ),
    Hostile(
        name="plugin-error-in-hook",
        source=f"import rnnkit\n\n{HOOK}raise rnnkit.PluginError('My own words.')",
        message=(
            "its hook `register_kinds` raised PluginError: My own words. Ask its authors, or install another version."
        ),
        cause="PluginError",
    ),
    Hostile(
        name="returns-kinds",
        source=f"{HOOK}return [KIND]",
        message="its hook `register_kinds` returned a list. A hook of rnnkit returns nothing.",
    ),
    Hostile(
        name="returns-wordless",
        source=f"{WORDLESS}\n{HOOK}return Wordless()",
        message="its hook `register_kinds` returned a Wordless. A hook of rnnkit returns nothing.",
    ),
    Hostile(
        name="generator",
        source=f"{HOOK}yield kind(KIND)",
        message="its hook `register_kinds` returned a generator. A hook of rnnkit returns nothing.",
    ),
]

RECORDS = [
    Hostile(
        name="registers-nothing",
        source=f"{HOOK}pass",
        message=(
            "it has entry points for 'registers_nothing', but registers none. Register one kind for each entry "
            "point, under its name."
        ),
    ),
    Hostile(
        name="registers-one-of-two",
        kinds=["two_of_two", "one_of_two"],
        source=f"{HOOK}register(kind('one_of_three'))",
        message=(
            "it has entry points for 'one_of_two' and 'two_of_two', but registers 'one_of_three'. Register one "
            "kind for each entry point, under its name."
        ),
    ),
    Hostile(
        name="registers-another",
        source=f"{HOOK}register(kind('Registers_another'))",
        message=(
            "it has entry points for 'registers_another', but registers 'Registers_another'. Register one kind "
            "for each entry point, under its name."
        ),
    ),
    Hostile(
        name="registers-lstm-too",
        source=f"{HOOK}{GOOD}; register(kind('lstm'))",
        message=(
            "it has entry points for 'registers_lstm_too', but registers 'lstm' and 'registers_lstm_too'. "
            "Register one kind for each entry point, under its name."
        ),
    ),
    Hostile(
        name="registers-twice",
        source=f"{HOOK}{GOOD}; {GOOD}",
        message="it registers 'registers_twice' twice. Register each name once.",
    ),
    Hostile(
        name="registers-a-dict",
        source=f"{HOOK}register({{'name': KIND}})",
        message="it registers {'name': 'registers_a_dict'}. Register an rnnkit.Kind.",
    ),
    Hostile(
        name="registers-half-a-record",
        source=f"{HOOK}register(Kind(name=KIND, summary='Half.'))",
        message=(
            "its hook `register_kinds` raised TypeError: Kind.__init__() missing 1 required keyword-only "
            "argument: 'builder'. Ask its authors, or install another version."
        ),
        cause="TypeError",
    ),
    Hostile(
        name="registers-wordless",
        source=f"{WORDLESS}\n{HOOK}register(Wordless())",
        message="it registers <Wordless object>. Register an rnnkit.Kind.",
    ),
    Hostile(
        name="swallows-the-refusal",
        source=f"from contextlib import suppress\n\n{HOOK}\n    with suppress(Exception): register(KIND)",
        message=(
            "it has entry points for 'swallows_the_refusal', but registers none. Register one kind for each entry"
            " point, under its name."
        ),
    ),
    Hostile(
        name="options-of-its-own",
        source=f"class Own: pass\n\n{HOOK}register(kind(KIND, options=Own))",
        message="the options of its kind 'options_of_its_own' are <class 'hostile_options_of_its_own.Own'>. "
        "Give a subclass of rnnkit.Options.",
    ),
    Hostile(
        name="object-of-options",
        source=f"{HOOK}register(kind(KIND, options=Options()))",
        message="the options of its kind 'object_of_options' are Options(). Give a subclass of rnnkit.Options.",
    ),
    Hostile(
        name="no-builder",
        source=f"{HOOK}register(kind(KIND, builder='torch.nn.LSTM'))",
        message="the builder of its kind 'no_builder' is 'torch.nn.LSTM'. "
        "Give a function or class that takes (spec, *, device, dtype).",
    ),
    Hostile(
        name="kind-with-slash",
        source=f"{HOOK}register(kind('hostile-kind-with-slash/kind_with_slash'))",
        message=(
            "the name of its kind is 'hostile-kind-with-slash/kind_with_slash'. Give a plain string without spaces "
            "and slashes."
        ),
    ),
    Hostile(
        name="kind-with-space",
        source=f"{HOOK}register(kind('kind with space'))",
        message="the name of its kind is 'kind with space'. Give a plain string without spaces and slashes.",
    ),
    Hostile(
        name="kind-without-name",
        source=f"{HOOK}register(kind(None))",
        message="the name of its kind is None. Give a plain string without spaces and slashes.",
    ),
    Hostile(
        name="kind-without-hash",
        source=f"class Name(str):\n    __hash__ = None\n\n{HOOK}register(kind(Name(KIND)))",
        message="the name of its kind is 'kind_without_hash'. Give a plain string without spaces and slashes.",
    ),
]

METADATA = [
    Hostile(
        name="no-metadata",
        metadata=None,
        source="raise RuntimeError('a wrong turn')",
        message="importing it raised RuntimeError: a wrong turn. Ask its authors, or install another version.",
        cause="RuntimeError",
        version="of unknown version",
    ),
    Hostile(
        name="metadata-of-bytes",
        metadata=b"Name: hostile-metadata-of-bytes\nVersion: \xff\n",
        source="raise RuntimeError('a wrong turn')",
        message="importing it raised RuntimeError: a wrong turn. Ask its authors, or install another version.",
        cause="RuntimeError",
        version="of unknown version",
    ),
    Hostile(name="metadata-of-bytes-of-a-good-one", metadata=b"Version: \xff\n"),
    Hostile(
        name="no-version",
        metadata="Name: {name}\n",
        source="raise RuntimeError('a wrong turn')",
        message="importing it raised RuntimeError: a wrong turn. Ask its authors, or install another version.",
        cause="RuntimeError",
        version="of unknown version",
    ),
    Hostile(
        name="claims-lstm",
        kinds=["hostile-claims-lstm/lstm"],
        entry_points="[rnnkit]\nlstm = hostile_claims_lstm\n",
        source=f"{HOOK}register(kind('lstm'))",
    ),
    Hostile(
        name="entry-without-name",
        entry_points="[rnnkit]\n= hostile_entry_without_name\n",
        hidden=True,
        message="The distribution 'hostile-entry-without-name' has an entry point named '' (= "
        "'hostile_entry_without_name') in the group 'rnnkit'. The name is the name of the kind: it must not be empty "
        "or contain spaces or slashes. Fix it there, or remove it with `pip uninstall hostile-entry-without-name`.",
    ),
    Hostile(
        name="entry-with-slash",
        entry_points="[rnnkit]\nrnnkit/lstm = hostile_entry_with_slash\n",
        hidden=True,
        message="The distribution 'hostile-entry-with-slash' has an entry point named 'rnnkit/lstm' (= "
        "'hostile_entry_with_slash') in the group 'rnnkit'. The name is the name of the kind: it must not be empty or "
        "contain spaces or slashes. Fix it there, or remove it with `pip uninstall hostile-entry-with-slash`.",
    ),
    Hostile(
        name="entry-with-space",
        entry_points="[rnnkit]\nmy lstm = hostile_entry_with_space\n",
        hidden=True,
        message="The distribution 'hostile-entry-with-space' has an entry point named 'my lstm' (= "
        "'hostile_entry_with_space') in the group 'rnnkit'. The name is the name of the kind: it must not be empty or "
        "contain spaces or slashes. Fix it there, or remove it with `pip uninstall hostile-entry-with-space`.",
    ),
]

UNREADABLE = [
    Hostile(
        name="no-equals-sign",
        entry_points="[rnnkit]\nno_equals_sign\n",
        hidden=True,
        message=(
            "The distribution 'hostile-no-equals-sign' in FOLDER cannot be read: "
            "its entry_points.txt has a line that is not `name = value`. Install it again, or remove it."
        ),
    ),
    Hostile(
        name="no-equals-sign-elsewhere",
        entry_points="[rnnkit]\nno_equals_sign_elsewhere = hostile_no_equals_sign_elsewhere\n[gui_scripts]\nmy lstm\n",
        hidden=True,
        message=(
            "The distribution 'hostile-no-equals-sign-elsewhere' in FOLDER cannot be read: "
            "its entry_points.txt has a line that is not `name = value`. Install it again, or remove it."
        ),
    ),
    Hostile(
        name="entry-points-of-bytes",
        entry_points=b"[rnnkit]\nlstm = \xff\n",
        hidden=True,
        message=(
            "The distribution 'hostile-entry-points-of-bytes' in FOLDER cannot be read: "
            "its entry_points.txt is not UTF-8 (invalid start byte). Install it again, or remove it."
        ),
    ),
    Hostile(
        name="folder-without-name",
        folder="",
        metadata=None,
        hidden=True,
        message="The folder FOLDER/-1.0.dist-info does not have the name of a distribution. Remove it.",
    ),
]

HARMLESS = [
    Hostile(name="prints", source=f"print('hello', end='')\n\n{HOOK}{GOOD}"),
    Hostile(name="warns", source=f"import warnings\n\nwarnings.warn('look out', stacklevel=1)\n\n{HOOK}{GOOD}"),
]

# `import torch` reads the entry points of every distribution, and fails on its own beside one that cannot be read.
READABLE = [*IMPORTS, *HOOKS, *RECORDS, *METADATA, *HARMLESS]
ALL = [*READABLE, *UNREADABLE]

# They harm others, so that they are not in ALL. Each with the changes that `doctor` and `check` name.
CHANGES = {
    Hostile(name="changes-builtins", source=f"import builtins\nbuiltins.len = None\n{HOOK}{GOOD}"): "builtins.len",
    Hostile(
        name="changes-pydantic",
        source=f"import pydantic\npydantic.TypeAdapter = pydantic.BaseModel.__init__ = None\n{HOOK}{GOOD}",
    ): "pydantic.TypeAdapter, pydantic.main.BaseModel.__init__",
    Hostile(
        name="changes-pluggy", source=f"import pluggy\npluggy.PluginManager.register = None\n{HOOK}{GOOD}"
    ): "pluggy._manager.PluginManager.register",
    Hostile(
        name="changes-catalog", source=f"import rnnkit.catalog\nrnnkit.catalog.Catalog.get = None\n{HOOK}{GOOD}"
    ): "rnnkit.catalog.catalog.Catalog.get",
    Hostile(
        name="changes-torch",
        source=(
            "import torch\ntorch.nn.Linear.forward = None\ntorch.set_default_dtype(torch.float64)\n"
            f"torch.manual_seed(0)\ntorch.set_num_threads(torch.get_num_threads() + 1)\n{HOOK}{GOOD}"
        ),
    ): (
        "torch.nn.modules.linear.Linear.forward, the default dtype of torch, the random numbers of torch, "
        "the threads of torch"
    ),
    Hostile(
        name="changes-process",
        source=(
            "import json, os, signal, sys\nos.chdir('/')\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
            f"sys.modules['json'] = json.decoder\nsys.excepthook = print\n{HOOK}{GOOD}"
        ),
    ): "sys.modules['json'], the exception hook, the signal handlers, the working directory",
}
