"""The base class of `rnn`, `lstm` and `gru`: a recurrent module of torch as a backbone."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Mapping
from operator import is_
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.utils.parametrize import is_parametrized
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from rnnkit import Backbone, CellStack, RecurrentSpec, map_state, orthogonal_
from rnnkit_builtin._executor_rule import FEWEST_STEPS_OF_ALL, executor_is_faster
from rnnkit_builtin._kernels import Layers
from rnnkit_builtin._unroll_operator import unroll_layers

if TYPE_CHECKING:
    from rnnkit_builtin._as_cells import CellBackbone

_TORCH = "torch"
_FORWARD: dict[type, Any] = {cls: cls.forward for cls in (nn.RNN, nn.GRU, nn.LSTM)}  # before anyone can patch them
_SIZES = ("mode", "input_size", "hidden_size", "num_layers", "bias", "batch_first", "bidirectional", "proj_size")

# By the prefix of its symbols in an equation, each parameter of the lowest layer.
_PARAMETER_OF_PREFIX = {"W_{i": "weight_ih_l0", "W_{h": "weight_hh_l0", "b_{i": "bias_ih_l0", "b_{h": "bias_hh_l0"}


class HiddenState(NamedTuple):
    """The state of a network that has a hidden state and nothing else."""

    h_n: Tensor
    """`(num_layers * directions, batch, hidden_size)`."""


def shared_arguments(spec: RecurrentSpec[Any]) -> dict[str, Any]:
    """Return the constructor arguments that `nn.RNN`, `nn.LSTM` and `nn.GRU` have in common."""
    names = ("input_size", "hidden_size", "num_layers", "bias", "batch_first", "dropout", "bidirectional")
    return {name: getattr(spec, name) for name in names}


def new_module(cls: type[nn.RNNBase], **arguments: Any) -> Any:
    """Return `nn.RNN`, `nn.LSTM` or `nn.GRU`, built in time that is linear in the number of layers.

    Its `__setattr__` compares the name of each parameter with those of all others, which no layer has yet while the
    constructor sets them.
    """
    module = _LINEAR_TIME[cls](**arguments)
    module.__class__ = cls
    return module


_LINEAR_TIME: dict[type, Any] = {
    cls: type(cls.__name__, (cls,), {"__setattr__": nn.Module.__setattr__}) for cls in (nn.RNN, nn.GRU, nn.LSTM)
}


class _Link:
    """The link of a backbone to its module. `torch.export` copies the containers of a backbone, but not this object.

    Attributes:
        values: the attributes of the module.
        cells: the module as a stack of cells, with the parameters of the last call by an executor; None before.
        weights: these parameters.
        ran: the executor of the last call, for display.
    """

    def __init__(self, module: nn.Module) -> None:
        self.values = vars(module)
        self.cells: CellBackbone | None = None
        self.weights: list[nn.Parameter] = []
        self.ran = ""

    def drop_cells(self) -> None:
        self.cells, self.weights = None, []


def hidden_features(spec: RecurrentSpec[Any]) -> int:
    """Return the number of features of the output at one step: the hidden state of each direction."""
    return spec.directions * spec.hidden_sizes[-1]


class TorchBackbone(Backbone):
    """A backbone around `nn.RNN`, `nn.LSTM` or `nn.GRU`.

    Args:
        spec: the spec that `rnn` was built from.
        rnn: the module, available as the attribute `rnn`.

    Shape:
        Each part of the state is `(num_layers * directions, batch, features)`, in torch's order: layer 0
        forward, layer 0 reverse, layer 1 forward, and so on.
    """

    _make_state: ClassVar[Callable[..., Any]] = HiddenState  # from the final state that the module returns

    def __init__(self, spec: RecurrentSpec[Any], rnn: nn.RNNBase) -> None:
        directions = 2 if rnn.bidirectional else 1
        # kept here, since dynamic quantization replaces `rnn` by a module that has fewer attributes and no parameters
        self.state_layers = rnn.num_layers * directions
        self.hidden_size = rnn.hidden_size
        self.output_size = rnn.proj_size or rnn.hidden_size
        super().__init__(spec, features=directions * self.output_size)
        self._like = next(rnn.parameters()).detach().new_empty(0)  # not a buffer, which a summary would list
        self._layers = Layers(rnn.mode.lower(), rnn.num_layers, rnn.bias, rnn.bidirectional)
        self._weight_names = tuple(rnn._parameters)  # noqa: SLF001  # in the order in which the kernels take them
        self._sizes = {name: getattr(rnn, name) for name in _SIZES}
        self.rnn = rnn
        if spec.options.recurrent_init == "orthogonal":
            for _, weight_hh, *_ in rnn.all_weights:
                orthogonal_(weight_hh, rnn.hidden_size)

    def state_shapes(self, batch_size: int) -> Any:
        h_n: Any = torch.Size((self.state_layers, batch_size, self.hidden_size))
        return HiddenState(h_n)

    def split_directions(self, state: Any) -> tuple[Any, Any]:
        return map_state(lambda part: part[::2], state), map_state(lambda part: part[1::2], state)

    def __setattr__(self, name: str, value: Any) -> None:
        super().__setattr__(name, value)
        if name == "rnn":
            self._link()

    def _link(self) -> None:
        """Keep the attributes of `rnn` where `torch.compile` reads them: it refuses torch's recurrent modules."""
        self._link_to_rnn = _Link(self.rnn)

    def _reference_tensor(self) -> Tensor:
        # A tool may replace `rnn` in `_modules`, past `__setattr__`. Without this line its parameters would stay alive.
        if not torch.compiler.is_compiling() and self._link_to_rnn.values is not self._modules["rnn"].__dict__:
            self._link()
        for weight in self._link_to_rnn.values["_parameters"].values():  # as `parameters()`, which is slower
            if weight is not None:
                return weight  # type: ignore[no-any-return]  # a parameter
        return self._like

    def _apply(self, fn: Any, recurse: bool = True) -> Any:
        self._like = fn(self._like)
        self._link_to_rnn.drop_cells()  # torch may replace the parameters, which would stay alive
        return super()._apply(fn, recurse)  # type: ignore[no-untyped-call]  # missing in torch's stubs

    def __getstate__(self) -> Any:
        if isinstance(self.rnn, nn.RNNBase) and is_parametrized(self.rnn):
            _detach_computed_weights(self.rnn)
        state = dict(super().__getstate__())  # type: ignore[no-untyped-call]  # of object
        del state["_link_to_rnn"]
        return state

    def __setstate__(self, state: Any) -> None:
        super().__setstate__(state)  # type: ignore[no-untyped-call]  # missing in torch's stubs
        self._link()

    def _symbols(self, gates: str) -> dict[str, Tensor]:
        """Return the weights and biases of the lowest layer by their symbols in equations: `W_{ir}`, `b_{hz}`."""
        symbols: dict[str, Tensor] = {}
        for prefix, name in _PARAMETER_OF_PREFIX.items():
            if hasattr(self.rnn, name):
                blocks = getattr(self.rnn, name).chunk(len(gates))
                symbols |= {f"{prefix}{gate}}}": block for gate, block in zip(gates, blocks, strict=True)}
        return symbols

    def as_step_loop(self) -> Backbone:
        # not a module that a tool has put in its place; a module with parametrized weights has another class
        if type(self.rnn).forward not in (nn.RNN.forward, nn.GRU.forward, nn.LSTM.forward):
            return self
        from rnnkit_builtin._as_cells import as_step_loop

        return as_step_loop(self, self.rnn)

    def onnx_translations(self) -> Mapping[Any, Callable[..., Any]]:
        if self.output_size != self.hidden_size:  # ONNX has no projection
            return {}
        from rnnkit_builtin._onnx import TRANSLATIONS  # imports onnxscript

        return TRANSLATIONS

    def run(self, x: Tensor, state: Any | None, lengths: Tensor | None) -> tuple[Tensor, Any]:
        time = x.shape[1 if self.batch_first else 0]
        if torch.compiler.is_compiling():
            if self._runs_kernel():
                return self._run_operator(x, state, lengths, None)
        elif time >= FEWEST_STEPS_OF_ALL and self._prefers_executor(x, lengths):  # the first condition costs no call
            result = self._run_planned(x, state, lengths)
            if result is not NotImplemented:
                return result  # type: ignore[no-any-return]  # of a stack of cells
        else:
            self._link_to_rnn.ran = _TORCH
        if lengths is None:
            return self._call(x, state)
        # torch packs lengths on the CPU only, and refuses 0: an empty sequence runs one step, which is undone below
        lengths_on_cpu = lengths.cpu()
        packed = pack_padded_sequence(x, lengths_on_cpu.clamp(min=1), self.batch_first, enforce_sorted=False)
        packed_output, final = self._call(packed, state)
        output, _ = pad_packed_sequence(packed_output, self.batch_first, total_length=time)
        if not bool(lengths_on_cpu.all()):
            final = self._restore_empty(final, state, lengths == 0)
        return output, final

    @property
    def executor(self) -> str:
        return self._link_to_rnn.ran

    def _prefers_executor(self, x: Tensor, lengths: Tensor | None) -> bool:
        batch, time = x.shape[:2] if self.batch_first else (x.shape[1], x.shape[0])
        return executor_is_faster(
            self._layers.kernel,
            x,
            self.hidden_size,
            time=time,
            batch=batch,
            has_lengths=lengths is not None,
            projected=self.output_size != self.hidden_size,
        )

    def _run_planned(self, x: Tensor, state: Any | None, lengths: Tensor | None) -> Any:
        """Compute `run` by an installed executor, or return `NotImplemented`."""
        link = self._link_to_rnn
        own = link.values
        if not CellStack.has_executor():
            link.ran = f"{_TORCH} (no executor is installed)"
            return NotImplemented
        if not self._equals_cells():
            link.drop_cells()
            link.ran = f"{_TORCH} (hooks, parametrizations or attributes change the module)"
            return NotImplemented
        if link.cells is None:
            from rnnkit_builtin._as_cells import CellBackbone

            link.cells = CellBackbone(self, self.rnn)
        weights = list(map(own["_parameters"].__getitem__, self._weight_names))
        if not link.weights or not all(map(is_, weights, link.weights)):  # they may have been replaced
            link.cells.set_weights(own["_parameters"].__getitem__)
            link.weights = weights
        dropout = own["dropout"] if own["training"] else 0.0
        result = link.cells.run_planned(x, state, lengths, dropout=dropout)
        if isinstance(result, str):
            link.ran = f"{_TORCH} ({result})"
            return NotImplemented
        link.ran = link.cells.stack.executor
        return result

    def _equals_cells(self) -> bool:
        """True if cells with the parameters of `rnn` compute what a call of `rnn` computes."""
        own = self._link_to_rnn.values
        if not self._runs_kernel() or own.get("_compiled_call_impl") is not None:
            return False
        weights = [own["_parameters"][name] for name in self._weight_names]
        return (
            type(self.rnn).forward is _FORWARD[type(self.rnn)]
            and self._sizes.items() <= own.items()
            and all(type(weight) is nn.Parameter for weight in weights)
        )

    def run_with_restarts(self, x: Tensor, state: Any | None, lengths: Tensor | None, restarts: Tensor) -> Any:
        return self._run_operator(x, state, lengths, restarts) if self._runs_kernel() else NotImplemented

    def _runs_kernel(self) -> bool:
        """True if a call of `rnn` runs torch's kernel on the parameters of `rnn`, and nothing else."""
        own = self._link_to_rnn.values
        names = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")
        if not _is_torch_module(self) or "forward" in own or any(own[name] for name in names):
            return False
        return all(name in own["_parameters"] for name in self._weight_names)  # a parametrized weight is not

    def _run_operator(
        self, x: Tensor, state: Any | None, lengths: Tensor | None, restarts: Tensor | None
    ) -> tuple[Tensor, Any]:
        own = self._link_to_rnn.values
        weights = [own["_parameters"][name] for name in self._weight_names]
        dropout = own["dropout"] if own["training"] else 0.0
        if self.batch_first:
            x, restarts = x.transpose(0, 1), None if restarts is None else restarts.transpose(0, 1)
        initial = self.initial_state(x.shape[1], device=x.device, dtype=x.dtype) if state is None else state
        output, *final = unroll_layers(self._layers, x, initial, weights, lengths, restarts, dropout=dropout)
        output = output.transpose(0, 1) if self.batch_first else output
        return output, self._make_state(final[0] if len(final) == 1 else final)

    def _call(self, x: Any, state: Any | None) -> tuple[Any, Any]:
        # nn.RNN and nn.GRU take and return a tensor, nn.LSTM a tuple
        hx = state[0] if state is not None and len(state) == 1 else state
        output, final = self.rnn(x, hx)
        return output, self._make_state(final)

    def _restore_empty(self, final: Any, state: Any | None, empty: Tensor) -> Any:
        """Give sequences of length 0 back their initial state."""
        initial = self.initial_state(len(empty)) if state is None else state
        return type(final)(*(torch.where(empty[:, None], *parts) for parts in zip(initial, final, strict=True)))


def _is_torch_module(backbone: TorchBackbone) -> bool:
    """True if `rnn` is a module of torch itself, whose attributes the backbone reads; asked once per compilation."""
    rnn: Any = backbone.rnn
    is_linked = vars(rnn) is backbone._link_to_rnn.values  # noqa: SLF001  # of the class above: Dynamo needs a function
    return is_linked and type(rnn) in (nn.RNN, nn.GRU, nn.LSTM)


# the mark of `torch.compiler.assume_constant_result`, which would import the compiler here
_is_torch_module._dynamo_marked_constant = True  # type: ignore[attr-defined]  # noqa: SLF001  # as said above


def _detach_computed_weights(rnn: nn.RNNBase) -> None:
    """Detach the weights that the last call computed by parametrizations: `deepcopy` refuses tensors with a graph.

    The next call computes them again, since they are not the objects that the attributes of the module return.
    """
    flat: list[Any] = rnn._flat_weights  # noqa: SLF001  # torch has no public function for this
    weights = [None if each is None else each.detach() for each in flat]
    rnn._flat_weights = weights  # noqa: SLF001  # as above
    rnn._flat_weight_refs = [None if each is None else weakref.ref(each) for each in weights]  # noqa: SLF001  # as above
