// The conditions that the data have, as nested lists, and the messages with `{path}` in them.
((builder) => {
  "use strict"

  const OPERATIONS = {
    and: (one, other) => one && other,
    or: (one, other) => one || other,
    not: (one) => !one,
    "==": (one, other) => one === other,
    ">": (one, other) => one > other,
    ">=": (one, other) => one >= other,
    remainder: (one, other) => one % other,
    is_list: (one) => Array.isArray(one),
    length: (one) => one?.length,
    distinct: (list) => new Set(list).size,
    contains: (list, item) => list.includes(item),
  }

  /** What a condition comes to. `about` has the `values` by path and, for rules about cells, the `parts` of a state. */
  function evaluate(expression, about) {
    if (!Array.isArray(expression)) return expression
    const [name, ...operands] = expression
    if (name === "value") return about.values[operands[0]] ?? null
    if (name === "parts") return about.parts
    if (name === "hidden_sizes") return hiddenSizes(about.values)
    return OPERATIONS[name](...operands.map((operand) => evaluate(operand, about)))
  }

  /** The hidden size of each layer, from the bottom up. */
  function hiddenSizes({ hidden_size, num_layers }) {
    return Array.isArray(hidden_size) ? hidden_size : Array(num_layers).fill(hidden_size)
  }

  /** The paths of the fields that a condition asks for. */
  function pathsIn(expression) {
    if (!Array.isArray(expression)) return []
    const [name, ...operands] = expression
    if (name === "hidden_sizes") return ["hidden_size", "num_layers"]
    return name === "value" ? operands : operands.flatMap(pathsIn)
  }

  /** A text with values in the place of `{path}` and `{length of path}`, written as Python writes them. */
  function filled(text, values) {
    return text.replace(/\{(length of )?([^}]+)\}/g, (_, length, path) =>
      length ? String(values[path].length) : inWords(values[path]),
    )
  }

  function inWords(value) {
    if (!Array.isArray(value)) return String(value)
    return value.length === 1 ? `(${value[0]},)` : `(${value.join(", ")})`
  }

  Object.assign(builder, { evaluate, hiddenSizes, pathsIn, filled })
})(globalThis.rnnkitSpecBuilder)
