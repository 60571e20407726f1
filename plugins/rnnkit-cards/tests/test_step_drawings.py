"""A drawing of a step agrees with its equation, read back from the SVG, and its layout is legible."""

import os
import random
import re
import subprocess
import sys
from collections import Counter, defaultdict
from functools import cache
from itertools import combinations, pairwise
from pathlib import Path
from typing import NamedTuple
from xml.etree import ElementTree as ET

import pytest
import torch

from rnnkit import get_kind
from rnnkit.equation import Binary, Call, Equation, Name, Number, UnreadableEquationError, names_in
from rnnkit.equation.evaluation import MEANINGS, as_value, batched_value, evaluate
from rnnkit_cards.drawing import draw_step
from rnnkit_cards.drawing.alt_text import node_text
from rnnkit_cards.drawing.graph import NodeType, slot
from rnnkit_cards.drawing.graph_builder import build_graph
from rnnkit_cards.drawing.math_text import name_text

DOCS = Path(__file__).parents[3] / "docs"
SVG = "{http://www.w3.org/2000/svg}"
SIZE, ROWS = 3, 2


def equation_in(page, name):
    """The equation of a kind in a file of docs/."""
    text = (DOCS / page).read_text(encoding="utf-8")
    return re.search(rf'name="{name}".*?equation=r"""(.*?)"""', text, flags=re.DOTALL)[1]


EQUATIONS = {
    "lstm": get_kind("lstm").equation,
    "gru": get_kind("gru").equation,
    "rnn": get_kind("rnn").equation,
    "nbrc": equation_in("examples/rnnkit-nbrc/rnnkit_nbrc.py", "nbrc"),
    "ugrnn": equation_in("plugins/cells.md", "update_gate"),
    "cfn": equation_in("tutorials/write_a_plugin.md", "cfr"),
    "indrnn": r"h_t &= \phi(W x_t + u \odot h_{t-1} + b)",
    "peephole": r"""
        i_t &= \sigma(W_i x_t + U_i h_{t-1} + p_i \odot c_{t-1} + b_i) \\
        f_t &= \sigma(W_f x_t + U_f h_{t-1} + p_f \odot c_{t-1} + b_f) \\
        g_t &= \tanh(W_g x_t + U_g h_{t-1} + b_g) \\
        c_t &= f_t \odot c_{t-1} + i_t \odot g_t \\
        o_t &= \sigma(W_o x_t + U_o h_{t-1} + p_o \odot c_t + b_o) \\
        h_t &= o_t \odot \tanh(c_t)
    """,
    "gru of the paper": r"""
        z_t &= \sigma(W_z [h_{t-1}; x_t] + b_z) \\
        r_t &= \sigma(W_r [h_{t-1}; x_t] + b_r) \\
        \tilde{h}_t &= \tanh(W [r_t \odot h_{t-1}; x_t] + b) \\
        h_t &= (1 - z_t) \odot h_{t-1} + z_t \odot \tilde{h}_t
    """,
    "leaky": r"h_t &= (1 - \alpha) h_{t-1} + \alpha \tanh(W x_t + U h_{t-1} + b)",
    "state space": r"h_t &= a \odot h_{t-1} + B x_t \\ y_t &= C h_t + D x_t",
    "two rails": r"""
        i_t &= \exp(W_i x_t + R_i h_{t-1} + b_i) \\
        f_t &= \sigma(W_f x_t + R_f h_{t-1} + b_f) \\
        v_t &= \tanh(W_v x_t + R_v h_{t-1} + b_v) \\
        o_t &= \sigma(W_o x_t + R_o h_{t-1} + b_o) \\
        c_t &= f_t \odot c_{t-1} + i_t \odot v_t \\
        n_t &= f_t \odot n_{t-1} + i_t \\
        h_t &= o_t \odot \frac{c_t}{n_t}
    """,
    "lem": r"""
        \Delta t_t &= \Delta t \sigma(W_1 y_{t-1} + V_1 u_t + b_1) \\
        \overline{\Delta t}_t &= \Delta t \sigma(W_2 y_{t-1} + V_2 u_t + b_2) \\
        z_t &= (1 - \Delta t_t) \odot z_{t-1} + \Delta t_t \odot \tanh(W_z y_{t-1} + V_z u_t + b_z) \\
        y_t &= (1 - \overline{\Delta t}_t) \odot y_{t-1} + \overline{\Delta t}_t \odot \tanh(W_y z_t + V_y u_t + b_y)
    """,
    "layer norm": r"""
        i_t &= \sigma(\mathrm{LN}(W_i x_t) + \mathrm{LN}(U_i h_{t-1}) + b_i) \\
        h_t &= i_t \odot \phi(x_t) - h_{t-1} / 2
    """,
    "arithmetic": r"h_t &= h_{t-1} - \frac{x_t}{\sqrt{c_{t-1}^2 + 1}} \\ c_t &= \max(c_{t-1}, W x_t) - 1",
    "arithmetic with a name": r"a_t &= 1 - x_t \\ h_t &= (1 - a_t) \odot h_{t-1}",
    "arithmetic of which there is more": r"h_t &= (1 - x_t)^2 \odot h_{t-1} + (1 - x_t) \odot x_t",
    "absolute values": r"h_t &= \frac{h_{t-1} + W x_t}{1 + |h_{t-1}|} - |V x_t|",
    "twice the same": r"h_t &= h_{t-1} \odot h_{t-1} + \tanh(W x_t + x_t)",
    "nothing but itself": r"h_t &= h_{t-1} \\ y_t &= x_t",
    "what is learned alone": r"\lambda &= \sigma(a) \\ h_t &= \lambda \odot h_{t-1} + (1 - \lambda) \odot W x_t",
    "other spellings": r"""
        \mathbf{f}^{(t)} &= \sigma(W^\top \mathbf{x}^{(t)} + U \mathbf{h}^{(t-1)})^2 \\
        \mathbf{h}^{(t)} &= \tanh^2(\mathbf{f}^{(t)}) \times \mathbf{h}^{(t-1)} + e^{-\mathbf{x}^{(t)}}
    """,
    "two steps back": r"h_t &= \tanh(W x_t + U h_{t-1} + V h_{t-2})",
}


