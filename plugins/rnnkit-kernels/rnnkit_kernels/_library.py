"""The native library: found beside this file, checked once, and called by ctypes, which releases the GIL."""

from __future__ import annotations

import ctypes
import functools
import os
from collections.abc import Iterator, Sequence
from ctypes import POINTER, byref, c_char_p, c_int32, c_void_p
from pathlib import Path

import torch

from rnnkit_kernels import _abi
from rnnkit_kernels._threads import parallel_for

ISA_VARIABLE = "RNNKIT_KERNELS_ISA"
_DTYPES = {torch.float32: 0, torch.float64: 1}
_SUFFIXES = {".so", ".dylib", ".dll"}


class LibraryError(RuntimeError):
    """The native library is missing, is another version, or does not have an instruction set."""


class Library:
    """The library with one instruction set.

    Args:
        path: the file.
        instruction_set: the name of an instruction set, such as `x86-64-v3`; None for the best of this processor.

    Attributes:
        instruction_set: the name of the instruction set.
        opcodes: the number of each instruction.

    Raises:
        LibraryError: the file cannot be loaded, is another version, or does not have the instruction set.
    """

    def __init__(self, path: Path, instruction_set: str | None = None) -> None:
        try:
            self._functions = _declare(ctypes.CDLL(str(path)))
        except (OSError, AttributeError) as error:
            raise LibraryError(f"the library of rnnkit-kernels cannot be loaded: {error}") from error
        self._check_layout()
        self.instruction_set, self._set = self._choose(instruction_set)
        self._run = self._functions.rnnkit_kernels_run
        self.opcodes = {name: number for number, name in enumerate(_names(self._functions.rnnkit_kernels_instruction))}

    def supported(self) -> list[str]:
        """Return the instruction sets that this processor has, the best first."""
        names = enumerate(_names(self._functions.rnnkit_kernels_instruction_set))
        return [name for index, name in names if self._functions.rnnkit_kernels_is_supported(index)]

    def run(
        self,
        program: _abi.Program,
        dtype: torch.dtype,
        addresses: Sequence[int | None],
        sequences: _abi.Sequences | None,
        threads: int,
    ) -> None:
        """Run a program, which must fit the tensors at the addresses: the library checks nothing."""
        memories = (c_void_p * len(addresses))(*addresses)
        parallel = parallel_for() if threads > 1 else None
        call = _abi.Call(
            ctypes.addressof(program),
            ctypes.addressof(memories),
            None if sequences is None else ctypes.addressof(sequences),
            1 if parallel is None else threads,
            parallel,
        )
        status = self._run(self._set, _DTYPES[dtype], byref(call))
        if status == _abi.OUT_OF_MEMORY:
            raise MemoryError(f"no memory for temporary values of {program.batch} sequences")
        if status == _abi.NO_THREADS:
            raise RuntimeError(f"torch could not run {threads} threads; call torch.set_num_threads(1)")

    def _check_layout(self) -> None:
        found = self._functions.rnnkit_kernels_layout().contents.values()
        if found != _abi.EXPECTED_LAYOUT:
            raise LibraryError(
                f"the library of rnnkit-kernels has the layout {found}, but {_abi.EXPECTED_LAYOUT} is expected; "
                "reinstall rnnkit-kernels"
            )

    def _choose(self, name: str | None) -> tuple[str, int]:
        supported = self.supported()
        if not supported:
            raise LibraryError("the library of rnnkit-kernels has no code for this processor")
        chosen = supported[0] if name is None else name
        if chosen not in supported:
            raise LibraryError(
                f"instruction set {chosen!r} is not available on this processor; available: {', '.join(supported)}"
            )
        return chosen, list(_names(self._functions.rnnkit_kernels_instruction_set)).index(chosen)


def library_path() -> Path | None:
    """Return the path of the library; None if the package was built without it."""
    found = [path for path in Path(__file__).parent.glob("*rnnkit_kernels.*") if path.suffix in _SUFFIXES]
    return found[0] if found else None


@functools.cache
def load_library(instruction_set: str | None = None) -> Library | LibraryError:
    """Return the library, or the reason why there is none.

    Args:
        instruction_set: the name of an instruction set; None for that of `RNNKIT_KERNELS_ISA`, or the best of this
            processor.
    """
    path = library_path()
    if path is None:
        return LibraryError("rnnkit-kernels was installed without its native library")
    try:
        return Library(path, instruction_set or os.environ.get(ISA_VARIABLE))
    except LibraryError as error:
        return error


def _declare(library: ctypes.CDLL) -> ctypes.CDLL:
    i32, pointer = c_int32, c_void_p
    signatures = {
        "layout": (POINTER(_abi.Layout), []),
        "instruction": (c_char_p, [i32]),
        "instruction_set": (c_char_p, [i32]),
        "is_supported": (i32, [i32]),
        "run": (i32, [i32, i32, pointer]),
    }
    for name, (result, arguments) in signatures.items():
        function = getattr(library, f"rnnkit_kernels_{name}")
        function.restype, function.argtypes = result, arguments
    return library


def _names(function: ctypes._NamedFuncPointer) -> Iterator[str]:
    index = 0
    while (name := function(index)) is not None:
        yield name.decode()
        index += 1
