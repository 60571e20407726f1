"""The platforms that the native library is built for, and how: by `zig cc`, from any host."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

NATIVE = Path(__file__).with_name("native")
FLAGS = [
    "-std=c++17",
    "-O2",
    "-g0",
    "-fPIC",
    "-fvisibility=hidden",
    "-fno-exceptions",
    "-fno-rtti",
    "-fno-math-errno",
    "-fno-trapping-math",
    "-ffp-contract=fast",
    "-Wall",
    "-Wextra",
    "-Wno-psabi",
]


class InstructionSet(NamedTuple):
    """An instruction set, for which `backend.cpp` is compiled.

    Attributes:
        name: its name.
        cpu: the name of its processor for zig.
        vector_bytes: the size of a vector register.
        accumulators: the number of vector registers for the sums of a product: three quarters of all.
    """

    name: str
    cpu: str
    vector_bytes: int
    accumulators: int

    @property
    def identifier(self) -> str:
        return self.name.replace("-", "_")

    def options(self) -> list[str]:
        return [
            f"-mcpu={self.cpu}",
            f"-DBACKEND={self.identifier}",
            f'-DBACKEND_NAME="{self.name}"',
            f"-DVECTOR_BYTES={self.vector_bytes}",
            f"-DACCUMULATORS={self.accumulators}",
        ]


class Target(NamedTuple):
    """A platform.

    Attributes:
        triple: its name for zig.
        wheel: its name in the tags of wheels.
        library: the name of the library's file.
    """

    triple: str
    wheel: str
    library: str

    def instruction_sets(self) -> list[InstructionSet]:
        return _X86_64 if self.triple.startswith("x86_64") else _ARM64


_X86_64 = [
    InstructionSet("x86-64-v4", "x86_64_v4", 64, 24),
    InstructionSet("x86-64-v3", "x86_64_v3", 32, 12),
    InstructionSet("x86-64-v2", "x86_64_v2", 16, 12),
]
_ARM64 = [InstructionSet("arm64", "baseline", 16, 24)]

TARGETS = {
    each.wheel: each
    for each in (
        Target("x86_64-linux-gnu.2.17", "manylinux_2_17_x86_64", "librnnkit_kernels.so"),
        Target("x86_64-linux-musl", "musllinux_1_2_x86_64", "librnnkit_kernels.so"),
        Target("aarch64-linux-gnu.2.17", "manylinux_2_17_aarch64", "librnnkit_kernels.so"),
        Target("aarch64-macos.11.0", "macosx_11_0_arm64", "librnnkit_kernels.dylib"),
        Target("x86_64-macos.11.0", "macosx_11_0_x86_64", "librnnkit_kernels.dylib"),
        Target("x86_64-windows-gnu", "win_amd64", "rnnkit_kernels.dll"),
    )
}


def requested_target() -> Target | None:
    """Return the target that the environment variable `RNNKIT_KERNELS_TARGET` names, None if it is not set.

    Raises:
        KeyError: the variable names no target.
    """
    name = os.environ.get("RNNKIT_KERNELS_TARGET")
    return TARGETS[name] if name else None


def chosen_target() -> Target | None:
    """Return the requested target, or else this platform; None if the library is not built for this platform."""
    return requested_target() or TARGETS.get(_this_platform())


def build(target: Target, folder: Path) -> Path:
    """Compile the library into a folder, which keeps zig's cache, and return its path."""
    folder.mkdir(parents=True, exist_ok=True)
    sources = [
        (NATIVE / "dispatch.cpp", "dispatch", []),
        *[(NATIVE / "backend.cpp", each.identifier, each.options()) for each in target.instruction_sets()],
    ]
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        objects = list(pool.map(lambda source: _compile(target, folder, *source), sources))
    library = folder / target.library
    # `zig cc`, not `zig c++`: the library does not use that of C++
    _zig(folder, "-target", target.triple, "-shared", "-s", *map(str, objects), "-o", str(library))
    return library


def _compile(target: Target, folder: Path, source: Path, name: str, options: list[str]) -> Path:
    output = folder / f"{name}.o"
    _zig(folder, "-target", target.triple, *FLAGS, *options, "-c", str(source), "-o", str(output))
    return output


def _zig(folder: Path, *arguments: str) -> None:
    cache = str(folder / "zig-cache")
    environment = {**os.environ, "ZIG_GLOBAL_CACHE_DIR": cache, "ZIG_LOCAL_CACHE_DIR": cache}
    subprocess.run([sys.executable, "-m", "ziglang", "cc", *arguments], check=True, env=environment)


def _this_platform() -> str:
    machine = {"amd64": "x86_64", "arm64": "aarch64"}.get(platform.machine().lower(), platform.machine().lower())
    if sys.platform == "linux":
        libc = "manylinux_2_17" if platform.libc_ver()[0] == "glibc" else "musllinux_1_2"
        return f"{libc}_{machine}"
    if sys.platform == "darwin":
        return "macosx_11_0_arm64" if machine == "aarch64" else "macosx_11_0_x86_64"
    return "win_amd64" if sys.platform == "win32" and machine == "x86_64" else f"{sys.platform} {machine}"