class RandomEquation:
    """A random equation of layers, products, sums and functions of earlier signals."""

    def __init__(self, seed):
        self.random = random.Random(seed)  # noqa: S311  # no secret
        self.states = ["h", "c", "n"][: self.random.randint(1, 2 if seed % 5 else 3)]
        self.signals = ["x_t", *(f"{state}_{{t-1}}" for state in self.states)]
        self.weights = 0

    def text(self):
        lines = []
        for name in [f"{letter}_t" for letter in "figo"[: self.random.randint(1, 4)]]:
            lines.append(f"{name} &= {self.layer()}")
            self.signals.append(name)
        for state in self.states:
            lines.append(f"{state}_t &= {self.update(state)}")
            self.signals.append(f"{state}_t")
        return " \\\\ ".join(lines)

    def layer(self):
        terms = [
            self.term(signal)
            for signal in self.random.sample(self.signals, self.random.randint(1, min(3, len(self.signals))))
        ]
        function = self.random.choice([r"\sigma", r"\tanh", r"\phi"])
        return rf"{function}({' + '.join([*terms, self.weight('b')])})"

    def term(self, signal):
        other = self.random.choice(self.signals)
        return self.random.choice(
            [
                f"{self.weight('W')} {signal}",
                f"{self.weight('W')} {signal}",
                rf"{self.weight('p')} \odot {signal}",
                rf"{self.weight('W')} ({signal} \odot {other})",
                rf"{signal} \odot ({self.weight('W')} {other} + {self.weight('b')})",
            ]
        )

    def update(self, state):
        return self.random.choice(
            [
                rf"{self.any()} \odot {state}_{{t-1}} + {self.any()} \odot {self.any()}",
                rf"(1 - {self.any()}) \odot {state}_{{t-1}} + {self.any()} \odot {self.any()}",
                rf"{self.any()} \odot \tanh({self.any()})",
                rf"{state}_{{t-1}} + {self.layer()}",
                self.layer(),
            ]
        )

    def any(self):
        return self.random.choice(self.signals)

    def weight(self, letter):
        self.weights += 1
        return f"{letter}_{{{self.weights}}}"


SEEDS = [*range(14), 103, 170]  # in the last two, two nodes compete for one cell
ALL = {**EQUATIONS, **{f"random {seed}": RandomEquation(seed).text() for seed in SEEDS}}
each_equation = pytest.mark.parametrize("latex", ALL.values(), ids=ALL)


