"""Deliberate faults, put into plugins as edits of their text, each with the promise that it breaks.

The first plugin is the one that `rnnkit new-plugin` writes: these are ways in which its author may go wrong.
"""

from pathlib import Path
from typing import NamedTuple

from rnnkit.cli.scaffold import names_of, project_files


class Fault(NamedTuple):
    """A fault.

    Attributes:
        name: what is wrong.
        check: the check that should catch it.
        edits: each a piece of text that occurs once, and what stands there instead.
    """

    name: str
    check: str
    edits: tuple[tuple[str, str], ...]

    def put_into(self, text):
        """The text of a plugin with the fault in it."""
        for old, new in self.edits:
            assert text.count(old) == 1, f"{self.name}: {old!r} stands there {text.count(old)} times"
            text = text.replace(old, new)
        return text


def scaffolded(kind="leaky"):
    """The module of the plugin that `rnnkit new-plugin` writes."""
    return next(file.text for file in project_files(names_of(f"rnnkit-{kind}")) if file.path == f"rnnkit_{kind}.py")


def by_hand():
    """The module of the plugin that is no stack of cells."""
    return Path(__file__).with_name("backbone_plugin.py").read_text(encoding="utf-8")


# Places in the plugin of the scaffold

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
_SUMMARY = 'summary="A leaky integrator: each step moves the state a part of the way to its new value."'
_LINK = 'link="https://doi.org/10.1016/j.neunet.2007.04.016"'
_CLASS = "class LeakyCell(Cell):\n"


def before(place, *lines):
    return (place, "".join(f"        {line}\n" for line in lines) + place)


def after(place, *lines):
    return (place, place + "".join(f"        {line}\n" for line in lines))


def instead(place, *lines):
    return (place, "".join(f"        {line}\n" for line in lines))


def method(text):
    """Another method of the cell."""
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
    """A fast way through the whole sequence with something wrong in it."""
    assert _UNROLL.count(old) == 1, old
    return method(_UNROLL.replace(old, new))


