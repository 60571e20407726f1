"""The files that change the state of the process are those that have a process of their own.

Other threads share that state: they see a change even if it is undone afterwards.
"""

import ast
import re
from fnmatch import fnmatch, translate
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

# Full names, as patterns. Of a module with `.*`, everything but what is harmless.
STATE = (
    *("torch.manual_seed", "torch.seed", "torch.random.*", "torch.*.manual_seed*", "torch.*fork_rng"),
    *("torch.*rng_state*",),
    *("torch.set_*", "torch.*.set_*", "torch.use_*", "torch.backends.*", "torch.__future__.*", "torch._*.config.*"),
    *("torch.serialization.*", "random.*", "numpy.random.*", "numpy.set*", "matplotlib.rc*", "matplotlib.pyplot.*"),
    *("matplotlib.use", "matplotlib.style.*", "dask.config.*", "warnings.*", "gc.*", "signal.*", "locale.*"),
    *("atexit.*",),
    *("logging.*", "*.setLevel", "*.addHandler", "*.addFilter", "contextlib.redirect_*", "contextlib.chdir"),
    *("os.environ.*", "os.chdir", "os.umask", "os.dup2", "os.putenv", "os.unsetenv", "os.register_at_fork", "os.set*"),
    *("sys.set*", "sys.path.*", "sys.modules.*", "threading.set*", "faulthandler.*", "linecache.*", "resource.set*"),
    *("socket.setdefault*", "multiprocessing.set_*", "asyncio.set_*", "unittest.mock.*", "importlib.reload"),
)
HARMLESS = (
    *("warnings.warn", "gc.isenabled", "gc.callbacks*", "logging.getLogger", "logging.ERROR", "logging.CRITICAL"),
    *("os.environ.get", "os.environ.items", "sys.modules.get", "sys.modules.items", "sys.modules.[[]]"),
    *("signal.getsignal", "signal.Signals", "signal.SIGKILL", "random.Random"),
    *("numpy.random.RandomState*", "numpy.random.default_rng", "numpy.random.Generator"),
    *("torch.set_grad_enabled", "sys.setprofile"),  # of the current thread
)

KIT = "the conformance kit tries other settings and restores them, as its documentation says"
COMMAND = "a command has a process of its own"
MEASUREMENT = "a measurement needs a process of its own, as its documentation says"
WORKER = "on the worker of an engine"
# For each file, what it uses and why it may.
ALLOWED = {
    "plugins/rnnkit-cards/rnnkit_cards/_measure.py": ({"torch.random.fork_rng"}, MEASUREMENT),
    "plugins/rnnkit-cards/rnnkit_cards/digits.py": ({"torch.manual_seed"}, MEASUREMENT),
    "plugins/rnnkit-cards/rnnkit_cards/timing.py": ({"torch.manual_seed", "torch.set_flush_denormal"}, MEASUREMENT),
    "plugins/rnnkit-kernels/rnnkit_kernels/_threads.py": ({"os.register_at_fork"}, "has an effect in forks only"),
    "registry/rnnkit/catalog/index.py": ({"os.register_at_fork"}, "has an effect in forks only"),
    "registry/rnnkit/cli/*": ({"*"}, COMMAND),
    "registry/rnnkit/compare/machine.py": ({"torch.set_num_threads"}, "single_thread, which says so; on workers"),
    "registry/rnnkit/compare/report.py": ({"matplotlib.rc_context"}, "savefig has no arguments for these"),
    "registry/rnnkit/compare/run.py": (
        {"torch.manual_seed", "torch.random.fork_rng", "torch.set_default_dtype"},
        WORKER,
    ),
    "registry/rnnkit/export/_quiet.py": (
        {"warnings.*", "?.setLevel", "contextlib.redirect_stderr"},
        "for the command and the kit",
    ),
    "registry/rnnkit/testing/*": ({"*"}, KIT),
}


def python_files():
    """Return the Python files of the distributions, without their tests and what builds them."""
    packages = [ROOT / "registry/rnnkit", *(path.parent for path in (ROOT / "plugins").glob("*/__init__.py"))]
    packages += [path.parent for path in (ROOT / "plugins").glob("*/*/__init__.py") if path.parent.name != "tests"]
    return sorted({path for package in packages for path in package.rglob("*.py")})


