"""`mgu` computes the equations of Zhou et al., 2016 (arXiv 1603.09420) and Heck and Salem, 2017 (arXiv 1701.03452)."""

import pytest
import torch
from pydantic import ValidationError

from tests.helpers.starts import assert_uniform
from tests.helpers.zoo import BATCH, HIDDEN_SIZE, assert_equals_formula, cell_of

# what the gate reads, by Heck and Salem
READS = {"mgu": "xhb", "mgu1": "hb", "mgu2": "h", "mgu3": "b"}


def gate(cell, x, h, reads):
    """The gate before its activation: the terms that a variant has."""
    terms = {
        "x": lambda: x @ cell.weight_if.T,
        "h": lambda: h @ cell.weight_hf.T,
        "b": lambda: 0 if cell.bias_f is None else cell.bias_f.expand(BATCH, -1),
    }
    return sum(terms[term]() for term in reads)


def formula_of(variant):
    """The minimal gated unit of Zhou et al., with one matrix for each of x and h."""

    def formula(cell, x, state):
        [h] = state
        f = torch.sigmoid(gate(cell, x, h, READS[variant]))
        bias = 0 if cell.bias_n is None else cell.bias_n
        candidate = torch.tanh((f * h) @ cell.weight_hn.T + x @ cell.weight_in.T + bias)
        h = (1 - f) * h + f * candidate
        return h, (h,)

    return formula


@pytest.mark.parametrize(("variant", "bias"), [(name, bias) for name in READS for bias in (True, False)][:-1])
def test_mgu_equals_the_formula_of_its_paper(variant, bias):
    assert_equals_formula("mgu", formula_of(variant), bias=bias, options={"variant": variant})


@pytest.mark.parametrize("variant", READS)
def test_a_variant_has_the_parameters_that_its_gate_reads(variant):
    of_gate = {"x": "weight_if", "h": "weight_hf", "b": "bias_f"}
    expected = {"weight_in", "weight_hn", "bias_n", *(of_gate[term] for term in READS[variant])}
    assert set(dict(cell_of("mgu", options={"variant": variant}).named_parameters())) == expected


@pytest.mark.parametrize("variant", ["mgu", "mgu1", "mgu3"])
def test_the_forget_bias_is_the_negative_bias_of_the_gate(variant):
    cell = cell_of("mgu", options={"variant": variant, "forget_bias": 2.0})
    assert (cell.bias_f == -2).all()
    assert cell.bias_n.abs().max() <= HIDDEN_SIZE**-0.5


@pytest.mark.parametrize("forget_bias", [{"forget_bias": 1.0}, {"forget_bias": "chrono", "chrono_length": 9}])
def test_a_gate_without_a_bias_has_no_forget_bias(forget_bias):
    with pytest.raises(ValidationError, match=r'gate of variant="mgu2" has no bias: leave forget_bias at None'):
        cell_of("mgu", options={"variant": "mgu2", **forget_bias})


def test_a_gate_that_is_a_bias_requires_one():
    with pytest.raises(ValidationError, match='variant="mgu3" is a function of its bias alone: set bias=True'):
        cell_of("mgu", bias=False, options={"variant": "mgu3"})


@pytest.mark.parametrize("variant", READS)
def test_parameters_start_as_in_torch(variant):
    cell = cell_of("mgu", input_size=50, hidden_size=400, options={"variant": variant})
    for parameter in cell.parameters():
        assert_uniform(parameter, -0.05, 0.05)