class Box(NamedTuple):
    left: float
    top: float
    right: float
    bottom: float

    def grown(self, by):
        return Box(self.left - by, self.top - by, self.right + by, self.bottom + by)

    def overlaps(self, other):
        return (
            self.left < other.right and other.left < self.right and self.top < other.bottom and other.top < self.bottom
        )

    def touches(self, point):
        inside, within = self.grown(7.5), self.grown(-2)  # a sign on the edge has a radius of 6
        x, y = point
        is_near = inside.left <= x <= inside.right and inside.top <= y <= inside.bottom
        return is_near and not (within.left < x < within.right and within.top < y < within.bottom)


class Drawing:
    """The visible elements of a drawing, read from its SVG alone."""

    def __init__(self, svg):
        self.root = ET.fromstring(svg)  # noqa: S314  # our own
        left, top, width, height = map(float, self.root.get("viewBox").split())
        self.view = Box(left, top, left + width, top + height)
        blocks = self.root.findall(f"{SVG}g[@class='rnnkit-step-block']")
        self.blocks = {block.findtext(f"{SVG}title"): box_of(block.find(f"{SVG}rect")) for block in blocks}
        assert len(self.blocks) == len(blocks)
        self.shown = {block.findtext(f"{SVG}title"): shown_in(block) for block in blocks}
        self.cell = box_of(self.root.find(f"{SVG}rect"))
        self.wires = [joined_strokes(each.findall(f"{SVG}path")) for each in self.groups("wire")]
        self.labels = [(text_of(each), text_box(each)) for each in self.root.findall(f"{SVG}text")]

    def groups(self, name):
        return self.root.findall(f"{SVG}g[@class='rnnkit-step-{name}']")

    def segments(self):
        for number, wire in enumerate(self.wires):
            for path in wire:
                for one, other in pairwise(path):
                    yield number, one, other


def box_of(rect):
    x, y, width, height = (float(rect.get(name)) for name in ("x", "y", "width", "height"))
    return Box(x, y, x + width, y + height)


def shown_in(block):
    """The text in a block, or its sign."""
    text = block.find(f"{SVG}text")
    if text is not None:
        return text_of(text)
    return "a plus" if "h" in block.find(f"{SVG}path").get("d") else "a cross"


def text_of(element):
    return "".join(element.itertext())


def text_box(element):
    """An estimate of the area of a text."""
    size = float(re.search(r"font:([\d.]+)px", element.get("style"))[1])
    small = sum(len(span.text) for span in element if "font-size" in (span.get("style") or ""))
    width = size * (0.5 * (len(text_of(element)) - small) + 0.36 * small)
    x, y = float(element.get("x")), float(element.get("y"))
    left = x - {"start": 0, "middle": width / 2, "end": width}[element.get("text-anchor")]
    return Box(left, y - 0.7 * size, left + width, y + 0.25 * size)


def joined_strokes(strokes):
    """The corners of each path of a wire; a stroke that starts where the one before it ends continues it."""
    paths = []
    for (points,) in (paths_in(stroke.get("d")) for stroke in strokes):
        before = paths.pop() if paths and paths[-1][-1] == points[0] else []
        paths.append(without_middles([*before, *points]))
    return paths


def paths_in(d):
    """The corners of each path; a curve counts as a corner."""
    paths = []
    for part in d.split("M")[1:]:
        numbers = [list(map(float, piece.split())) for piece in re.split("[LQ]", part)]
        paths.append(without_middles([tuple(each[:2]) for each in numbers]))
    return paths


def without_middles(points):
    points = [point for before, point in zip([None, *points], points, strict=False) if before != point]
    found = [points[0]]
    for before, point, after in zip(points, points[1:], points[2:], strict=False):
        if not (before[0] == point[0] == after[0] or before[1] == point[1] == after[1]):
            found.append(point)
    return [*found, points[-1]]


@cache
def drawing_of(latex):
    return Drawing(draw_step(latex, title="One step").svg)


@cache
def graph(latex):
    return build_graph(Equation(latex))


def plain_characters(name):
    return "".join(run.text for run in name_text(name))


def box_of_segment(one, other):
    return Box(min(one[0], other[0]), min(one[1], other[1]), max(one[0], other[0]), max(one[1], other[1]))


# --- the graph agrees with the equation


def value_for(name, generator):
    """A matrix for capital letters, a number for Greek ones, a column for others."""
    if name in (r"\phi", r"\mathrm{LN}"):
        return torch.cos
    if re.match(r"[A-Z]", name):
        return torch.randn(SIZE, SIZE, generator=generator, dtype=torch.float64)
    if name.startswith("\\"):
        return torch.rand((), generator=generator, dtype=torch.float64)
    return torch.randn(SIZE, generator=generator, dtype=torch.float64)


