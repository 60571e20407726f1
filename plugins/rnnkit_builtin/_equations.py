"""The papers and equations of Elman's network, the GRU and the LSTM, and the meanings of their symbols."""

from __future__ import annotations

from rnnkit import Paper

ELMAN = Paper(
    title="Finding Structure in Time",
    authors="Jeffrey L. Elman",
    year=1990,
    link="https://doi.org/10.1207/s15516709cog1402_1",
)
ELMAN_STEP = r"h_t &= \phi(W_{ih} x_t + b_{ih} + W_{hh} h_{t-1} + b_{hh})"
ELMAN_MEANINGS = {r"\phi": "function of each feature that `nonlinearity` names: tanh, or the positive part"}

CHO = Paper(
    title="Learning Phrase Representations using RNN Encoder-Decoder for Statistical Machine Translation",
    authors="Kyunghyun Cho, Bart van Merriënboer, Caglar Gulcehre, Dzmitry Bahdanau, Fethi Bougares, Holger Schwenk, "
    "Yoshua Bengio",
    year=2014,
    link="https://arxiv.org/abs/1406.1078",
)
_RESET_NOTE = (
    "The reset gate is applied after the matrix product, as in torch, cuDNN and Keras by default, and in versions 1 "
    "and 2 of the paper; in version 3, and in Keras with `reset_after=False`, it is applied before the product."
)
_UPDATE_NOTE = (
    "As in torch and in the paper, an update gate of 1 keeps the old state; in the authors' code, GroundHog, and in "
    "Chung et al. (arXiv 1412.3555), it replaces the state."
)
GRU_NOTES = (_RESET_NOTE, _UPDATE_NOTE)
GRU_STEP = r"""
    r_t &= \sigma(W_{ir} x_t + b_{ir} + W_{hr} h_{t-1} + b_{hr}) \\
    z_t &= \sigma(W_{iz} x_t + b_{iz} + W_{hz} h_{t-1} + b_{hz}) \\
    n_t &= \tanh(W_{in} x_t + b_{in} + r_t \odot (W_{hn} h_{t-1} + b_{hn})) \\
    h_t &= (1 - z_t) \odot n_t + z_t \odot h_{t-1}
"""
GRU_MEANINGS = {
    "r_t": "reset gate: how much of the old state the new values read",
    "z_t": "update gate: how much of the old state stays",
    "n_t": "new values for the state",
}

HOCHREITER = Paper(
    title="Long Short-Term Memory",
    authors="Sepp Hochreiter, Jürgen Schmidhuber",
    year=1997,
    link="https://doi.org/10.1162/neco.1997.9.8.1735",
    contribution="the cell state, and the input and output gates",
)
GERS = Paper(
    title="Learning to Forget: Continual Prediction with LSTM",
    authors="Felix A. Gers, Jürgen Schmidhuber, Fred Cummins",
    year=2000,
    link="https://doi.org/10.1162/089976600300015015",
    contribution="the forget gate",
)
_PEEPHOLE_NOTE = (
    "The gates do not read the cell state: there are no peephole connections, as in torch, cuDNN and Keras."
)
_TANH_NOTE = (
    "In the paper of 1997 logistic functions scale the cell input to [-2, 2] and the cell state to [-1, 1]; here, as "
    "in torch and Keras, tanh does."
)
LSTM_NOTES = (_PEEPHOLE_NOTE, _TANH_NOTE)
LSTM_STEP = r"""
    i_t &= \sigma(W_{ii} x_t + b_{ii} + W_{hi} h_{t-1} + b_{hi}) \\
    f_t &= \sigma(W_{if} x_t + b_{if} + W_{hf} h_{t-1} + b_{hf}) \\
    g_t &= \tanh(W_{ig} x_t + b_{ig} + W_{hg} h_{t-1} + b_{hg}) \\
    o_t &= \sigma(W_{io} x_t + b_{io} + W_{ho} h_{t-1} + b_{ho}) \\
    c_t &= f_t \odot c_{t-1} + i_t \odot g_t \\
    h_t &= o_t \odot \tanh(c_t)
"""
LSTM_MEANINGS = {
    "i_t": "input gate: how much of the new values enters the cell state",
    "f_t": "forget gate: how much of the cell state stays",
    "g_t": "new values for the cell state",
    "o_t": "output gate: how much of the cell state enters the hidden state",
}