_BACKWARD = '''
class Squash(torch.autograd.Function):
    """tanh with a backward pass by hand."""

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
    """A backward pass by hand with something wrong in it."""
    return (
        (_CLASS, _BACKWARD.replace("SLOPE", slope).lstrip() + _CLASS),
        (_CANDIDATE, _CANDIDATE.replace("torch.tanh", "Squash.apply")),
    )


OF_CELLS = [
    # time and state
    Fault(
        "keeps something from step to step outside of the state",
        "two_halves_equal_the_whole",
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
        "looks at the whole sequence",
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
        "state_has_its_layout",
        (
            method("""
    def initial_state(self, batch_size: int, **_where: Any) -> CellState:
        return CellState(torch.zeros(batch_size, self.hidden_size))
"""),
        ),
    ),
    Fault(
        "puts out other features than it says",
        "output_has_its_shape",
        (instead(_RETURN, "return torch.cat([h_t, h_t], -1), CellState(h_t)"),),
    ),
    Fault(
        "fails where there is no row",
        "an_empty_batch_works",
        (before(_RETURN, "h_t = h_t + 0 * state.h.max()"),),
    ),
    # padding
    Fault(
        "leaks padding into the state",
        "padding_changes_nothing",
        (unroll("new if lengths is None else torch.where((t < lengths)[:, None], new, h)", "new"),),
    ),
    # gradients
    Fault(
        "forgets the gradient of a gate",
        "gradients_are_the_derivatives",
        (after(_CANDIDATE, "candidate = candidate.detach()"),),
    ),
    Fault(
        "cuts the gradient through time",
        "gradients_are_the_derivatives",
        (instead(_NEW, "h_t = (1 - self.leak) * state.h.detach() + self.leak * candidate"),),
    ),
    Fault("has a wrong backward pass", "gradients_are_the_derivatives", backward("gradient * (1 - y)")),
    Fault(
        "has a backward pass that is right once only",
        "double_backward",
        backward("gradient * (1 - y * y).detach()"),
    ),
    Fault(
        "has no gradient at zero",
        "every_parameter_learns",
        (instead(_NEW, "h_t = (1 - self.leak) * torch.sqrt(state.h * state.h) + self.leak * candidate"),),
    ),
    # fast ways
    Fault(
        "has a fast way that computes a gate in less precision",
        "executors_equal_the_step_loop",
        (
            unroll(
                "torch.tanh(projected_t + F.linear(h, self.weight_hh))",
                "torch.tanh((projected_t + F.linear(h, self.weight_hh)).float()).to(h)",
            ),
        ),
    ),
    Fault(
        "has a fast way that is off by the last bit of a gate in float32",
        "executors_equal_the_step_loop",
        (
            unroll(
                "            new =",
                "            candidate = candidate + candidate.detach().float().frexp()[1].to(h).sub(24).exp2()\n"
                "            new =",
            ),
        ),
    ),
    Fault(
        "has a fast way that is wrong in the last feature",
        "executors_equal_the_step_loop",
        (
            unroll(
                "            new =",
                "            candidate = torch.cat([candidate[:, :-1], 1.0001 * candidate[:, -1:]], -1)\n"
                "            new =",
            ),
        ),
    ),
    Fault(
        "has a fast way whose gradient is wrong",
        "executors_equal_the_step_loop",
        (unroll("            new =", "            candidate = candidate + 0.1 * (h - h.detach())\n            new ="),),
    ),
    # options and the record
    Fault("ignores an option", "options_take_effect", (instead(_LEAK, "self.leak = 0.5"),)),
    Fault(
        "ignores that it should have no bias",
        "fields_take_effect",
        (instead(_BIAS, "self.bias = self.new_parameter(hidden_size)"),),
    ),
    Fault(
        "takes whatever is given as an option",
        "options_are_checked",
        ((_OPTION, "    leak: Any = 0.5\n"), instead(_LEAK, "self.leak = float(leak)")),
    ),
    Fault(
        "fails to build what its specs may ask for",
        "what_a_spec_takes_can_be_built",
        (after(_START, "if not bias:", "    raise NotImplementedError('a bias is needed')"),),
    ),
    Fault("says nothing of itself", "record_is_complete", ((_SUMMARY, 'summary=""'),)),
    Fault("links to nowhere", "record_is_complete", ((_LINK, 'link="see the paper"'),)),
    Fault(
        "does not say what its option means",
        "record_is_complete",
        (("        leak: how much of the state each step replaces.\n", ""),),
    ),
    Fault(
        "computes another equation than it shows",
        "step_matches_its_equation",
        (instead(_NEW, "h_t = (1 - self.leak) * state.h + self.leak * candidate * candidate"),),
    ),
    Fault(
        "returns the state that it was given",
        "step_matches_its_equation",
        (instead(_RETURN, "return h_t, CellState(state.h)"),),
    ),
    # being alone
    Fault("changes its input", "nothing_given_is_changed", (before(_PROJECT, "x.mul_(0.5)"),)),
    Fault(
        "changes the state that it is given",
        "nothing_given_is_changed",
        (before(_CANDIDATE, "with torch.no_grad():", "    state.h.mul_(0.5)"),),
    ),
    Fault(
        "lets rows see one another",
        "sequences_are_independent",
        (after(_CANDIDATE, "candidate = candidate - candidate.mean(0)"),),
    ),
    Fault(
        "drops out in evaluation too",
        "evaluation_draws_nothing",
        (after(_CANDIDATE, "candidate = F.dropout(candidate, 0.1)"),),
    ),
    Fault(
        "uses the global random state",
        "evaluation_draws_nothing",
        (before(_CANDIDATE, "torch.rand(1)"),),
    ),
    Fault(
        "starts from the random numbers of another library",
        "weights_repeat_under_a_seed",
        (
            after(_LEAK, "with torch.no_grad():", "    self.weight_hh.mul_(random.random())"),
            ("from typing import Annotated, Any\n", "from typing import Annotated, Any\nimport random\n"),
        ),
    ),
    Fault("sets the seed", "weights_repeat_under_a_seed", (after(_START, "torch.manual_seed(0)"),)),
    # layers
    Fault(
        "shares weights between layers",
        "layers_have_weights_of_their_own",
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
        "dtype_follows",
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
        "device_follows",
        (
            instead(
                _NEW,
                "leak = torch.full((self.hidden_size,), self.leak, dtype=state.h.dtype)",
                "h_t = (1 - leak) * state.h + leak * candidate",
            ),
        ),
    ),
    Fault(
        "has a tensor that does not move along",
        "device_follows",
        (
            after(_LEAK, "self.leaks = torch.full((hidden_size,), leak, device=device, dtype=dtype)"),
            instead(_NEW, "h_t = (1 - self.leaks) * state.h + self.leaks * candidate"),
        ),
    ),
    # training
    Fault(
        "has a parameter that does nothing",
        "every_parameter_learns",
        (after(_LEAK, "self.unused = self.new_parameter(hidden_size)"),),
    ),
    Fault(
        "remembers nothing",
        "loss_falls",
        (
            instead(_CANDIDATE, "candidate = torch.tanh(projected_t + F.linear(0 * state.h, self.weight_hh))"),
            instead(_NEW, "h_t = 0 * state.h + candidate"),
        ),
    ),
    # systems
    Fault(
        "has weights that are not saved",
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
        "keeps a copy of its weights",
        "state_dict_round_trip",
        (
            after(_LEAK, "self.copied: Any = None"),
            before(_CANDIDATE, "if self.copied is None or self.training:", "    self.copied = self.weight_hh + 0"),
            (_CANDIDATE, _CANDIDATE.replace("self.weight_hh", "self.copied")),
        ),
    ),
    Fault(
        "cannot be pickled",
        "pickles",
        (
            after(_LEAK, "self.activation = lambda x: torch.tanh(x)"),
            (_CANDIDATE, _CANDIDATE.replace("torch.tanh", "self.activation")),
        ),
    ),
]

# Places in the plugin that is no stack of cells

_RECURS = "        self.recurs = nn.ModuleList(nn.Linear(hidden_size, hidden_size, **make) for _ in range(count))\n"
_ROWS = "        rows = list((self.initial_state(x.shape[1]) if state is None else state).h)\n"
_WAY = "                output, rows[row] = self.through(row, x, rows[row], lengths, reverse=direction == 1)\n"
_LAST = "        return (x.transpose(0, 1) if self.batch_first else x), EchoState(torch.stack(rows))\n"
_ORDER = "        for t in reversed(range(time)) if reverse else range(time):\n"
_KEPT = "            h = new if lengths is None else torch.where((t < lengths)[:, None], new, h)\n"
_OUTPUTS = "            outputs[t] = h\n"

OF_BACKBONES = [
    Fault(
        "reverses padding along with the rows",
        "padding_changes_nothing",
        (
            (
                _KEPT,
                "            h = new if lengths is None or reverse else torch.where((t < lengths)[:, None], new, h)\n",
            ),
        ),
    ),
    Fault(
        "returns the state at the end of the padding",
        "padding_changes_nothing",
        ((_KEPT, "            h = new\n"),),
    ),
    Fault(
        "reverses the wrong way",
        "each_direction_reads_its_own_side",
        ((_ORDER, "        for t in range(time):\n"),),
    ),
    Fault(
        "leaves the reverse direction in its own order",
        "each_direction_reads_its_own_side",
        ((_OUTPUTS, "            outputs[time - 1 - t if reverse else t] = h\n"),),
    ),
    Fault(
        "exchanges the states of its layers",
        "two_halves_equal_the_whole",
        ((_LAST, "        rows = rows[::-1]\n" + _LAST),),
    ),
    Fault(
        "returns a state of other shapes than it says",
        "state_has_its_layout",
        ((_LAST, _LAST.replace("torch.stack(rows)", "torch.stack(rows)[:1]")),),
    ),
    Fault(
        "ignores the state that it is given",
        "two_halves_equal_the_whole",
        ((_ROWS, "        rows = list(self.initial_state(x.shape[1]).h)\n"),),
    ),
    Fault(
        "ignores which axis is time",
        "time_first_is_the_transpose",
        (
            ("        x = x.transpose(0, 1) if self.batch_first else x\n", "        x = x.transpose(0, 1)\n"),
            (_LAST, _LAST.replace("(x.transpose(0, 1) if self.batch_first else x)", "x.transpose(0, 1)")),
            (_ROWS, "        lengths = None\n        state = None\n" + _ROWS),
        ),
    ),
    Fault(
        "drops out the last output",
        "dropout_acts_between_layers",
        ((_LAST, "        x = F.dropout(x, self.spec.dropout, self.training)\n" + _LAST),),
    ),
    Fault(
        "never drops out",
        "dropout_acts_between_layers",
        (("            if layer > 0 and self.training:\n", "            if layer > 0 and not self.input_size:\n"),),
    ),
    Fault(
        "has one set of weights for both directions",
        "layers_have_weights_of_their_own",
        (
            (
                _RECURS,
                _RECURS + "        for row in range(1, count, 2) if spec.bidirectional else ():\n"
                "            self.reads[row], self.recurs[row] = self.reads[row - 1], self.recurs[row - 1]\n",
            ),
        ),
    ),
    Fault(
        "reads both directions with one set of weights",
        "every_parameter_learns",
        ((_WAY, _WAY.replace("self.through(row,", "self.through(row - direction,")),),
    ),
    Fault(
        "skips a layer",
        "layers_feed_one_another",
        (("            x = torch.cat(ways, -1)\n", "            x = torch.cat(ways, -1) if layer != 1 else x\n"),),
    ),
]
