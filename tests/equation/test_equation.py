"""Equations are evaluated as their LaTeX is meant; anything unknown is an error."""

import math
import re
from pathlib import Path

import pytest
import torch
from torch.nn import functional as F

from rnnkit import get_kind
from rnnkit.equation import (
    FUNCTIONS,
    Equation,
    EquationError,
    MalformedEquationError,
    UnreadableEquationError,
    evaluation,
    name_of,
)

X = torch.tensor([[1.0, -2.0, 3.0], [0.5, 0.0, -1.0]], dtype=torch.float64)  # two sequences
H = torch.tensor([[2.0, 1.0], [-1.0, 4.0]], dtype=torch.float64)
W = torch.tensor([[1.0, 2.0, -1.0], [0.0, 3.0, 0.5]], dtype=torch.float64)
U = torch.tensor([[0.5, -1.0], [2.0, 0.0]], dtype=torch.float64)
B = torch.tensor([0.25, -0.75], dtype=torch.float64)
SYMBOLS = {"W": W, "U": U, "b": B, r"\alpha": 0.5, "a": torch.tensor(2.0, dtype=torch.float64), r"\phi": torch.relu}
V = torch.tensor([[0.0, 1.0], [-1.0, 0.5]], dtype=torch.float64)
SYMBOLS |= {r"\Delta t": 0.1, r"\overline{\Delta t}_t": 0.2, "Z": torch.complex(U, V), "i": 1j}
SYMBOLS |= {"g": torch.tensor([3.0], dtype=torch.float64)}
BATCHED = {"x_t": X, "h_{t-1}": H}
SYMBOLS |= {r"W_{\mathrm{in}}": W, r"\mathbf{u}": B}
WX, UH = X @ W.T, H @ U.T

