"""The native library with each of its instruction sets."""

from rnnkit_kernels import MachineExecutor
from rnnkit_kernels._library import Library, load_library


def library():
    """Return the library, which the environment of the tests must have."""
    found = load_library(None)
    assert isinstance(found, Library), found
    return found


INSTRUCTION_SETS = library().supported()


def run_on(instruction_set):
    """Return the `unroll` of an executor with an instruction set."""
    return MachineExecutor(instruction_set).unroll
