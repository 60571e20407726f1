"""The model: a backbone and a readout, their state, and the checks of their input."""

from rnnkit.model.backbone import Backbone, padding
from rnnkit.model.readout import Readout
from rnnkit.model.recurrent_model import RecurrentModel
from rnnkit.model.state import as_wide, detach_state, flatten_state, map_state, move_state, paths
from rnnkit.model.torch_modes import autocast_is_on, transforms_are_active

__all__ = [
    "Backbone",
    "Readout",
    "RecurrentModel",
    "as_wide",
    "autocast_is_on",
    "detach_state",
    "flatten_state",
    "map_state",
    "move_state",
    "padding",
    "paths",
    "transforms_are_active",
]
