"""Motions of a person with a smartwatch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from rnnkit.compare.tasks.recordings import Recordings


@dataclass(frozen=True)
class Motions(Recordings):
    """Recognize standing, running, walking and badminton in ten seconds of a smartwatch's sensors.

    100 steps of 6 features, three axes of an accelerometer and of a gyroscope: 32 recordings for training, 8 for
    validation, 40 for the test.
    """

    name = "motions"
    summary = "Recognize motions by the accelerometer and the gyroscope of a smartwatch."
    measures = "classification of sensor data with few examples"
    source = "BasicMotions (J. Clements), as in sktime: https://timeseriesclassification.com/description.php?Dataset=BasicMotions"
    loader = "load_basic_motions"

    def fields(self) -> Mapping[str, Any]:
        return {"input_size": 6, "output_size": 4}
