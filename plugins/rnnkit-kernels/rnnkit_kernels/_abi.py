"""The structures of `native/abi.h`, which has their meaning."""

from __future__ import annotations

import ctypes
from ctypes import c_int32, c_int64, c_void_p

ABI = 2
TEMPORARY, SCRATCH, NONE = -1, -2, -1
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


class Weight(ctypes.Structure):
    _fields_ = (("memory", c_int64), ("k_stride", c_int64), ("n_stride", c_int64), ("k", c_int64), ("n", c_int64))


class State(ctypes.Structure):
    _fields_ = (("operand", c_int32), ("first", c_int32), ("last", c_int32), ("features", c_int32))


class Sum(ctypes.Structure):
    _fields_ = (
        ("left", c_int32),
        ("right", c_int32),
        ("result", c_int32),
        ("all_steps", c_int32),
        ("m", c_int64),
        ("n", c_int64),
    )


class Program(ctypes.Structure):
    _fields_ = (
        ("operands", c_void_p),
        ("instructions", c_void_p),
        ("parts", c_void_p),
        ("weights", c_void_p),
        ("states", c_void_p),
        ("sums", c_void_p),
        ("part_count", c_int64),
        ("weight_count", c_int64),
        ("state_count", c_int64),
        ("sum_count", c_int64),
        ("width", c_int64),
        ("temporary_count", c_int64),
        ("scratch_width", c_int64),
        ("reverse", c_int64),
        ("time", c_int64),
        ("batch", c_int64),
    )


class Sequences(ctypes.Structure):
    _fields_ = (("live", c_void_p), ("lengths", c_void_p), ("order", c_void_p))


class Call(ctypes.Structure):
    _fields_ = (
        ("program", c_void_p),
        ("memories", c_void_p),
        ("sequences", c_void_p),
        ("threads", c_int64),
        ("parallel_for", c_void_p),
    )


_STRUCTURES = {
    "operand": Operand,
    "instruction": Instruction,
    "part": Part,
    "weight": Weight,
    "state": State,
    "sum": Sum,
    "program": Program,
    "sequences": Sequences,
    "call": Call,
}


class Layout(ctypes.Structure):
    _fields_ = tuple((name, c_int64) for name in ("abi", *_STRUCTURES))

    def values(self) -> list[int]:
        return [getattr(self, name) for name in ("abi", *_STRUCTURES)]


EXPECTED_LAYOUT = [ABI, *map(ctypes.sizeof, _STRUCTURES.values())]
