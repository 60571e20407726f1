"""Deliberate faults as edits of the source of a plugin, each with the check that it fails.

The first plugin is the one that `rnnkit new-plugin` writes; its faults are mistakes that an author may make.
"""

from pathlib import Path
from typing import NamedTuple

from rnnkit.cli.scaffold import names_of, project_files


class Fault(NamedTuple):
    """A fault.

    Attributes:
        name: what is wrong.
        check: the check that should catch it.
        edits: pairs of a text that occurs once and its replacement.
    """

    name: str
    check: str
    edits: tuple[tuple[str, str], ...]

    def apply(self, text):
        """The source of a plugin with the fault."""
        for old, new in self.edits:
            assert text.count(old) == 1, f"{self.name}: {old!r} occurs {text.count(old)} times"
            text = text.replace(old, new)
        return text


def cell_plugin(kind="leaky"):
    """The source of the plugin that `rnnkit new-plugin` writes."""
    return next(file.text for file in project_files(names_of(f"rnnkit-{kind}")) if file.path == f"rnnkit_{kind}.py")


def backbone_plugin():
    """The source of a plugin that is not a stack of cells."""
    return Path(__file__).with_name("backbone_plugin.py").read_text(encoding="utf-8")


# Lines of the cell plugin

_START = "        super().__init__(input_size, hidden_size, device=device, dtype=dtype)\n"
_RECURRENT = "        self.weight_hh = self.new_parameter(hidden_size, hidden_size)\n"
_BIAS = "        self.bias = self.new_parameter(hidden_size) if bias else None\n"
_LEAK = "        self.leak = leak\n"
_PROJECT = "        return F.linear(x, self.weight_ih, self.bias)\n"
_CANDIDATE = "        candidate = torch.tanh(projected_t + F.linear(state.h, self.weight_hh))\n"
_NEW = "        h_t = (1 - self.leak) * state.h + self.leak * candidate\n"
_RETURN = "        return h_t, CellState(h_t)\n"
_SYMBOLS = "    def symbols(self) -> dict[str, Any]:\n"
_OPTION = "    leak: Annotated[float, Field(gt=0, le=1)] = 0.5\n"
_SUMMARY = 'summary="A leaky integrator: each step moves the state a fraction of the way to its new value."'
_LINK = 'link="https://doi.org/10.1016/j.neunet.2007.04.016"'
_CLASS = "class LeakyCell(Cell):\n"


def before(place, *lines):
    return (place, "".join(f"        {line}\n" for line in lines) + place)


def after(place, *lines):
    return (place, place + "".join(f"        {line}\n" for line in lines))


def instead(place, *lines):
    return (place, "".join(f"        {line}\n" for line in lines))


def method(text):
    """Add a method to the cell."""
    return (_SYMBOLS, text.strip("\n") + "\n\n" + _SYMBOLS)


_UNROLL = """
    def unroll(self, x: Tensor, state: CellState, lengths: Tensor | None) -> Any:
        outputs, h = [], state.h
        projected = self.project(x)
        for t, projected_t in enumerate(projected.unbind()):
            candidate = torch.tanh(projected_t + F.linear(h, self.weight_hh))
            new = (1 - self.leak) * h + self.leak * candidate
            h = new if lengths is None else torch.where((t < lengths)[:, None], new, h)
            outputs.append(h)
        return torch.stack(outputs), CellState(h)
"""


def unroll(old, new):
    """Add an `unroll` with a fault."""
    assert _UNROLL.count(old) == 1, old
    return method(_UNROLL.replace(old, new))


_BACKWARD = '''
class Squash(torch.autograd.Function):
    """tanh with a custom backward pass."""

    @staticmethod
    def forward(x: Any) -> Any:
        return torch.tanh(x)

    @staticmethod
    def setup_context(ctx: Any, inputs: Any, output: Any) -> None:
        ctx.save_for_backward(output)

    @staticmethod
    def backward(ctx: Any, gradient: Any) -> Any:
        (y,) = ctx.saved_tensors
        return SLOPE


'''