@each_equation
def test_graph_computes_the_equation(latex):
    generator = torch.Generator().manual_seed(0)
    equation = Equation(latex)
    unknown = sorted(equation.symbols - MEANINGS.keys())
    inputs = [name for name in unknown if re.search(r"[_^]\{?\(?t(-\d)?\)?\}?$", name)]
    rows = {name: torch.randn(ROWS, SIZE, generator=generator, dtype=torch.float64) for name in inputs}
    symbols = {name: value_for(name, generator) for name in unknown if name not in inputs}
    if "[" in latex:  # columns are stacked: their matrices are wider
        symbols = {name: torch.cat([each, each.T], 1) if each.dim() == 2 else each for name, each in symbols.items()}
    expected = equation.evaluate(symbols, rows)
    values = by_graph(latex, symbols, rows)
    assert graph(latex).names.keys() == expected.keys()
    for name, node in graph(latex).names.items():
        torch.testing.assert_close(values[slot(node).name].tensor, expected[name], msg=name)


def by_graph(latex, symbols, rows):
    """The signal of each node: computed from its operation for circles, from its expression for others."""
    known = MEANINGS | {name: as_value(each) for name, each in symbols.items()}
    known |= {name: batched_value(each) for name, each in rows.items()}
    values = {}
    for number, node in enumerate(graph(latex).nodes):
        sources = [values[slot(source).name] for source in node.sources]
        if node.type is NodeType.MULTIPLY:
            value = batched_value(sources[0].tensor * sources[1].tensor)
        elif node.type is NodeType.ADD:
            value = batched_value(sources[0].tensor + sources[1].tensor)
        else:
            value = evaluate(
                node.expression, known | {slot(each).name: values[slot(each).name] for each in node.sources}
            )
        values[slot(number).name] = value
    return values


@each_equation
def test_layers_have_inputs(latex):
    for node in graph(latex).nodes:
        if node.type in (NodeType.GATE, NodeType.LINEAR):
            assert node.inputs
            assert set(node.elementwise) <= set(node.inputs)
            assert node.type is NodeType.GATE or not node.added


def test_gate_tells_weighted_from_added_and_elementwise_inputs():
    one = graph(r"h_t &= \tanh(W x_t + u \odot h_{t-1} + c_t)")
    gate = one.nodes[one.names["h_t"]]
    named = {one.name_of(each) for each in gate.inputs}, {one.name_of(each) for each in gate.added}
    assert named == ({"x_t", "h_{t-1}"}, {"c_t"})
    assert [one.name_of(each) for each in gate.elementwise] == ["h_{t-1}"]


def test_a_divisor_has_no_weight():
    one = graph(r"h_t &= \tanh(W x_t + a / h_{t-1} + 2 x_t)")
    gate = one.nodes[one.names["h_t"]]
    assert [one.name_of(each) for each in gate.inputs] == ["x_t"]
    assert len(gate.added) == 1


def test_states_and_outputs():
    one = graph(EQUATIONS["state space"])
    assert (one.states, one.outputs) == ({"h_{t-1}": "h_t"}, ("h_t", "y_t"))
    assert graph(EQUATIONS["lstm"]).outputs == ("h_t", "c_t")
    assert graph(EQUATIONS["two steps back"]).states == {"h_{t-1}": "h_t"}


# --- the drawing agrees with the graph


@each_equation
def test_drawn_wires_equal_edges_of_the_graph(latex):
    assert edges_drawn(latex) == edges_of(latex)


def edges_of(latex):
    one = graph(latex)
    edges = Counter()
    for number, node in enumerate(one.nodes):
        for source in node.sources:
            edges[end_of(latex, source), node_text(one, number)] += 1
    for name in one.outputs:
        edges[end_of(latex, one.names[name]), plain_characters(name)] += 1
    return edges


def end_of(latex, number):
    """The name of a node in the drawing: its tooltip, or the label of its wire for an input."""
    one = graph(latex)
    return plain_characters(one.name_of(number)) if one.nodes[number].type is NodeType.INPUT else node_text(one, number)