PAGE = (Path(__file__).parents[2] / "docs/reference/equations.md").read_text(encoding="utf-8")
FIRST_COLUMN = re.compile(r"^\| `([^`]+)` \|", re.MULTILINE)
EXPRESSIONS = {
    # sums and products
    r"W x_t + b": WX + B,
    r"Wx_t+b": WX + B,
    r"-W x_t - b": -WX - B,
    r"+ b - U h_{t-1}": B - UH,
    r"W x_t \odot h_{t-1}": WX * H,
    r"h_{t-1} \odot W x_t": H * WX,
    r"h_{t-1} \circ b": H * B,
    r"h_{t-1} \times b": H * B,
    r"U W x_t": WX @ U.T,
    r"U (W x_t)": WX @ U.T,
    r"U \cdot h_{t-1} + b": UH + B,
    r"\alpha \cdot h_{t-1}": H / 2,
    r"\alpha W x_t": WX / 2,
    r"2 b": 2 * B,
    r"1.5 b": 1.5 * B,
    r"(1 - h_{t-1}) \odot b": (1 - H) * B,
    r"a b": 2 * B,
    r"g b": 3 * B,
    r"g U + a U": 5 * U,
    r"h_{t-1} / a": H / 2,
    r"\frac{h_{t-1}}{1 + \alpha}": H / 1.5,
    r"\dfrac{1}{2} b": B / 2,
    r"\mathbf{1} - b": 1 - B,
    r"W x_t \odot b / a": WX * B / 2,
    r"\mathbf{u} + \boldsymbol{1}": B + 1,
    r"W_\mathrm{in} x_t": WX,
    r"W_{\text{in}} x_t": WX,
    # transposes
    r"U^\top b": B @ U,
    r"U^T b": B @ U,
    r"U^{\mathsf{T}} b": B @ U,
    r"b^\top h_{t-1}": H @ B[:, None],
    r"b^{\intercal} U": B[None] @ U,
    r"(b^\top U)^\top": B @ U,
    r"(h_{t-1} b^\top) b": H * (B @ B),
    r"h_{t-1} b^{\top} U": H[:, :, None] * (B @ U),
    # powers and roots
    r"h_{t-1}^2": H**2,
    r"h_{t-1}^{-1}": 1 / H,
    r"(b + 1)^{1/2}": (B + 1) ** 0.5,
    r"(b + 1)^{\frac{1}{2}}": (B + 1) ** 0.5,
    r"2 \cdot 3 b": 6 * B,
    r"\sqrt{b^2 + 1}": (B**2 + 1) ** 0.5,
    r"\tanh(b)^2": torch.tanh(B) ** 2,
    r"\tanh^2(b)": torch.tanh(B) ** 2,
    r"\tanh^2 b": torch.tanh(B) ** 2,
    r"\tanh(b^2)": torch.tanh(B**2),
    r"\tanh((b)^2)": torch.tanh(B**2),
    r"\sigma(b)^2": torch.sigmoid(B) ** 2,
    r"\sigma(b)^{-1} \odot h_{t-1}": H / torch.sigmoid(B),
    r"\phi(W x_t)^2": torch.relu(WX) ** 2,
    r"U \tanh(b)^2": U @ torch.tanh(B) ** 2,
    r"\max(0, b)^2": B.clamp(min=0) ** 2,
    r"-\tanh(b)^2": -(torch.tanh(B) ** 2),
    r"\alpha (b)^2": B**2 / 2,
    r"e^{-b} \odot h_{t-1}": (-B).exp() * H,
    r"e^a b": math.exp(2) * B,
    # step sizes
    r"\Delta t b": 0.1 * B,
    r"b + \Delta t \, W x_t": B + 0.1 * WX,
    r"\overline{\Delta t}_t \odot b": 0.2 * B,
    # absolute values, and parts of complex numbers
    r"|b|": B.abs(),
    r"|b| \odot |h_{t-1}|^2": B.abs() * H**2,
    r"\left| U h_{t-1} \right| + b": UH.abs() + B,
    r"\frac{b}{\max(|b^\top h_{t-1}|, 1)}": B / (H @ B).abs().clamp(min=1)[:, None],
    r"\lvert b \rvert": B.abs(),
    r"\mathrm{abs}(b)": B.abs(),
    r"\Re(Z h_{t-1})": UH,
    r"\operatorname{Re}(Z h_{t-1}) + \operatorname{Im}(Z b)": UH + B @ V.T,
    r"\Re(e^{i b})": B.cos(),
    r"|Z b|": ((B @ U.T) ** 2 + (B @ V.T) ** 2).sqrt(),
    r"\mathrm{diag}(b) U": B[:, None] * U,
    # functions
    r"\sigma(W x_t + b)": torch.sigmoid(WX + B),
    r"\tanh\left(W x_t + b\right)": torch.tanh(WX + B),
    r"\tanh\bigl[W x_t\bigr]": torch.tanh(WX),
    r"\tanh\{W x_t\}": torch.tanh(WX),
    r"\tanh b": torch.tanh(B),
    r"b \odot \tanh b": B * torch.tanh(B),
    r"\tanh b + b": torch.tanh(B) + B,
    r"\frac{\tanh b}{a}": torch.tanh(B) / 2,
    r"\tanh{(b)}": torch.tanh(B),
    r"\text{tanh}(b)": torch.tanh(B),
    r"\sigma(\tanh(b))": torch.sigmoid(torch.tanh(B)),
    r"\phi(W x_t)": torch.relu(WX),
    r"\exp(b) + \log(b^2)": B.exp() + (B**2).log(),
    r"\max(0, W x_t)": WX.clamp(min=0),
    r"\min(b, h_{t-1})": torch.minimum(B, H),
    r"\operatorname{ReLU}(W x_t)": torch.relu(WX),
    r"\mathrm{softplus}(b)": F.softplus(B),
    r"\operatorname{softmax}(W x_t)": torch.softmax(WX, -1),
    r"U \tanh(h_{t-1})": torch.tanh(H) @ U.T,
    # concatenated columns
    r"[h_{t-1}; x_t]": torch.cat([H, X], 1),
    r"[h_{t-1}, b]": torch.cat([H, B.expand(2, 2)], 1),
    r"\begin{bmatrix} h_{t-1} \\ x_t \end{bmatrix}": torch.cat([H, X], 1),
    r"W [b; g]": W @ torch.tensor([0.25, -0.75, 3.0], dtype=torch.float64),
    # layout commands
    r"\, W \; x_t \quad + \! b": WX + B,
    r"{W} x_{t}": WX,
    "W x_t \\\\ &\\quad + b": WX + B,
}


def evaluate(latex, **symbols):
    return Equation(f"y &= {latex}").evaluate(SYMBOLS | symbols, BATCHED)["y"]