def backward(slope):
    """Replace tanh by a function with a faulty backward pass."""
    return (
        (_CLASS, _BACKWARD.replace("SLOPE", slope).lstrip() + _CLASS),
        (_CANDIDATE, _CANDIDATE.replace("torch.tanh", "Squash.apply")),
    )


CELL_FAULTS = [
    # time and state
    Fault(
        "carries a value from step to step outside of the state",
        "chunks_equal_full_sequence",
        (
            after(_LEAK, "self.count = 0.0"),
            before(_RETURN, "self.count = state.h.abs().sum() / (1 + abs(self.count)); h_t = h_t + 0.1 * self.count"),
        ),
    ),
    Fault(
        "keeps its state between calls",
        "calls_are_independent",
        (
            after(_LEAK, "self.kept = None"),
            before(
                _CANDIDATE,
                "if self.kept is not None and self.kept.shape == state.h.shape and not state.h.any():",
                "    state = CellState(self.kept)",
            ),
            before(_RETURN, "self.kept = h_t.detach()"),
        ),
    ),
    Fault(
        "reads the whole sequence",
        "step_equals_forward",
        (instead(_PROJECT, "return F.linear(x - x.mean(0), self.weight_ih, self.bias)"),),
    ),
    Fault(
        "runs backwards through time",
        "step_equals_forward",
        (unroll("self.project(x)", "self.project(x).flip(0)"),),
    ),
    Fault(
        "starts in another dtype",
        "state_layout",
        (
            method("""
    def initial_state(self, batch_size: int, **_where: Any) -> CellState:
        return CellState(torch.zeros(batch_size, self.hidden_size))
"""),
        ),
    ),
    Fault(
        "returns another number of features than declared",
        "output_shape",
        (instead(_RETURN, "return torch.cat([h_t, h_t], -1), CellState(h_t)"),),
    ),
    Fault(
        "fails on an empty batch",
        "empty_batch",
        (before(_RETURN, "h_t = h_t + 0 * state.h.max()"),),
    ),
    # padding
    Fault(
        "leaks padding into the state",
        "padding_has_no_effect",
        (unroll("new if lengths is None else torch.where((t < lengths)[:, None], new, h)", "new"),),
    ),
    # gradients
    Fault(
        "detaches a gate",
        "gradients_pass_gradcheck",
        (after(_CANDIDATE, "candidate = candidate.detach()"),),
    ),
    Fault(
        "cuts the gradient through time",
        "gradients_pass_gradcheck",
        (instead(_NEW, "h_t = (1 - self.leak) * state.h.detach() + self.leak * candidate"),),
    ),
    Fault("has a wrong backward pass", "gradients_pass_gradcheck", backward("gradient * (1 - y)")),
    Fault(
        "has a wrong double backward",
        "double_backward",
        backward("gradient * (1 - y * y).detach()"),
    ),
    Fault(
        "has no gradient at zero",
        "every_parameter_is_trained",
        (instead(_NEW, "h_t = (1 - self.leak) * torch.sqrt(state.h * state.h) + self.leak * candidate"),),
    ),
    # fused paths
    Fault(
        "has a fused path that computes a gate in float32",
        "executors_equal_step_loop",
        (
            unroll(
                "torch.tanh(projected_t + F.linear(h, self.weight_hh))",
                "torch.tanh((projected_t + F.linear(h, self.weight_hh)).float()).to(h)",
            ),
        ),
    ),
    Fault(
        "has a fused path that is off by the last bit of a float32 gate",
        "executors_equal_step_loop",
        (
            unroll(
                "            new =",
                "            candidate = candidate + candidate.detach().float().frexp()[1].to(h).sub(24).exp2()\n"
                "            new =",
            ),
        ),
    ),
    Fault(
        "has a fused path that is wrong in the last feature",
        "executors_equal_step_loop",
        (
            unroll(
                "            new =",
                "            candidate = torch.cat([candidate[:, :-1], 1.0001 * candidate[:, -1:]], -1)\n"
                "            new =",
            ),
        ),
    ),
    Fault(
        "has a fused path with a wrong gradient",
        "executors_equal_step_loop",
        (unroll("            new =", "            candidate = candidate + 0.1 * (h - h.detach())\n            new ="),),
    ),
    # options and the record
    Fault("ignores an option", "options_take_effect", (instead(_LEAK, "self.leak = 0.5"),)),
    Fault(
        "ignores bias=False",
        "fields_take_effect",
        (instead(_BIAS, "self.bias = self.new_parameter(hidden_size)"),),
    ),
    Fault(
        "accepts any value of an option",
        "options_are_validated",
        ((_OPTION, "    leak: Any = 0.5\n"), instead(_LEAK, "self.leak = float(leak)")),
    ),
    Fault(
        "fails to build valid specs",
        "valid_specs_build_and_run",
        (after(_START, "if not bias:", "    raise NotImplementedError('a bias is needed')"),),
    ),
    Fault("has no summary", "record_is_complete", ((_SUMMARY, 'summary=""'),)),
    Fault("has an invalid link", "record_is_complete", ((_LINK, 'link="see the paper"'),)),
    Fault(
        "does not document its option",
        "record_is_complete",
        (('    """Fraction of the state that each step replaces."""\n', ""),),
    ),
    Fault(
        "does not compute its equation",
        "step_matches_equation",
        (instead(_NEW, "h_t = (1 - self.leak) * state.h + self.leak * candidate * candidate"),),
    ),
    Fault(
        "returns the previous state",
        "step_matches_equation",
        (instead(_RETURN, "return h_t, CellState(state.h)"),),
    ),
    # independence
    Fault("modifies its input", "inputs_are_not_modified", (before(_PROJECT, "x.mul_(0.5)"),)),
    Fault(
        "modifies the given state",
        "inputs_are_not_modified",
        (before(_CANDIDATE, "with torch.no_grad():", "    state.h.mul_(0.5)"),),
    ),
    Fault(
        "mixes sequences",
        "sequences_are_independent",
        (after(_CANDIDATE, "candidate = candidate - candidate.mean(0)"),),
    ),
    Fault(
        "applies dropout in evaluation mode",
        "evaluation_is_deterministic",
        (after(_CANDIDATE, "candidate = F.dropout(candidate, 0.1)"),),
    ),
    Fault(
        "draws random numbers in evaluation mode",
        "evaluation_is_deterministic",
        (before(_CANDIDATE, "torch.rand(1)"),),
    ),
    Fault(
        "draws weights with another library",
        "seeded_initialization",
        (
            after(_LEAK, "with torch.no_grad():", "    self.weight_hh.mul_(random.random())"),
            ("from typing import Annotated, Any\n", "from typing import Annotated, Any\nimport random\n"),
        ),
    ),
    Fault("sets the seed", "seeded_initialization", (after(_START, "torch.manual_seed(0)"),)),
    # layers
    Fault(
        "shares weights between layers",
        "layers_do_not_share_weights",
        (
            instead(
                _RECURRENT,
                "made = type(self).__dict__.get('shared')",
                "if made is None or made.shape[0] != hidden_size or len(made_by(self)) > 3:",
                "    made = self.new_parameter(hidden_size, hidden_size)",
                "    made_by(self).clear()",
                "    type(self).shared = made",
                "made_by(self).append(1)",
                "self.weight_hh = made",
            ),
            (_CLASS, "def made_by(cell: Any, made: list[int] = []) -> list[int]:\n    return made\n\n\n" + _CLASS),
        ),
    ),
    # dtype and device
    Fault(
        "has a constant in the wrong dtype",
        "dtype_is_consistent",
        (
            instead(
                _NEW,
                "leak = torch.full((self.hidden_size,), self.leak, device=state.h.device)",
                "h_t = (1 - leak) * state.h + leak * candidate",
            ),
        ),
    ),
    Fault(
        "has a constant on the CPU",
        "device_is_consistent",
        (
            instead(
                _NEW,
                "leak = torch.full((self.hidden_size,), self.leak, dtype=state.h.dtype)",
                "h_t = (1 - leak) * state.h + leak * candidate",
            ),
        ),
    ),
    Fault(
        "has a tensor that is not moved",
        "device_is_consistent",
        (
            after(_LEAK, "self.leaks = torch.full((hidden_size,), leak, device=device, dtype=dtype)"),
            instead(_NEW, "h_t = (1 - self.leaks) * state.h + self.leaks * candidate"),
        ),
    ),
    # training
    Fault(
        "has an unused parameter",
        "every_parameter_is_trained",
        (after(_LEAK, "self.unused = self.new_parameter(hidden_size)"),),
    ),
    Fault(
        "ignores its state",
        "loss_decreases",
        (
            instead(_CANDIDATE, "candidate = torch.tanh(projected_t + F.linear(0 * state.h, self.weight_hh))"),
            instead(_NEW, "h_t = 0 * state.h + candidate"),
        ),
    ),
    # systems
    Fault(
        "has a weight that is not saved",
        "state_dict_round_trip",
        (
            after(
                _LEAK,
                "mask = torch.rand(hidden_size, device=device, dtype=dtype)",
                "self.register_buffer('mask', mask, persistent=False)",
            ),
            after(_CANDIDATE, "candidate = candidate * self.mask"),
        ),
    ),
    Fault(
        "caches a copy of its weights",
        "state_dict_round_trip",
        (
            after(_LEAK, "self.copied: Any = None"),
            before(_CANDIDATE, "if self.copied is None or self.training:", "    self.copied = self.weight_hh + 0"),
            (_CANDIDATE, _CANDIDATE.replace("self.weight_hh", "self.copied")),
        ),
    ),
    Fault(
        "has a fused path that mixes dtypes under autocast",
        "autocast_is_close",
        (unroll("new = (1 - self.leak) * h + self.leak * candidate", "new = torch.lerp(h, candidate, self.leak)"),),
    ),
    Fault(
        "has a buffer that another model shares",
        "reset_parameters_equals_new_model",
        (
            (
                _CLASS,
                "@lru_cache\n"
                "def leaks(leak: float, hidden_size: int, device: Any, dtype: Any) -> Tensor:\n"
                "    return torch.full((hidden_size,), leak, device=device, dtype=dtype)\n\n\n" + _CLASS,
            ),
            (
                "from typing import Annotated, Any\n",
                "from functools import lru_cache\nfrom typing import Annotated, Any\n",
            ),
            after(_LEAK, "self.register_buffer('leaks', leaks(leak, hidden_size, device, dtype), persistent=False)"),
            instead(_NEW, "h_t = (1 - self.leaks) * state.h + self.leaks * candidate"),
        ),
    ),
    Fault(
        "has a parameter that another model shares",
        "reset_parameters_equals_new_model",
        (
            (_CLASS, "GAINS: dict[Any, Tensor] = {}\n\n\n" + _CLASS),
            after(
                _LEAK,
                "gain = torch.ones(hidden_size, device=device, dtype=dtype)",
                "self.gain = torch.nn.Parameter(GAINS.setdefault((hidden_size, device, dtype), gain))",
            ),
            after(_CANDIDATE, "candidate = candidate * self.gain"),
        ),
    ),
    Fault(
        "has a tensor that `to_empty` does not know",
        "reset_parameters_equals_new_model",
        (
            after(_LEAK, "self.leaks = torch.full((hidden_size,), leak, device=device, dtype=dtype)"),
            instead(_NEW, "h_t = (1 - self.leaks) * state.h + self.leaks * candidate"),
        ),
    ),
    Fault(
        "cannot be pickled",
        "pickle_round_trip",
        (
            after(_LEAK, "self.activation = lambda x: torch.tanh(x)"),
            (_CANDIDATE, _CANDIDATE.replace("torch.tanh", "self.activation")),
        ),
    ),
]