def edges_drawn(latex):
    drawing = drawing_of(latex)
    sources, sinks = {}, []
    for number, wire in enumerate(drawing.wires):
        sources[number] = endpoint(drawing, wire[0][0])
        sinks += [(number, endpoint(drawing, path[-1]) or joined(drawing, number, path[-1])) for path in wire]
        for path in wire[1:]:
            assert any(is_on(path[0], one, other) for each in wire if each is not path for one, other in pairwise(each))
    into = {number: [wire for wire, sink in sinks if sink == number] for number in sources}
    edges = Counter()
    for number, sink in sinks:
        for source in [sources[each] for each in into[number]] or [sources[number]]:
            if not isinstance(sink, int):
                edges[source, sink] += 1
    return edges


def endpoint(drawing, point):
    """The tooltip of the block that a wire touches at a point, or the label at its end outside the cell."""
    if drawing.cell.left < point[0] < drawing.cell.right and drawing.cell.top < point[1] < drawing.cell.bottom:
        found = [title for title, box in drawing.blocks.items() if box.touches(point)]
        assert len(found) <= 1
        return found[0] if found else None
    found = [text for text, box in drawing.labels if box.grown(16).overlaps(Box(*point, *point).grown(0.1))]
    assert len(found) == 1
    return found[0]


def joined(drawing, number, point):
    """The number of the wire that a wire joins."""
    found = [
        other
        for other, wire in enumerate(drawing.wires)
        if other != number and endpoint(drawing, wire[0][0]) is None
        for one, end in pairwise(wire[0])
        if is_on(point, one, end)
    ]
    assert len(found) == 1
    return found[0]


def is_on(point, one, other):
    box = box_of_segment(one, other).grown(0.2)
    return box.left <= point[0] <= box.right and box.top <= point[1] <= box.bottom


@each_equation
def test_every_signal_has_a_label(latex):
    one = graph(latex)
    written = Counter(text for text, _ in drawing_of(latex).labels)
    inputs = {one.name_of(number) for number, node in enumerate(one.nodes) if node.type is NodeType.INPUT}
    assert written == Counter(plain_characters(name) for name in {*inputs, *one.names})


@each_equation
def test_added_and_elementwise_inputs_have_a_sign(latex):
    expected = sum(len(node.added) + len(node.elementwise) for node in graph(latex).nodes)
    assert len(drawing_of(latex).groups("sign")) == expected


@each_equation
def test_each_block_has_a_tooltip(latex):
    drawing = drawing_of(latex)
    for number, node in enumerate(graph(latex).nodes):
        if node.type is not NodeType.INPUT:
            assert node_text(graph(latex), number) in drawing.blocks
    assert len(drawing.blocks) == sum(node.type is not NodeType.INPUT for node in graph(latex).nodes)


@each_equation
def test_each_block_shows_its_operation(latex):
    drawing, one = drawing_of(latex), graph(latex)
    for number, node in enumerate(one.nodes):
        shown = drawing.shown.get(node_text(one, number))
        if node.type in (NodeType.MULTIPLY, NodeType.ADD):
            assert shown == SIGNS[node.type]
        elif node.sources and isinstance(node.expression, Call) and len(node.expression.arguments) == 1:
            assert shown == plain_characters(node.expression.function)
        elif node.expression == Binary("-", Number("1"), slot(node.sources[0]) if node.sources else None):
            assert shown == "1 \N{MINUS SIGN}"
        else:
            assert shown or node.type is NodeType.INPUT


SIGNS = {NodeType.MULTIPLY: "a cross", NodeType.ADD: "a plus"}


@each_equation
def test_forks_have_dots_and_ends_have_arrow_heads(latex):
    drawing = drawing_of(latex)
    for group, wire in zip(drawing.groups("wire"), drawing.wires, strict=True):
        dots = [(float(dot.get("cx")), float(dot.get("cy"))) for dot in group.iter(f"{SVG}circle")]
        assert all(path[0] in dots for path in wire[1:])
        strokes = " ".join(path.get("d") for path in group.findall(f"{SVG}path"))
        curves = re.findall(r"Q(\S+) (\S+) ([^\sL]+) ([^\sL]+)", strokes)
        assert not [curve for curve in curves if tuple(map(float, curve[:2])) in dots and curve[:2] != curve[2:]]
        marks = [each.get("d") for each in group.findall(f"{SVG}g/{SVG}path")]
        heads = [tuple(map(float, head.split("L")[0].split())) for d in marks for head in d.split("M")[1:]]
        ends = [path[-1] for path in wire]
        assert set(heads) == {end for end in ends if endpoint(drawing, end) is not None}