@pytest.mark.parametrize(("latex", "expected"), EXPRESSIONS.items(), ids=EXPRESSIONS)
def test_value_of_an_expression(latex, expected):
    torch.testing.assert_close(evaluate(latex), expected)


UNREADABLE = {
    r"W * x_t": r"`\*` after `y = W` cannot be read: write \\odot",
    r"b \ast b": r"write \\odot",
    r"b \otimes b": r"write \\odot",
    r"|b + |b||": r"write \\mathrm{abs}\(a\) for an absolute value inside another",
    r"||b||": r"write \\mathrm{abs}\(a\)",
    r"\lVert b \rVert": r"write a function such as \\mathrm{norm}",
    r"\left\| b \right\|": r"write a function such as \\mathrm{norm}",
    r"|b": r"`\|` is missing at the end of the line",
    r"(|b)|": r"`\|` is missing before `\)`",
    r"\sum_i h_{t-1}": r"`\\sum` after `y =` cannot be read",
    # a function and its argument
    r"\tanh W x_t": r"the argument of a function needs brackets here, as in `\\tanh\(a\)`",
    r"\tanh b \odot b": "needs brackets",
    r"b + \tanh b / a": "needs brackets",
    r"b \odot \tanh b \odot b": "needs brackets",
    r"\tanh \sigma(b) \odot b": "needs brackets",
    r"\tanh b^2": r"write `\\tanh\(a\)\^2` for a power of the value, `\\tanh\(a\^2\)` for a power of the argument",
    r"\tanh b^{1/2}": r"write `\\tanh\(a\)\^{1/2}`",
    r"\tanh^2 b^2": "is ambiguous",
    r"\tanh^2(b)^2": "is ambiguous",
    r"\tanh^{-1}(b)": r"write `\\tanh\(a\)\^{-1}`",
    r"\phi^2(b)": r"write `\\phi\(a\)\^2`",
    r"tanh(b)": r"`tanh` is a product of single letters: write `\\mathrm{tanh}`",
    r"b \odot ReLU (b)": r"write `\\mathrm{ReLU}`",
    r"\tanh": "a function without an argument",
    r"\tanh + b": "a function without an argument",
    r"\sigma^2": "a function without an argument",
    r"(b, b)": "several values in brackets without a function",
    # brackets and divisions
    r"{W x_t + b} a": "`}` is missing before `x` after `y = { W`: braces are invisible in LaTeX; write parentheses",
    r"{b \odot b}": "braces are invisible",
    r"(b; b)": "`;` after",
    r"a / 2 b": r"after a division cannot be read: write a \\frac",
    r"b / a \odot b": r"write a \\frac",
    r"b / a / a": r"write a \\frac",
    r"\begin{bmatrix} a & b \end{bmatrix}": r"write \[a; b\]",
    r"(b": "`\\)` is missing at the end of the line after `y = \\( b`",
    r"[b)": r"`\]` is missing before `\)` after `y = \[ b`",
    r"b)": r"`\)` after `y = b` cannot be read",
    r"b ++ b": r"`\+` after",
    # scripts
    r"x_12": r"`12` needs braces, as in `x_\{12\}`",
    r"b^12": "needs braces",
    r"x_0.5": "`0.5` needs braces",
    r"2 3 b": r"`3` after `y = 2` as a second number cannot be read: write \\cdot",
    r"(b)^{n}": "with an exponent that is not a number",
    r"h_{t-1": "the end of the line",
    r"b_1_2": "in a second _",
    r"e^{b}^2": r"in a second \^ cannot be read: write brackets",
    "": "the end of the line after `y =`",
}


@pytest.mark.parametrize(("latex", "words"), UNREADABLE.items(), ids=UNREADABLE)
def test_unsupported_latex_is_an_error_with_its_position(latex, words):
    with pytest.raises(UnreadableEquationError, match=words):
        evaluate(latex)


@pytest.mark.parametrize(
    ("latex", "malformed"),
    [("h_{t-1", True), ("(b", True), ("b)", True), ("", True), ("b \\sum x", False), ("1 b c_1_2", False)],
)
def test_only_latex_that_is_malformed_in_any_dialect_is_a_malformed_equation(latex, malformed):
    with pytest.raises(UnreadableEquationError) as caught:
        Equation(f"y = {latex}")
    assert isinstance(caught.value, MalformedEquationError) == malformed


