r"""Computes the equation of a kind from its LaTeX, so that a test can hold the two together.

Understands what such equations are written in: lines `name &= expression`, names with subscripts, `+`, `-`,
brackets, numbers, `\odot`, functions (`\sigma`, `\tanh`, `\phi`), and juxtaposition for the matrix product.
"""

import re

TOKEN = re.compile(r"\\?[A-Za-z]+(?:_\{[^}]*\}|_\w)?|\d+|[-+()]|\\[,;]?")


def evaluate(equation, values, functions):
    r"""Assign the lines of an equation in turn; the result holds `values` and every name on a left side.

    Args:
        equation: LaTeX.
        values: from each name as it is written (`"W_{ih}"`, `"h_{t-1}"`) to its value; vectors stand in columns.
        functions: from each function as it is written (`r"\sigma"`) to a function.
    """
    values = dict(values)
    for line in equation.strip().split(r"\\"):
        name, expression = line.split("&=")
        source = _python(expression, functions)
        values[name.strip()] = eval(source, {"v": values, "f": functions})  # noqa: S307  # our own equations
    return values


def _python(expression, functions):
    source, applies_to_next = [], False
    for token in TOKEN.findall(expression):
        is_name = token[0].isalpha()
        if applies_to_next and (is_name or token == "("):
            source.append("@")
        source.append(_translated(token, functions))
        applies_to_next = is_name or token == ")"
    return " ".join(source)


def _translated(token, functions):
    if token == r"\odot":
        return "*"
    if token in functions:
        return f"f[{token!r}]"
    return f"v[{token!r}]" if token[0].isalpha() else token
