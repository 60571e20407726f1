"""The model: a backbone and a readout, functions of states, and validation of inputs."""

from rnnkit.model._input_checks import Lengths
from rnnkit.model._reentrant import refuse_in_compiled_model, refuse_reentrant_checkpoint
from rnnkit.model.backbone import Backbone, padding_mask
from rnnkit.model.readout import Readout
from rnnkit.model.recurrent_model import RecurrentModel
from rnnkit.model.reset import ResettableModule, add_resets
from rnnkit.model.restarts import RestartSegments
from rnnkit.model.state import (
    detach_state,
    expand_mask,
    flatten_state,
    flatten_with_paths,
    map_state,
    move_state,
    replace_tensors,
    state_tensors,
)
from rnnkit.model.step_module import StepModule
from rnnkit.model.tokens import make_embedding, tie_weights
from rnnkit.model.torch_modes import (
    autocast_is_on,
    default_device,
    has_global_hooks,
    is_batched_gradient,
    is_exporting,
    transforms_are_active,
)

__all__ = [
    "Backbone",
    "Lengths",
    "Readout",
    "RecurrentModel",
    "ResettableModule",
    "RestartSegments",
    "StepModule",
    "add_resets",
    "autocast_is_on",
    "default_device",
    "detach_state",
    "expand_mask",
    "flatten_state",
    "flatten_with_paths",
    "has_global_hooks",
    "is_batched_gradient",
    "is_exporting",
    "make_embedding",
    "map_state",
    "move_state",
    "padding_mask",
    "refuse_in_compiled_model",
    "refuse_reentrant_checkpoint",
    "replace_tensors",
    "state_tensors",
    "tie_weights",
    "transforms_are_active",
]