# --- each element names its lines of the equation


def lines_in(element):
    return set(map(int, element.get("data-lines").split()))


@each_equation
def test_labels_belong_to_the_lines_that_define_or_use_their_signal(latex):
    lines, outputs = Equation(latex).lines, graph(latex).outputs
    using = defaultdict(set)
    for number, line in enumerate(lines):
        for name in {line.name, *names_in(line.tree)}:
            using[plain_characters(name)].add(number)
    using |= {plain_characters(line.name): {number} for number, line in enumerate(lines) if line.name in outputs}
    labels = drawing_of(latex).root.findall(f"{SVG}text")
    assert len(labels) > len(lines)
    for label in labels:
        assert lines_in(label) == using[text_of(label)]


@each_equation
def test_every_line_has_operators_or_is_another_name_of_a_signal(latex):
    found = [lines_in(block) for block in drawing_of(latex).groups("block")]
    lines = Equation(latex).lines
    assert all(found)
    assert set().union(*found) == {number for number, line in enumerate(lines) if not isinstance(line.tree, Name)}


@each_equation
def test_wires_of_a_line_reach_back_to_their_source(latex):
    cut = 0
    for group in drawing_of(latex).groups("wire"):
        strokes = [(path, lines_in(each)) for each in group.findall(f"{SVG}path") for path in paths_in(each.get("d"))]
        for number, (path, lines) in enumerate(strokes[1:], start=1):
            before = [
                found
                for other, found in strokes[:number]
                if any(is_on(path[0], one, end) for one, end in pairwise(other))
            ]
            assert any(lines <= found for found in before)
            cut += strokes[number - 1][0][-1] == path[0]
    if latex == EQUATIONS["lstm"]:
        assert cut  # a fork whose branches lead to different lines


@pytest.mark.parametrize("sign", ["wire", "sign"])
def test_wires_and_signs_of_gru_belong_to_its_lines(sign):
    elements = [part for group in drawing_of(EQUATIONS["gru"]).groups(sign) for part in group.iter()]
    lines = [lines_in(part) for part in elements if part.get("data-lines")]
    assert lines
    assert set().union(*lines) <= {0, 1, 2, 3}
    if sign == "sign":  # the reset candidate is added inside n_t
        assert lines == [{2}]


def test_rows_of_a_line_that_continues():
    svg = draw_step(r"a_t &= x_t \\ h_t &= \tanh(W a_t) \\ &\quad + h_{t-1}", title="One step").svg
    assert 'data-rows="1 2"' in svg


# --- the layout is legible


@each_equation
def test_no_two_blocks_overlap(latex):
    for one, other in combinations(drawing_of(latex).blocks.values(), 2):
        assert not one.grown(4).overlaps(other.grown(4))


@each_equation
def test_no_wire_crosses_a_block(latex):
    drawing = drawing_of(latex)
    for _, one, other in drawing.segments():
        assert one[0] == other[0] or one[1] == other[1]
        for box in drawing.blocks.values():
            assert not box_of_segment(one, other).overlaps(box.grown(-0.2))


@each_equation
def test_no_wire_overlaps_another(latex):
    segments = list(drawing_of(latex).segments())
    for (wire, *one), (other_wire, *other) in combinations(segments, 2):
        upright = [start[0] == end[0] for start, end in (one, other)]
        if wire != other_wire and upright[0] == upright[1]:
            common = length_side_by_side(box_of_segment(*one), box_of_segment(*other), upright=upright[0])
            assert common <= 15  # wires that join run together for so long


def length_side_by_side(one, other, *, upright):
    """The length over which two parallel lines are within 10 pixels of each other."""
    across = min(one.right, other.right) - max(one.left, other.left)
    down = min(one.bottom, other.bottom) - max(one.top, other.top)
    apart, common = (-across, down) if upright else (-down, across)
    return common if apart < 10 else 0


@each_equation
def test_wires_do_not_turn_on_other_wires(latex):
    drawing = drawing_of(latex)
    for number, wire in enumerate(drawing.wires):
        for corner in (corner for path in wire for corner in path[1:-1]):
            for other, one, end in drawing.segments():
                if other != number and is_on(corner, one, end):
                    assert is_join(drawing, corner)


def is_join(drawing, point):
    starts = [wire[0][0] for wire in drawing.wires if endpoint(drawing, wire[0][0]) is None]
    return any(abs(point[0] - x) + abs(point[1] - y) < 16 for x, y in starts)