@pytest.mark.parametrize(
    "latex", ["W x_t", "f_t, i_t &= b", "b &= ", "2 &= b", "e^{(t)} = b", r"y = b \\ y = x", r"h_t = b + \mathbf{h}_t"]
)
def test_each_line_must_define_one_name_in_one_spelling(latex):
    with pytest.raises(UnreadableEquationError):
        Equation(latex)


INVALID = {
    "h_{t-1} b": r"a column of 2 stands before a column of 2: write \\odot",
    "h_{t-1} W": "a column of 2 stands before a matrix of 2 x 3",
    "W h_{t-1}": "a matrix of 2 x 3 cannot be multiplied by a column of 2",
    "W U": "a matrix of 2 x 3 cannot be multiplied by a matrix of 2 x 2",
    "b + x_t": "a column of 2 and a column of 3 cannot be combined",
    "W + b": "a matrix of 2 x 3 and a column of 2 cannot be combined element-wise",
    "[W; U]": "only columns can",
    "[b; 1]": "a column of 2 and a number cannot be concatenated",
    "U^2": "a matrix of 2 x 2 has a power, which is ambiguous: it may act on the matrix or on each entry",
    r"\sqrt{U}": "has a square root, which is ambiguous",
    r"\exp(U)": r"is the argument of \\exp, which is ambiguous",
    r"e^U": "is the argument",
    r"|U|": r"is the argument of \\mathrm{abs}, which is ambiguous",
    "U / U": "is a divisor, which is ambiguous",
    r"b \cdot h_{t-1}": r"ambiguous: write \\odot for the element-wise product, a\^\\top b for the inner",
    "x_t W": "write the matrix first, W x: vectors are columns",
    r"a^\top b": "a number cannot be transposed",
    r"\max(b)": r"\\max of a column of 2 cannot be computed",
    "b(t)": "t has no value: write the step as a subscript",
    r"\text{old} h_{t-1}": r"\\mathrm{old} has no value",
    "V x_t": "V has no value",
    "y + b": "y has no value",
    r"\operatorname{LN}(b)": r"\\mathrm{LN} has no value",  # layer norm, not the logarithm
}


@pytest.mark.parametrize(("latex", "words"), INVALID.items(), ids=INVALID)
def test_invalid_operations_are_errors_with_their_line(latex, words):
    with pytest.raises(EquationError, match=f"in the line of y: .*{words}"):
        evaluate(latex)


@pytest.mark.parametrize(
    "spellings",
    [
        ["W_h", "W_{h}", "W_{ h }"],
        ["h_t^f", "h^f_t", "h^{f}_{t}"],
        [r"\tilde{h}_{t-1}", r"\tilde h_{t - 1}"],
        [r"\operatorname{LN}", r"\mathrm{LN}"],
        ["h_t'", "h'_t"],
        [r"W_\mathrm{in}", r"W_{\text{in}}", r"W_{\operatorname{in}}"],
        [r"\tilde\mathbf{h}_t", r"\tilde{\mathbf{h}}_t"],
        [r"h^{\langle t\rangle}", r"h^{ \langle t \rangle }"],
    ],
    ids=str,
)
def test_spellings_of_a_name_are_normalized(spellings):
    assert len({name_of(each) for each in spellings}) == 1


SIGNALS = [r"\mathbf{h}", r"\boldsymbol{h}", r"\bm h", "h"]
TIMES = ["_t", "_{t}", "^{(t)}", "^t", r"^{\langle t \rangle}"]


@pytest.mark.parametrize("time", TIMES)
@pytest.mark.parametrize("letter", SIGNALS)
def test_signals_are_found_in_every_spelling(letter, time):
    after, before = f"{letter}{time}", letter + time.replace("t", "{t-1}" if time in ("_t", "^t") else "t-1")
    equation = Equation(rf"{after} = \alpha {before}")
    assert equation.spelling("h_t") == name_of(after) == equation.defined[0]
    assert equation.spelling("h_{t-1}") == name_of(before)
    assert equation.spelling("c_t") is None


def test_the_page_shows_only_tested_latex():
    read, refused = PAGE.split("## Rejected LaTeX")
    assert set(FIRST_COLUMN.findall(read)) <= EXPRESSIONS.keys()
    assert set(FIRST_COLUMN.findall(refused)) <= UNREADABLE.keys() | INVALID.keys()