# Lines of the backbone plugin

_RECURS = "        self.recurs = nn.ModuleList(nn.Linear(hidden_size, hidden_size, **make) for _ in range(count))\n"
_ROWS = "        rows = list((self.initial_state(x.shape[1]) if state is None else state).h)\n"
_WAY = "                output, rows[row] = self.through(row, x, rows[row], lengths, reverse=direction == 1)\n"
_LAST = "        return (x.transpose(0, 1) if self.batch_first else x), EchoState(torch.stack(rows))\n"
_ORDER = "        for t in reversed(range(time)) if reverse else range(time):\n"
_KEPT = "            h = new if lengths is None else torch.where((t < lengths)[:, None], new, h)\n"
_OUTPUTS = "            outputs[t] = h\n"

BACKBONE_FAULTS = [
    Fault(
        "reverses padding along with the sequences",
        "padding_has_no_effect",
        (
            (
                _KEPT,
                "            h = new if lengths is None or reverse else torch.where((t < lengths)[:, None], new, h)\n",
            ),
        ),
    ),
    Fault(
        "returns the state at the end of the padding",
        "padding_has_no_effect",
        ((_KEPT, "            h = new\n"),),
    ),
    Fault(
        "does not reverse",
        "each_direction_is_causal",
        ((_ORDER, "        for t in range(time):\n"),),
    ),
    Fault(
        "returns the reverse direction in reversed order",
        "each_direction_is_causal",
        ((_OUTPUTS, "            outputs[time - 1 - t if reverse else t] = h\n"),),
    ),
    Fault(
        "swaps the states of its layers",
        "chunks_equal_full_sequence",
        ((_LAST, "        rows = rows[::-1]\n" + _LAST),),
    ),
    Fault(
        "returns a state of other shapes than declared",
        "state_layout",
        ((_LAST, _LAST.replace("torch.stack(rows)", "torch.stack(rows)[:1]")),),
    ),
    Fault(
        "ignores the given state",
        "chunks_equal_full_sequence",
        ((_ROWS, "        rows = list(self.initial_state(x.shape[1]).h)\n"),),
    ),
    Fault(
        "ignores batch_first",
        "batch_first_is_a_transpose",
        (
            ("        x = x.transpose(0, 1) if self.batch_first else x\n", "        x = x.transpose(0, 1)\n"),
            (_LAST, _LAST.replace("(x.transpose(0, 1) if self.batch_first else x)", "x.transpose(0, 1)")),
            (_ROWS, "        lengths = None\n        state = None\n" + _ROWS),
        ),
    ),
    Fault(
        "applies dropout to the last output",
        "dropout_between_layers",
        ((_LAST, "        x = F.dropout(x, self.spec.dropout, self.training)\n" + _LAST),),
    ),
    Fault(
        "never applies dropout",
        "dropout_between_layers",
        (("            if layer > 0 and self.training:\n", "            if layer > 0 and not self.input_size:\n"),),
    ),
    Fault(
        "shares weights between directions",
        "layers_do_not_share_weights",
        (
            (
                _RECURS,
                _RECURS + "        for row in range(1, count, 2) if spec.bidirectional else ():\n"
                "            self.reads[row], self.recurs[row] = self.reads[row - 1], self.recurs[row - 1]\n",
            ),
        ),
    ),
    Fault(
        "uses the forward weights in the reverse direction",
        "every_parameter_is_trained",
        ((_WAY, _WAY.replace("self.through(row,", "self.through(row - direction,")),),
    ),
    Fault(
        "skips a layer",
        "output_depends_on_every_layer",
        (("            x = torch.cat(ways, -1)\n", "            x = torch.cat(ways, -1) if layer != 1 else x\n"),),
    ),
]
