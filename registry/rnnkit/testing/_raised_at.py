"""The line of a plugin at which an exception was raised."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from traceback import FrameSummary, walk_tb
from types import FrameType

from rnnkit._messages import describe_exception

# The plugin's code is called by these, directly or through each other.
_LIBRARIES = {"torch", "functorch", "pluggy", "pydantic", "numpy", "onnx", "onnxscript", "onnx_ir", "onnxruntime"}
_CALLERS = {"rnnkit", *_LIBRARIES, *sys.stdlib_module_names, ""} - {"__main__"}  # "": code that torch generates


def describe_raised(error: BaseException) -> str:
    """The class and the message of an exception, and where the plugin's code raised it, on one line."""
    return f"{describe_exception(error)}{raised_at(error)}"


def raised_at(error: BaseException) -> str:
    """The innermost line of the plugin's code, as ` (nbrc.py, line 12, in NBRCCell.step)`; empty if there is none.

    The plugin is the package that rnnkit or torch called, so that a line of a library that the plugin uses does not
    count.
    """
    for each in _chain(error):
        frames = [(frame, line) for frame, line in walk_tb(each.__traceback__) if _package(frame) not in _CALLERS]
        if frames:
            plugin = _package(frames[0][0])
            frame, line = [each for each in frames if _package(each[0]) == plugin][-1]
            return f" ({Path(frame.f_code.co_filename).name}, line {line}, in {frame.f_code.co_qualname})"
        if traced := [frame for frame in getattr(each, "real_stack", None) or () if _is_of_plugin(frame)]:
            return f" ({Path(traced[-1].filename).name}, line {traced[-1].lineno}, in {traced[-1].name})"
    return ""


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    """An exception, and those that caused it: rnnkit raises some of its own from those of a plugin."""
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def _is_of_plugin(frame: FrameSummary) -> bool:
    """Whether a frame is of code that torch's compiler traced, without running it, and that is not rnnkit or torch."""
    names = (name for name, module in [*sys.modules.items()] if getattr(module, "__file__", None) == frame.filename)
    return next(names, "").partition(".")[0] not in _CALLERS


def _package(frame: FrameType) -> str:
    return str(frame.f_globals.get("__name__", "")).partition(".")[0]
