"""The options that every stack of cells has, and those of initialization that torch's own kinds have too."""

from typing import Annotated, Literal

from pydantic import Field

from rnnkit.options import Options, one_or_each

_Probability = Annotated[float, Field(ge=0, lt=1, strict=True, allow_inf_nan=False)]
_Probabilities = tuple[_Probability, ...]


class InitOptions(Options):
    """How the recurrent weights start.

    Attributes:
        recurrent_init: `"default"`, which is uniform in +-1 / sqrt(hidden_size) as in torch, or `"orthogonal"`: the
            block of each gate is an orthogonal matrix (Saxe et al., arXiv 1312.6120).
    """

    recurrent_init: Literal["default", "orthogonal"] = "default"


class StackOptions(InitOptions):
    """The options of every kind that is a stack of cells; the base of such a kind's own options.

    What a cell cannot honour is refused when the spec is made. Between two layers things happen in this order: dropout
    of what the upper cell reads, the cell, `layer_norm="output"`, and the sum with what came in, undropped.

    Attributes:
        forget_bias: what the bias of the forget gate starts at, both of its biases together (1 in Jozefowicz et al.,
            2015); None: as every other bias. For cells that have such a gate.
        learn_initial_state: whether the initial state is a parameter, which starts at zero, rather than zero.
        layer_norm: `"output"` normalizes the output of each layer over its features, both directions together, and
            leaves the states as they are; `"gates"` normalizes inside the gates (Ba et al., arXiv 1607.06450), for
            cells that offer it.
        residual: whether each layer but the first adds what it reads to its output; needs layers of one size.
        variational_dropout: whether the spec's `dropout` draws one mask for all steps of a row in one call (Gal and
            Ghahramani, arXiv 1512.05287) instead of a new one at each step.
        recurrent_dropout: probability with which a feature of the hidden state that the gates read is zeroed in
            training, with one mask for all steps (the same paper), in [0, 1). For cells whose hidden state is read by
            matrix products only.
        zoneout: probability with which a feature of the state keeps its value from the step before (Krueger et al.,
            arXiv 1606.01305), in [0, 1); in evaluation the two values are averaged with these weights. One number for
            the whole state, or a tuple with one for each of its parts in their order: `(0.05, 0.5)` for `(h, c)`.
    """

    forget_bias: Annotated[float, Field(allow_inf_nan=False)] | None = None
    learn_initial_state: bool = False
    layer_norm: Literal["none", "output", "gates"] = "none"
    residual: bool = False
    variational_dropout: bool = False
    recurrent_dropout: _Probability = 0.0
    zoneout: Annotated[_Probability | _Probabilities, one_or_each(_Probability, _Probabilities)] = 0.0
