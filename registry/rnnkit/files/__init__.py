"""Spec files (`spec`) and checkpoints (`checkpoint`), and what both share: atomic writes and problems."""

from rnnkit.files._atomic_write import atomic_write
from rnnkit.files._problems import FileProblem, listing, problem_lines

__all__ = [
    "FileProblem",
    "atomic_write",
    "listing",
    "problem_lines",
]
