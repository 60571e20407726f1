"""Builds the native library as package data: the wheel is for a platform, and for every version of Python."""

import shutil
import subprocess
import sys
from pathlib import Path

from setuptools import Extension, setup
from setuptools.command.bdist_wheel import bdist_wheel
from setuptools.command.build_ext import build_ext

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))  # pip does not run this file from its folder
from targets import TARGETS, build, chosen_target, requested_target  # noqa: E402  # needs the path that the line above adds


class BuildLibrary(build_ext):
    """Builds the library by zig; if that fails, the package is installed without it, unless a target is requested."""

    def get_ext_filename(self, fullname):
        return str(Path(*fullname.split(".")[:-1], chosen_target().library))

    def build_extension(self, ext):
        target = chosen_target()
        # not `self.build_temp`, which an editable install removes: zig's cache makes the next build fast
        library = build(target, HERE / "build" / "native" / target.wheel)
        destination = Path(self.get_ext_fullpath(ext.name))
        destination.parent.mkdir(parents=True, exist_ok=True)
        for other in TARGETS.values():  # of the build before, which setuptools would put into this wheel as well
            destination.with_name(other.library).unlink(missing_ok=True)
        shutil.copy(library, destination)

    def run(self):
        try:
            super().run()
        except (OSError, subprocess.CalledProcessError) as error:
            if requested_target():  # a wheel to publish
                raise
            print(f"rnnkit-kernels is built without its library: {error!r}", file=sys.stderr)
            self.extensions = []


class PlatformWheel(bdist_wheel):
    """A wheel for one platform and all versions of Python."""

    def get_tag(self):
        target = chosen_target()
        return ("py3", "none", target.wheel) if target else super().get_tag()


setup(
    ext_modules=[Extension("rnnkit_kernels.library", sources=[])] if chosen_target() else [],
    cmdclass={"build_ext": BuildLibrary, "bdist_wheel": PlatformWheel},
)