@each_equation
def test_no_label_overlaps_anything(latex):
    drawing = drawing_of(latex)
    for at_label, (_, box) in enumerate(drawing.labels):
        assert not any(box.overlaps(other) for other in drawing.blocks.values())
        assert not any(box.overlaps(other) for _, other in drawing.labels[at_label + 1 :])
        assert not any(box.overlaps(box_of_segment(one, other).grown(0.9)) for _, one, other in drawing.segments())


@each_equation
def test_everything_is_inside_the_view(latex):
    drawing = drawing_of(latex)
    segments = [box_of_segment(one, other) for _, one, other in drawing.segments()]
    for box in [drawing.cell, *drawing.blocks.values(), *(box for _, box in drawing.labels), *segments]:
        assert drawing.view.left <= box.left
        assert box.right <= drawing.view.right
        assert drawing.view.top <= box.top
        assert box.bottom <= drawing.view.bottom
    assert all(drawing.cell.grown(-4).overlaps(box) for box in drawing.blocks.values())


@each_equation
def test_states_run_left_to_right_and_inputs_enter_from_below(latex):
    one, drawing = graph(latex), drawing_of(latex)
    places = dict(drawing.labels)
    for before, after in one.states.items():
        assert places[plain_characters(before)].right < drawing.cell.left
        assert places[plain_characters(after)].left > drawing.cell.right
    if "x_t" in {one.name_of(number) for number in range(len(one.nodes))}:
        assert places[plain_characters("x_t")].top > drawing.cell.bottom


def test_cell_state_of_lstm_runs_straight_at_the_top():
    drawing = drawing_of(EQUATIONS["lstm"])
    places = dict(drawing.labels)
    level = (places["c" + plain_characters("c_{t-1}")[1:]].bottom, places[plain_characters("c_t")].bottom)
    assert level[0] == level[1]
    assert all(box.bottom + 8 > level[0] for _, box in drawing.labels)
    assert places[plain_characters("h_{t-1}")].bottom == places[plain_characters("h_t")].bottom


@pytest.mark.parametrize("name", EQUATIONS)
def test_drawing_fits_the_page_width(name):
    assert float(drawing_of(EQUATIONS[name]).root.get("width")) <= 760


# --- the SVG can be embedded


@pytest.mark.parametrize("latex", EQUATIONS.values(), ids=EQUATIONS)
def test_svg_is_one_accessible_element_without_empty_lines_or_ids(latex):
    svg = draw_step(latex, title="One step of <a> & b").svg
    root = ET.fromstring(svg)  # noqa: S314  # our own
    assert root.tag == f"{SVG}svg"
    assert root.get("role") == "img"
    assert root.findtext(f"{SVG}title") == "One step of <a> & b"
    assert all(
        re.sub(r"[\W_]", "", plain_characters(name)) in re.sub(r"[\W_]", "", root.findtext(f"{SVG}desc"))
        for name in graph(latex).names
    )
    assert all(line.strip() for line in svg.split("\n"))
    assert not [each for each in root.iter() if each.get("id")]


def test_alternative_text():
    root = drawing_of(EQUATIONS["gru"]).root
    assert root.findtext(f"{SVG}desc").replace("\N{MINUS SIGN}", "-") == (
        "Enters on the left: h_(t-1). Enters from below: x_t. "
        "r_t = \N{GREEK SMALL LETTER SIGMA}(layer(x_t, h_(t-1))). "
        "z_t = \N{GREEK SMALL LETTER SIGMA}(layer(x_t, h_(t-1))). "
        "n_t = tanh(layer(x_t) + r_t ⊙ layer(h_(t-1))). h_t = (1 - z_t) ⊙ n_t + z_t ⊙ h_(t-1). "
        "A layer is a weighted sum of signals plus a bias. Leaves on the right: h_t."
    )


def test_colors_are_css_variables_with_defaults():
    svg = draw_step(EQUATIONS["lstm"], title="One step").svg
    colours = re.findall(r"(?:fill|stroke):([^;\"]+)", svg)
    assert set(colours) - {"none"}
    assert all(re.fullmatch(r"none|var\(--(?:rnnkit|md)-[a-z-]+, #[0-9a-f]{3,6}\)", colour) for colour in colours)


PROGRAM = """
import sys
from rnnkit_cards.drawing import draw_step
sys.stdout.buffer.write(draw_step(sys.argv[1], title="One step").svg.encode())
"""


