"""Speakers of vowels."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from rnnkit.compare.tasks.recordings import Recordings
from rnnkit.kind import Paper


@dataclass(frozen=True)
class Vowels(Recordings):
    """Recognize nine speakers by two Japanese vowels.

    7 to 29 steps of 12 coefficients of a linear prediction: 216 recordings for training, 54 for validation, 370 for the
    test.
    """

    name = "vowels"
    summary = "Recognize nine speakers by two vowels."
    measures = "classification of sequences of different lengths"
    source = Paper(
        title="Multidimensional curve classification using passing-through regions",
        authors="Mineichi Kudo, Jun Toyama, Masaru Shimbo",
        year=1999,
        link="https://archive.ics.uci.edu/dataset/128/japanese+vowels",
    )
    loader = "load_japanese_vowels"

    def fields(self) -> Mapping[str, Any]:
        return {"input_size": 12, "output_size": 9}
