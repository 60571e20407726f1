"""The structures of `native/abi.h`, which has their meaning."""

from __future__ import annotations

import ctypes
from ctypes import c_int32, c_int64, c_void_p

ABI = 1
TEMPORARY, SCRATCH = -1, -2
INSTRUCTIONS, PRODUCT = 0, 1
OUT_OF_MEMORY, NO_THREADS = 1, 2
SEQUENCE, LAST_TWO = -1, 1
"""The values of `Operand.mask`."""


class Operand(ctypes.Structure):
    _fields_ = (
        ("memory", c_int32),
        ("shift", c_int32),
        ("offset", c_int64),
        ("time_stride", c_int64),
        ("row_stride", c_int64),
        ("mask", c_int64),
    )


class Instruction(ctypes.Structure):
    _fields_ = (("opcode", c_int32), ("result", c_int32), ("a", c_int32), ("b", c_int32), ("c", c_int32))


class Part(ctypes.Structure):
    _fields_ = (
        ("kind", c_int32),
        ("first", c_int32),
        ("end", c_int32),
        ("result", c_int32),
        ("operand", c_int32),
        ("weight", c_int32),
        ("k", c_int64),
        ("n", c_int64),
    )


class Program(ctypes.Structure):
    _fields_ = (
        ("operands", c_void_p),
        ("instructions", c_void_p),
        ("parts", c_void_p),
        ("part_count", c_int64),
        ("width", c_int64),
        ("temporary_count", c_int64),
        ("scratch_width", c_int64),
        ("reverse", c_int64),
    )


class Weight(ctypes.Structure):
    _fields_ = (("data", c_void_p), ("panel", c_int64))


class Call(ctypes.Structure):
    _fields_ = (
        ("program", c_void_p),
        ("memories", c_void_p),
        ("weights", c_void_p),
        ("time", c_int64),
        ("batch", c_int64),
        ("live", c_void_p),
        ("threads", c_int64),
        ("parallel_for", c_void_p),
    )


_LAYOUT = ("abi", "operand", "instruction", "part", "program", "weight", "call")


class Layout(ctypes.Structure):
    _fields_ = tuple((name, c_int64) for name in _LAYOUT)

    def values(self) -> list[int]:
        return [getattr(self, name) for name in _LAYOUT]


EXPECTED_LAYOUT = [ABI, *map(ctypes.sizeof, (Operand, Instruction, Part, Program, Weight, Call))]
