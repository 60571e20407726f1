r"""What the symbols of a kind's equation mean, of which shape they are, and which parameters hold them.

What is the same in all equations needs no author's words: the input, the parts of the state, functions. Nor do weights
and biases, of which `symbols` of the cell says which parameter they are.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import torch
from torch import Tensor

from rnnkit.equation import Equation, UnreadableEquationError, name_of
from rnnkit.errors import PluginError
from rnnkit.kind_page.equation_lines import factor_after, gates_of
from rnnkit.kind_page.shape_words import shape_in_words
from rnnkit.kind_page.specimen import Specimen

_INPUT, _OUTPUT = "x_t", "y_t"
_FUNCTIONS = {
    "sigmoid": r"logistic function of each feature, \(1 / (1 + e^{-x})\): between 0 and 1",
    "tanh": r"hyperbolic tangent of each feature: between \(-1\) and 1",
    "exp": "exponential function of each feature",
    "log": "natural logarithm of each feature",
    "ln": "natural logarithm of each feature",
    "sin": "sine of each feature",
    "cos": "cosine of each feature",
    "sinh": "hyperbolic sine of each feature",
    "cosh": "hyperbolic cosine of each feature",
    "max": "larger of the two, feature by feature",
    "min": "smaller of the two, feature by feature",
    "relu": r"positive part of each feature, \(\max(x, 0)\)",
    "softplus": r"\(\log(1 + e^x)\) of each feature",
    "silu": r"\(x / (1 + e^{-x})\) of each feature",
    "gelu": r"each feature times the normal distribution function of it",
    "elu": r"of each feature \(x\) itself where it is positive, else \(e^x - 1\)",
    "sign": r"sign of each feature: \(-1\), 0 or 1",
    "softmax": "exponential function of each feature, divided by the sum of all",
}
# as equations may write them: `\tanh`, and `\mathrm{tanh}` for `\operatorname{tanh}`
FUNCTIONS = {
    r"\sigma": _FUNCTIONS["sigmoid"],
    r"\mathbf{1}": "one, for each feature",
    **{f"\\{name}": words for name, words in _FUNCTIONS.items()},
    **{f"\\mathrm{{{name}}}": words for name, words in _FUNCTIONS.items()},
}
PARTS = {"h": "hidden state", "c": "cell state"}


class SymbolRow(NamedTuple):
    """Symbols that are explained together.

    Attributes:
        symbols: in LaTeX.
        words: what they mean; empty: nobody says.
        shape: of each, in words; empty: they have none, or it is not known.
        parameter: which parameter of the module holds them; empty: none, or it is not known.
    """

    symbols: tuple[str, ...]
    words: str
    shape: str = ""
    parameter: str = ""


def symbol_rows(kind: Specimen) -> list[SymbolRow]:
    """A row for every symbol of a kind's equation; none, if it has no equation, or one that cannot be read.

    Raises:
        PluginError: `meanings` of its record has something that is no symbol of its equation.
    """
    try:
        return _Symbols(kind).rows()
    except UnreadableEquationError:
        return [SymbolRow((symbol,), words) for symbol, words in kind.record.meanings.items()]


def module_of(kind: Specimen) -> Any:
    """What computes a step of the lowest layer: its cell, if it is a stack of cells, or the whole backbone."""
    backbone: Any = kind.layer.backbone
    return backbone.cells[0] if kind.cells else backbone


class _Symbols:
    def __init__(self, kind: Specimen) -> None:
        self.kind, self.record = kind, kind.record
        self.equation = Equation(kind.record.equation)
        self.all = {*self.equation.defined, *self.equation.symbols}
        self.meanings = self._meanings()
        self.module = module_of(kind)
        given: Mapping[str, Any] = getattr(self.module, "symbols", dict)()
        self.given = {name_of(name): thing for name, thing in given.items()}
        self.values = self._values()

    def rows(self) -> list[SymbolRow]:
        found: list[SymbolRow] = []
        for row in self._in_order():
            told = {symbol for earlier in found for symbol in earlier.symbols}
            symbols = tuple(symbol for symbol in row.symbols if symbol in self.all and symbol not in told)
            if symbols:
                found.append(row._replace(symbols=symbols))
        return [*found, *self._product_sign()]

    def _in_order(self) -> Iterator[SymbolRow]:
        yield SymbolRow((_INPUT,), r"input of the layer at step \(t\)", self._shape(_INPUT))
        yield from self._state()
        yield from self._computed()
        yield from self._parameters()
        for name in sorted(self.all):
            yield SymbolRow((name,), self.meanings.get(name, FUNCTIONS.get(name, "")), self._shape(name))

    def _state(self) -> Iterator[SymbolRow]:
        for part in self.kind.state_parts:
            for spelled in (part, f"\\{part}", f"\\mathrm{{{part}}}"):
                before, after = f"{spelled}_{{t-1}}", f"{spelled}_t"
                what = self.meanings.get(after, PARTS.get(part, f"part `{part}` of the state"))
                output = r"; \(" + after + r"\) is what the layer puts out" if self._is_output(part) else ""
                yield SymbolRow((before, after), rf"{what} before and after step \(t\){output}", self._shape(after))

    def _computed(self) -> Iterator[SymbolRow]:
        gates = gates_of(self.record.equation)
        for name in self.equation.defined:
            words = "output of the layer" if name == _OUTPUT else "gate, between 0 and 1" if name in gates else ""
            yield SymbolRow((name,), self.meanings.get(name, words or "defined by its line"), self._shape(name))

    def _parameters(self) -> Iterator[SymbolRow]:
        for name, parameter in self.module.named_parameters():
            held = {symbol: each for symbol, each in self.given.items() if _is_part(each, parameter)}
            symbols = tuple(sorted(held, key=lambda symbol: held[symbol].data_ptr()))
            if symbols:
                yield self._row_of(symbols, name, held)

    def _row_of(self, symbols: tuple[str, ...], parameter: str, held: dict[str, Tensor]) -> SymbolRow:
        """Weights and biases that one parameter holds, one above the other."""
        several = len(symbols) > 1
        shapes = dict.fromkeys(self._words(held[symbol]) for symbol in symbols)
        where = f"`{parameter}`" + (", in this order" if several else "")
        shape = " and ".join(shapes) + (" each" if several and len(shapes) == 1 else "")
        return SymbolRow(symbols, self._words_of_parameter(symbols, held), shape, where)

    def _words_of_parameter(self, symbols: tuple[str, ...], held: dict[str, Tensor]) -> str:
        told = [self.meanings[symbol] for symbol in symbols if symbol in self.meanings]
        if told:
            return "; ".join(dict.fromkeys(told))
        if all(held[symbol].dim() == 2 for symbol in symbols):
            factors = dict.fromkeys(factor_after(self.record.equation, symbol) for symbol in symbols)
            of = " and ".join(rf"\({factor}\)" for factor in factors if factor)
            return f"weights of {of}" if of else "weights"
        return "biases" if len(symbols) > 1 else "bias"

    def _product_sign(self) -> Iterator[SymbolRow]:
        for sign in (r"\odot", r"\circ"):
            if sign in self.record.equation:
                yield SymbolRow((sign,), "product feature by feature")

    def _meanings(self) -> dict[str, str]:
        """From each symbol, in its one form, to the author's words."""
        found = {name_of(symbol): words for symbol, words in self.record.meanings.items()}
        for symbol in found:
            if symbol not in self.all:
                raise PluginError(
                    f"`meanings` of the kind {self.kind.name!r} explains {symbol}, which its equation does not have: "
                    f"it has {', '.join(sorted(self.all))}"
                )
        return found

    def _values(self) -> dict[str, Tensor]:
        """What the symbols are for one row, of which only the shapes are told; none where that cannot be computed."""
        x_t = torch.zeros(1, self.kind.layer.spec.input_size)
        before = {f"{part}_{{t-1}}": value.reshape(1, -1) for part, value in self.kind.state_parts.items()}
        rows = {_INPUT: x_t, **before}
        try:
            with torch.no_grad():
                return {**rows, **self.equation.evaluate(self.given, rows)}
        except Exception:  # noqa: BLE001  # whatever the kind's `symbols` gives: a page can do without
            return rows

    def _shape(self, name: str) -> str:
        if name in self.given:
            return self._shape_of_given(self.given[name])
        before = name.replace("_t", "_{t-1}")  # the same shape, where nobody can compute the line
        value = self.values.get(name, self.values.get(before))
        return "" if value is None else self._words(value[0])

    def _shape_of_given(self, thing: Any) -> str:
        if callable(thing) and not isinstance(thing, Tensor):
            return ""  # a function
        return self._words(torch.as_tensor(thing))

    def _words(self, value: Tensor) -> str:
        return shape_in_words(value.shape, self.kind.layer.spec)

    def _is_output(self, part: str) -> bool:
        """Whether a layer puts out this part of its state, as running it for one step shows."""
        with torch.no_grad():
            x = torch.ones(1, 1, self.kind.layer.spec.input_size)
            output, state = self.kind.layer.backbone(x)
        final = dict(zip(self.kind.state_parts, _leaves(state), strict=True))[part]
        return _OUTPUT not in self.all and torch.equal(output.flatten(), final.flatten())


def _leaves(state: Any) -> list[Tensor]:
    return [state] if isinstance(state, Tensor) else [leaf for part in state for leaf in _leaves(part)]


def _is_part(thing: Any, parameter: Tensor) -> bool:
    """Whether a tensor is a parameter, or rows of it."""
    if not isinstance(thing, Tensor) or thing.untyped_storage().data_ptr() != parameter.untyped_storage().data_ptr():
        return False
    start = parameter.data_ptr()
    return start <= thing.data_ptr() < start + parameter.numel() * parameter.element_size()