@pytest.mark.parametrize("name", ["lstm", "two rails"])
def test_drawing_is_deterministic(name):
    svg = draw_step(EQUATIONS[name], title="One step").svg
    assert svg == draw_step(EQUATIONS[name], title="One step").svg
    for seed in ("1", "2"):
        command = [sys.executable, "-c", PROGRAM, EQUATIONS[name]]
        done = subprocess.run(command, env=os.environ | {"PYTHONHASHSEED": seed}, check=True, capture_output=True)
        assert done.stdout.decode() == svg


CHANGES = {
    "lstm": [
        ("g_t &= \\tanh", "g_t &= \\sigma"),
        ("f_t \\odot c", "i_t \\odot c"),
        ("\\tanh(c_t)", "c_t"),
        ("+ i_t", "- i_t"),
    ],
    "gru": [("(1 - z_t) \\odot n_t + z_t", "z_t \\odot n_t + (1 - z_t)"), ("r_t \\odot (W", "z_t \\odot (W")],
    "indrnn": [("u \\odot", "U"), ("W x_t", "x_t"), ("\\phi", "\\tanh")],
}


@pytest.mark.parametrize(
    ("name", "old", "new"), [(name, *change) for name, changes in CHANGES.items() for change in changes]
)
def test_different_equations_have_different_drawings(name, old, new):
    assert old in EQUATIONS[name]
    changed = EQUATIONS[name].replace(old, new)
    assert seen(changed) != seen(EQUATIONS[name])


def seen(latex):
    """The drawing without titles and descriptions."""
    return re.sub(r"<(title|desc)>.*?</\1>", "", draw_step(latex, title="One step").svg)


REFUSED = {
    r"h_t &= \sum_i x_t": "cannot be read",
    r"h_t &= c_t \\ c_t &= x_t": "c_t cannot be drawn: it is used before the line that defines it",
    r"h_t &= (x_t, h_{t-1})": "arguments without a function cannot be drawn",
    r"h_t &= \tanh + x_t": "cannot be drawn",
    "": "without lines",
}


@pytest.mark.parametrize(("latex", "words"), REFUSED.items(), ids=REFUSED)
def test_equations_that_cannot_be_drawn_are_rejected(latex, words):
    with pytest.raises(UnreadableEquationError, match=words):
        draw_step(latex, title="One step")


def test_every_installed_equation_can_be_drawn(kind):
    equation = get_kind(kind).equation
    assert not equation or draw_step(equation, title=kind)


# --- the legend explains the signs of the drawing


def signs_drawn(latex):
    """The parts of the legend that the elements of a drawing need, found in its SVG."""
    drawing, one = drawing_of(latex), graph(latex)
    boxes = {title for title, block in zip(drawing.blocks, drawing.groups("block"), strict=True) if is_box(block)}
    sources = {sink for _, sink in edges_drawn(latex)}
    marks = ["plus" if "h" in each.find(f"{SVG}path").get("d") else "cross" for each in drawing.groups("sign")]
    found = {
        "the state enters": bool(one.states),
        "the input enters": any(box.top > drawing.cell.bottom for _, box in drawing.labels),
        "lines that merge": any(endpoint(drawing, wire[0][0]) is None for wire in drawing.wires),
        "a box is a layer": bool(boxes & sources),
        "a box without an input": bool(boxes - sources),
        "a small plus": "plus" in marks,
        "a small cross": "cross" in marks,
        "a circle with a cross": "a cross" in drawing.shown.values(),
        "a circle with a plus": "a plus" in drawing.shown.values(),
        "a rounded shape": any(
            text not in {"a cross", "a plus"} and title not in boxes for title, text in drawing.shown.items()
        ),
    }
    return {part for part, is_drawn in found.items() if is_drawn}


def is_box(block):
    return block.find(f"{SVG}rect").get("rx") == "6"


@each_equation
def test_legend_explains_exactly_the_signs_of_the_drawing(latex):
    legend = draw_step(latex, title="One step").legend
    explained = [part.strip().lower() for part in legend.rstrip(".").split(";")]
    signs = signs_drawn(latex)
    assert len(explained) == len(signs)
    assert all(any(part.startswith(sign) for part in explained) for sign in signs)


def test_legend_of_a_plain_rnn_is_short():
    assert draw_step(EQUATIONS["rnn"], title="One step").legend == (
        "The state enters on the left and leaves on the right; the input enters from below; "
        "a box is a layer with weights."
    )
