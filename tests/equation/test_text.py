"""Equations are printed as text for terminals."""

import re
import subprocess
import sys

import pytest

from rnnkit import get_kind
from rnnkit.equation import equation_text


def test_every_kind_has_a_text(kind):
    text = equation_text(get_kind(kind).equation)
    assert not re.search(r"[\\{}&]", text)


@pytest.mark.parametrize(
    ("latex", "text"),
    [
        (r"r_t &= \sigma(W_{ir} x_t + b_{ir})", "r_t = σ(W_ir x_t + b_ir)"),  # noqa: RUF001  # sigma is meant
        (r"h_t &= z_t \odot h_{t-1} \\ y_t &= \phi(h_t)", "h_t = z_t ⊙ h_(t-1)\ny_t = φ(h_t)"),
        (r"h_t^{(1)} = \tanh \left( x^2 \right)", "h_t^(1) = tanh(x^2)"),
        (r"y = \tanh(a)^2 + \tanh^2(a) + \tanh(a^2)", "y = tanh(a)^2 + tanh^2(a) + tanh(a^2)"),
        (r"y = \frac{\tanh a}{b c} + W^\top a", "y = (tanh a) / (b c) + W^T a"),
        (r"\mathbf{h}^{(t)} = e^{-x^{(t)}} \times [a; b]", "h^(t) = exp(-x^(t)) ⊙ [a; b]"),
        (r"h^{\langle t \rangle} = \begin{pmatrix} a \\ b \end{pmatrix} \\ + b", "h^(⟨t⟩) = [a; b] + b"),
        (r"y = \max(a, b) {c}_t", r"y = \max(a, b) {c}_t"),
        (r"y = \frac{a_t}{b} \cdot \sqrt{d_{k}}", "y = a_t / b · √(d_k)"),
        (r"y = \frac{a + b}{2} c", "y = ((a + b) / 2) c"),
        (r"y = \mathrm{softmax}(\lambda\,\Gamma)", "y = softmax(λ Γ)"),
        (r"\tilde{h}_t = h'_{\mathrm{new}}", "h\u0303_t = h_new'"),
        (r"y = (1 - z) \odot n - (a - b)", "y = (1 - z) ⊙ n - (a - b)"),
        (r"y = W (r \odot h) + \alpha b^{1/2}", "y = W (r ⊙ h) + α b^(1/2)"),  # noqa: RUF001  # alpha is meant
        (r"y = U [h; x]", "y = U [h; x]"),
        (r"y = -\max(0, x)", "y = -max(0, x)"),
        (r"y = \mathbf{1} - \tanh b", "y = 1 - tanh b"),
        (r"\Delta t_t = \Delta t \sigma(b)", "Δt_t = Δt σ(b)"),  # noqa: RUF001  # sigma is meant
        (r"y = \frac{C_t q_t}{\max(|n_t^\top q_t|, 1)}", "y = (C_t q_t) / (max(|n_t^T q_t|, 1))"),
        (r"y = \operatorname{Re}(C s_t) + D x_t", "y = Re(C s_t) + D x_t"),
        (r"C_t = f_t C_{t-1} + v_t k_t^\top", "C_t = f_t C_(t-1) + v_t k_t^T"),
        (r"m_t = e^{\log \lambda - m_{t-1}}", "m_t = exp(log λ - m_(t-1))"),
        ("", ""),
    ],
)
def test_text_of_an_equation(latex, text):
    assert equation_text(latex) == text


@pytest.mark.parametrize(
    ("latex", "lines"),
    [
        (r"h_t &= h_{t-1} \\ y = \underbrace{b}", "h_t &= h_{t-1}\ny = \\underbrace{b}"),
        (r"y = \underbrace{b} \\", r"y = \underbrace{b}"),
        ("h", "h"),
    ],
)
def test_unreadable_equations_stay_latex(latex, lines):
    assert equation_text(latex) == lines


def test_printing_does_not_import_torch():
    source = "import sys, rnnkit.equation as e; e.equation_text('y = x'); assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", source], check=True)
