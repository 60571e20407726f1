"""The tests that `make test` leaves out: patterns of their node ids, each with the reason.

They are marked `slow`. `make test-slow` runs them alone, `make test-all` runs all tests.
"""

from fnmatch import fnmatchcase

SLOW = {
    "tests/docs/": "run pages, tutorials and examples, and build the site",
    "tests/benchmarks/": "run benchmarks",
    "plugins/rnnkit-cards/tests/": "draw model cards, which the core does not need",
    "tests/package/test_typing.py": "starts mypy and pyright",
    "tests/catalog/test_hostile_plugins.py": "starts a process for each broken distribution",
    "tests/catalog/test_processes.py": "starts worker processes",
    "tests/cli/test_doctor.py": "starts a process for each plugin, and waits for some that hang",
    "tests/cli/test_scaffold.py": "creates a plugin, installs it and runs its own tests",
    "tests/cli/test_terminal.py": "starts the command in terminals",
    "tests/files/test_checkpoint_fuzz.py": "damages thousands of files",
    "tests/files/test_spec_file_fuzz.py": "damages thousands of files",
    "tests/specs/test_spec_properties.py": "draws thousands of specs",
    "tests/model/test_torch_save.py": "kills processes",
    "tests/model/test_step_module.py::test_onnx*": "exports to ONNX",
    "tests/model/test_sharded.py": "starts processes",
    "tests/model/test_autograd.py": "runs sequences of 4,096 steps",
    "tests/cells/test_autocast.py::test_on_a_processor*": "starts a process",
    "tests/testing/test_faulty_plugins.py": "runs every check on whole plugins with faults",
    "tests/testing/test_kit.py": "runs pytest in pytest",
    "tests/testing/test_checks_systems.py": "trains in several processes",
    "tests/testing/test_checks_numerics.py::test_correct_kinds_pass*": "runs most checks on correct kinds",
    "tests/testing/test_conformance.py::*ddp_equals_single_process*": "trains in several processes",
    "tests/testing/test_conformance.py::*enough_checks_pass*": "runs all checks again in another worker",
}


def is_slow(node_id):
    """Return whether a test is one that `make test` leaves out."""
    return any(fnmatchcase(node_id, pattern + "*") for pattern in SLOW)
