"""Specs and models on disk, and what both kinds of files share."""

from rnnkit.files.atomic_write import atomic_write
from rnnkit.files.problem import FileProblem, listing, problem_lines

__all__ = [
    "FileProblem",
    "atomic_write",
    "listing",
    "problem_lines",
]