@pytest.mark.parametrize("latex", ["W h", "", "W_", "2", "W +", "W^2", r"\unknown"])
def test_name_of_requires_a_name(latex):
    with pytest.raises(UnreadableEquationError):
        name_of(latex)


def test_subscript_of_several_letters_needs_braces():
    with pytest.raises(
        UnreadableEquationError, match=r"`h` after `W _ h` cannot be read: write braces .* as in W_\{hh\}"
    ):
        name_of("W_hh")


def test_lines_use_earlier_lines_and_batched_values():
    equation = Equation(r"""
        \begin{aligned}
        r_t &= \sigma(W x_t), \\[2pt]
        \tilde{h}_t &= \tanh(U (r_t \odot h_{t-1}) + b) \\
        h_t &= \tilde{h}_t \odot r_t.
        \end{aligned}
    """)
    found = equation.evaluate(SYMBOLS, BATCHED)
    r = torch.sigmoid(WX)
    expected = torch.tanh((r * H) @ U.T + B) * r
    assert equation.defined == ("r_t", r"\tilde{h}_t", "h_t")
    assert equation.symbols == {"W", "U", "b", "x_t", "h_{t-1}", r"\sigma", r"\tanh"}
    torch.testing.assert_close(found["h_t"], expected)


def test_symbols_override_functions():
    torch.testing.assert_close(evaluate(r"\sigma(b)", **{r"\sigma": F.hardsigmoid}), F.hardsigmoid(B))
    torch.testing.assert_close(evaluate(r"\operatorname{LN}(b)", **{r"\mathrm{LN}": torch.cosh}), torch.cosh(B))


def test_functions_of_a_cell_may_act_on_each_entry_of_a_matrix():
    torch.testing.assert_close(evaluate(r"\exp(U)", **{r"\exp": torch.exp}), U.exp())


def test_step_sizes_are_names_of_lines():
    equation = Equation(r"\Delta t_t = \Delta t \sigma(b) \\ y_t = y_{t-1} + \Delta t_t \odot x_t")
    assert equation.defined == (r"\Delta t_t", "y_t")
    assert equation.symbols == {r"\Delta t", r"\sigma", "b", "y_{t-1}", "x_t"}


def test_a_function_may_reduce_features():
    norm = evaluate(r"h_{t-1} \odot \mathrm{norm}(h_{t-1})", **{r"\mathrm{norm}": lambda h: h.norm(dim=-1)})
    torch.testing.assert_close(norm, H * H.norm(dim=1, keepdim=True))


def test_matrices_may_be_batched():
    memory = torch.arange(8, dtype=torch.float64).reshape(2, 2, 2)
    found = Equation("y &= C_{t-1} h_{t-1}").evaluate({}, BATCHED | {"C_{t-1}": memory})["y"]
    torch.testing.assert_close(found, torch.stack([memory[0] @ H[0], memory[1] @ H[1]]))


def test_a_matrix_of_one_column_times_a_column_of_one_feature_is_a_column():
    x_t = torch.tensor([[2.0], [3.0]], dtype=torch.float64)
    found = Equation(r"h_t = U x_t + b").evaluate({"U": U[:, :1], "b": B}, {"x_t": x_t})["h_t"]
    torch.testing.assert_close(found, x_t @ U[:, :1].T + B)


def test_gradients_flow_through_symbols_and_batched_values():
    weight, x = W.clone().requires_grad_(), X.clone().requires_grad_()
    y = Equation(r"y &= \tanh(W x_t)").evaluate({"W": weight}, {"x_t": x})["y"]
    by_hand = torch.tanh(x @ weight.T)
    for actual, expected in zip(*(torch.autograd.grad(each.sum(), [weight, x]) for each in (y, by_hand)), strict=True):
        torch.testing.assert_close(actual, expected)


def test_numbers_do_not_promote_float32():
    found = Equation("y &= 0.5 x_t + 1 - \\max(0, x_t)").evaluate({}, {"x_t": X.float()})["y"]
    assert found.dtype == torch.float32
    assert math.isclose(found[0, 0].item(), 0.5)


def test_the_equations_of_installed_kinds_can_be_read(kind):
    equation = get_kind(kind).equation
    assert not equation or "h_t" in Equation(equation).defined


def test_every_known_function_can_be_evaluated():
    functions = {name for name, meaning in evaluation.MEANINGS.items() if callable(meaning)}
    assert functions == FUNCTIONS