def process_wide_uses(source):
    """Return the names in a source that change the state of the process, or may."""
    tree = ast.parse(source)
    modules, names = imports(tree)
    nodes = [node for node in ast.walk(tree) if isinstance(node, ast.Attribute | ast.Name | ast.Subscript)]
    used = {full_name(node, names) for node in nodes}
    found = {name for name in used if name and matches(name, STATE) and not matches(name, HARMLESS)}
    changed = [node for node in nodes if not isinstance(node.ctx, ast.Load) and not isinstance(node, ast.Name)]
    changed += [node.args[0] for node in ast.walk(tree) if isinstance(node, ast.Call) and is_setattr(node.func)]
    return found | {f"{name} =" for node in changed if (name := full_name(node, names)) and root(name) in modules}


def imports(tree):
    """Return the imported modules, and the full name of each imported name."""
    plain = [each for node in ast.walk(tree) if isinstance(node, ast.Import) for each in node.names]
    named = {each.asname or root(each.name): each.name if each.asname else root(each.name) for each in plain}
    sources = [node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and not node.level]
    named |= {each.asname or each.name: f"{node.module}.{each.name}" for node in sources for each in node.names}
    return {root(each.name) for each in plain} - {"rnnkit"}, named


def full_name(node, names):
    """Return the full name of an expression that starts with an imported name; None: it starts with another."""
    if isinstance(node, ast.Attribute):
        owner = full_name(node.value, names)
        return f"{owner or '?'}.{node.attr}" if owner or node.attr in ("setLevel", "addHandler", "addFilter") else None
    if isinstance(node, ast.Subscript):
        owner = full_name(node.value, names)
        return owner and f"{owner}.[]"
    return names.get(node.id) if isinstance(node, ast.Name) else None


def is_setattr(function):
    return isinstance(function, ast.Name) and function.id in ("setattr", "delattr")


def root(name):
    return name.partition(".")[0]


def matches(name, patterns):
    return pattern_of(tuple(patterns)).match(name)


@cache
def pattern_of(patterns):
    return re.compile("|".join(map(translate, patterns)))


def test_only_listed_files_change_the_state_of_the_process():
    found = {path.relative_to(ROOT).as_posix(): process_wide_uses(path.read_text("utf-8")) for path in python_files()}
    assert len(found) > 300
    changes = {(path, use) for path, uses in found.items() for use in uses}
    allowed = [(path, use) for path, (uses, _) in ALLOWED.items() for use in uses]
    assert {each for each in changes if not any(fits(each, pair) for pair in allowed)} == set()
    assert [pair for pair in allowed if not any(fits(each, pair) for each in changes)] == []


def test_the_quiet_export_is_for_the_command_and_the_kit():
    users = [path.relative_to(ROOT).as_posix() for path in python_files() if "quiet_torch()" in path.read_text("utf-8")]
    assert users == [
        "registry/rnnkit/cli/export.py",
        "registry/rnnkit/export/_quiet.py",
        "registry/rnnkit/testing/_tracing.py",
    ]


def fits(change, allowed):
    return all(fnmatch(text, pattern) for text, pattern in zip(change, allowed, strict=True))


@pytest.mark.parametrize(
    "source",
    [
        "import torch\ntorch.manual_seed(0)",
        "from torch import manual_seed as seed\nseed(0)",
        "import torch\nwith torch.random.fork_rng(): pass",
        "import torch as t\nt.set_default_dtype(t.float64)",
        "import torch\ntorch.backends.cudnn.enabled = False",
        "import torch\ntorch.nn.Linear.forward = None",
        "import torch\nsetattr(torch, 'rand', None)",
        "import warnings\nwith warnings.catch_warnings(): pass",
        "import os\nos.environ['A'] = '1'",
        "import os\nos.environ.setdefault('A', '1')",
        "import os\nif True:\n    os.chdir('/')",
        "import sys\nsys.stdout = None",
        "import sys\ndel sys.modules['torch']",
        "import sys\nsys.path.insert(0, '')",
        "import numpy as np\nnp.random.seed(0)",
        "import random\nrandom.random()",
        "import logging\nlogging.basicConfig()",
        "import logging\nlogging.getLogger('a').setLevel(0)",
        "from contextlib import redirect_stderr\nwith redirect_stderr(None): pass",
        "from signal import signal\nsignal(2, None)",
        "import gc\ngc.disable()",
        "from unittest.mock import patch\npatch('torch.rand')",
    ],
)
def test_changes_are_found(source):
    assert process_wide_uses(source)


@pytest.mark.parametrize(
    "source",
    [
        "import torch\ntorch.Generator().manual_seed(0)",
        "import torch\nwith torch.no_grad(): pass",
        "import os\nos.environ.get('A')",
        "import warnings\nwarnings.warn('a')",
        "self.manual_seed(0)",
    ],
)
def test_other_uses_are_not(source):
    assert not process_wide_uses(source)
