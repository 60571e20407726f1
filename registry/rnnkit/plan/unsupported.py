"""The error for a step that cannot be planned."""

from __future__ import annotations


class Unsupported(Exception):  # noqa: N818  # a normal outcome: the step loop runs instead
    """A step does something that a plan cannot express; the message says what, and in which line of the step.

    Args:
        reason: the reason, a clause without a period.
        line: the line of the step, as `nbrc.py, line 12, in NBRCCell.step`; empty if it is not known.
    """

    def __init__(self, reason: str, line: str = "") -> None:
        self.line = line
        super().__init__(f"{reason} ({line})" if line else reason)
