r"""Explains the symbols of a kind's equation: meaning, shape, and the parameter that holds each.

Most symbols are explained without help from the plugin's author: the input, the parts of the state and functions are
the same in every equation, and `Cell.symbols` says which parameters the weights and biases are.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import torch
from torch import Tensor

from rnnkit import PluginError
from rnnkit.equation import ONES, Equation, UnreadableEquationError, name_of, plain_signal
from rnnkit_cards.card_context import CardContext
from rnnkit_cards.equation_lines import factor_after, gates_of
from rnnkit_cards.shape_text import shape_text

_INPUT, _OUTPUT = "x_t", "y_t"
_FUNCTIONS = {
    "sigmoid": r"logistic function, element-wise: \(1 / (1 + e^{-x})\), between 0 and 1",
    "tanh": r"hyperbolic tangent, element-wise: between \(-1\) and 1",
    "exp": "exponential function, element-wise",
    "log": "natural logarithm, element-wise",
    "ln": "natural logarithm, element-wise",
    "sin": "sine, element-wise",
    "cos": "cosine, element-wise",
    "sinh": "hyperbolic sine, element-wise",
    "cosh": "hyperbolic cosine, element-wise",
    "max": "maximum, element-wise",
    "min": "minimum, element-wise",
    "relu": r"rectified linear unit, element-wise: \(\max(x, 0)\)",
    "softplus": r"softplus, element-wise: \(\log(1 + e^x)\)",
    "silu": r"SiLU, element-wise: \(x / (1 + e^{-x})\)",
    "gelu": r"GELU, element-wise: \(x\) times the standard normal distribution function of \(x\)",
    "elu": r"ELU, element-wise: \(x\) if it is positive, else \(e^x - 1\)",
    "sign": r"sign, element-wise: \(-1\), 0 or 1",
    "softmax": "softmax over the features",
    "abs": "absolute value, element-wise",
    "diag": "diagonal matrix of a vector",
}
# as equations may write them: `\tanh`, and `\mathrm{tanh}` for `\operatorname{tanh}`
FUNCTIONS = {
    r"\sigma": _FUNCTIONS["sigmoid"],
    **dict.fromkeys(ONES, "vector of ones"),
    r"\Re": "real part, element-wise",
    r"\Im": "imaginary part, element-wise",
    **{f"\\{name}": text for name, text in _FUNCTIONS.items()},
    **{f"\\mathrm{{{name}}}": text for name, text in _FUNCTIONS.items()},
}
_STATE_PARTS = {"h": "hidden state", "c": "cell state"}


class SymbolRow(NamedTuple):
    """Symbols that are explained together.

    Attributes:
        symbols: in LaTeX.
        meaning: empty if it is not known.
        shape: shape of each symbol; empty if it has none or the shape is not known.
        parameter: parameter of the module that holds the symbols; empty if there is none or it is not known.
    """

    symbols: tuple[str, ...]
    meaning: str
    shape: str = ""
    parameter: str = ""


def symbol_rows(card: CardContext) -> list[SymbolRow]:
    """Rows that explain every symbol of a kind's equation, or only its `meanings` if the equation cannot be read.

    Raises:
        PluginError: `meanings` explains a symbol that the equation does not contain.
    """
    try:
        return _Symbols(card).rows()
    except UnreadableEquationError:
        return [SymbolRow((symbol,), meaning) for symbol, meaning in card.record.meanings.items()]


class _Symbols:
    def __init__(self, card: CardContext) -> None:
        self._card, self._latex = card, card.record.equation
        self._equation = Equation(self._latex)
        self._names = {*self._equation.defined, *self._equation.symbols}
        self._meanings = self._normalized_meanings()
        self._module = card.step_module
        given: Mapping[str, Any] = getattr(self._module, "symbols", dict)()
        self._heads = any(isinstance(value, list | tuple) for value in given.values())
        # all heads have the same shapes
        first = {name: value[0] if isinstance(value, list | tuple) else value for name, value in given.items()}
        self._given = {name_of(name): value for name, value in first.items()}
        self._values = self._evaluate()

    def rows(self) -> list[SymbolRow]:
        found: list[SymbolRow] = []
        explained: set[str] = set()
        for row in self._candidates():
            symbols = tuple(symbol for symbol in row.symbols if symbol in self._names - explained)
            explained.update(symbols)
            if symbols:
                found.append(row._replace(symbols=symbols))
        return [*found, *self._product_sign()]

    def _candidates(self) -> Iterator[SymbolRow]:
        """Rows in the order of the table; for a symbol that is in several, the first counts."""
        name = self._spelling(_INPUT)
        yield SymbolRow((name,), r"input of the layer at step \(t\)", self._shape(name))
        yield from self._state()
        yield from self._defined()
        yield from self._parameters()
        for name in sorted(self._names):
            yield SymbolRow((name,), self._meanings.get(name, FUNCTIONS.get(name, "")), self._shape(name))

    def _state(self) -> Iterator[SymbolRow]:
        for part in self._card.state_parts:
            for spelled in (part, f"\\{part}", f"\\mathrm{{{part}}}"):
                before, after = self._spelling(f"{spelled}_{{t-1}}"), self._spelling(f"{spelled}_t")
                meaning = self._meanings.get(after, _STATE_PARTS.get(part, f"part `{part}` of the state"))
                output = r"; \(" + after + r"\) is the output of the layer" if self._is_output(part) else ""
                yield SymbolRow((before, after), rf"{meaning} before and after step \(t\){output}", self._shape(after))

    def _defined(self) -> Iterator[SymbolRow]:
        gates = gates_of(self._latex)
        for name in self._equation.defined:
            is_output = name == self._equation.spelling(_OUTPUT)
            text = "output of the layer" if is_output else "gate, between 0 and 1" if name in gates else ""
            yield SymbolRow((name,), self._meanings.get(name, text or "defined by its line"), self._shape(name))

    def _parameters(self) -> Iterator[SymbolRow]:
        for name, parameter in self._module.named_parameters():
            held = {symbol: value for symbol, value in self._given.items() if _is_view(value, parameter)}
            symbols = tuple(sorted(held, key=lambda symbol: held[symbol].data_ptr()))
            if symbols:
                yield self._parameter_row(symbols, name, held)

    def _parameter_row(self, symbols: tuple[str, ...], parameter: str, held: dict[str, Tensor]) -> SymbolRow:
        """A row for weights or biases that are stacked in one parameter."""
        several = len(symbols) > 1
        shapes = dict.fromkeys(self._shape_of(held[symbol]) for symbol in symbols)
        where = f"`{parameter}`" + (", in this order" if several else "")
        shape = " and ".join(shapes) + (" each" if several and len(shapes) == 1 else "")
        return SymbolRow(symbols, self._parameter_meaning(symbols, held), shape, where)

    def _parameter_meaning(self, symbols: tuple[str, ...], held: dict[str, Tensor]) -> str:
        meanings = [self._meanings[symbol] for symbol in symbols if symbol in self._meanings]
        if meanings:
            return "; ".join(dict.fromkeys(meanings))
        factors = dict.fromkeys(factor_after(self._latex, symbol) for symbol in symbols)
        if of := " and ".join(rf"\({factor}\)" for factor in factors if factor):
            return f"weights of {of}"
        if all(held[symbol].dim() == 2 for symbol in symbols):
            return "weights"
        return "biases" if len(symbols) > 1 else "bias"

    def _product_sign(self) -> Iterator[SymbolRow]:
        for sign in (r"\odot", r"\circ", r"\times"):
            if sign in self._latex:
                yield SymbolRow((sign,), "element-wise product")

    def _normalized_meanings(self) -> dict[str, str]:
        """`meanings` of the record, by the normal form of each symbol."""
        found = {name_of(symbol): meaning for symbol, meaning in self._card.record.meanings.items()}
        for symbol in found:
            if symbol not in self._names:
                raise PluginError(
                    f"`meanings` of the kind {self._card.name!r} explains {symbol}, which its equation does not "
                    f"contain. Its symbols are {', '.join(sorted(self._names)[:20])}"
                )
        return found

    def _evaluate(self) -> dict[str, Tensor]:
        """Values of the symbols for one sequence, of which only the shapes are used; the inputs alone if that fails."""
        x_t = torch.zeros(1, self._card.layer.spec.input_size)
        before = {f"{part}_{{t-1}}": self._of_one_head(value) for part, value in self._card.state_parts.items()}
        inputs = {self._spelling(signal): value for signal, value in {_INPUT: x_t, **before}.items()}
        try:
            with torch.no_grad():
                return {**inputs, **self._equation.evaluate(self._given, inputs)}
        except Exception:  # noqa: BLE001  # whatever the plugin's `symbols` returns, the card only lacks some shapes
            return inputs

    def _of_one_head(self, part: Tensor) -> Tensor:
        """A part of the state of one sequence, `(1, ...)`: of the first head, if the equation is that of a head."""
        if not self._card.cells:  # torch's modules have an axis of layers
            return part.reshape(1, -1)
        return part[:, 0] if self._heads else part

    def _spelling(self, signal: str) -> str:
        """The name of a signal in the equation; the signal itself if the equation does not contain it."""
        return self._equation.spelling(signal) or signal

    def _shape(self, name: str) -> str:
        if name in self._given:
            return self._shape_of_given(self._given[name])
        # has the same shape, and is known if the line cannot be computed
        before = self._spelling(plain_signal(name).replace("_t", "_{t-1}"))
        value = self._values.get(name, self._values.get(before))
        return "" if value is None else self._shape_of(value[0])

    def _shape_of_given(self, value: Any) -> str:
        is_function = callable(value) and not isinstance(value, Tensor)
        return "" if is_function else self._shape_of(torch.as_tensor(value))

    def _shape_of(self, value: Tensor) -> str:
        return shape_text(value.shape, self._card.layer.spec)

    def _is_output(self, part: str) -> bool:
        """True if the layer outputs this part of its state, found by running one step."""
        with torch.no_grad():
            x = torch.ones(1, 1, self._card.layer.spec.input_size)
            output, state = self._card.layer.backbone(x)
        final = dict(zip(self._card.state_parts, _leaves(state), strict=True))[part]
        return self._equation.spelling(_OUTPUT) is None and torch.equal(output.flatten(), final.flatten())


def _leaves(state: Any) -> list[Tensor]:
    return [state] if isinstance(state, Tensor) else [leaf for part in state for leaf in _leaves(part)]


def _is_view(value: Any, parameter: Tensor) -> bool:
    """True if a tensor is a parameter, or a slice of its first dimension."""
    if not isinstance(value, Tensor) or value.untyped_storage().data_ptr() != parameter.untyped_storage().data_ptr():
        return False
    start = parameter.data_ptr()
    return start <= value.data_ptr() < start + parameter.numel() * parameter.element_size()
