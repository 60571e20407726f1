"""torch's table of translations to ONNX, built once: torch builds it for each file, which takes half a second."""

import copy
import functools
import sys

_MODULE = "torch.onnx._internal.exporter._registration"


def share_table():
    """Give each export a copy of one table, once torch's exporter is imported, which only few tests do."""
    if registry := getattr(sys.modules.get(_MODULE), "ONNXRegistry", None):
        _share(registry)


@functools.cache
def _share(registry):
    registry.from_torchlib = staticmethod(functools.partial(_copied, functools.cache(registry.from_torchlib)))


def _copied(build, *arguments, **options):
    """A copy, because an export adds its own translations."""
    table = copy.copy(build(*arguments, **options))
    table.functions = {target: list(each) for target, each in table.functions.items()}
    return table
