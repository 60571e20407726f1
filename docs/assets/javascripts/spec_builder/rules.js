// Whether a spec accepts a state, and what it says if not. As in rnnkit, later rules are asked where earlier ones hold.
((builder) => {
  "use strict"

  const { data, evaluate, fieldsOf, filled, held, pathsIn, read } = builder

  /** `{values, problems}` of a state: values by path, and a `{field, message}` for each thing that is wrong. */
  function examine(state) {
    const values = {}
    const problems = []
    for (const field of fieldsOf(state.kind)) {
      const found = read(field, held(state, field))
      if ("message" in found) problems.push({ field: field.path, message: found.message })
      else values[field.path] = found.value
    }
    problems.push(...brokenAmongGood(data.rules, values, problems))
    return { values, problems: problems.length ? problems : brokenByKind(state.kind, values) }
  }

  /** Rules of every spec, each unless something is wrong already with a field that it asks for. */
  function brokenAmongGood(rules, values, problems) {
    const wrong = new Set(problems.map((problem) => problem.field))
    const found = []
    for (const rule of rules) {
      if ([rule.field, ...pathsIn(rule.broken)].some((path) => wrong.has(path))) continue
      const broken = brokenOf([rule], { values })
      found.push(...broken)
      broken.forEach((problem) => wrong.add(problem.field))
    }
    return found
  }

  /** The first stage of a kind's rules in which something is broken. */
  function brokenByKind(kind, values) {
    const [sizes, own, stack] = data.kinds[kind].rules
    for (const rules of [sizes, own]) {
      const broken = brokenOf(rules, { values })
      if (broken.length) return broken
    }
    return [...brokenOf(stack, { values }), ...brokenByCells(kind, values)]
  }

  /** What the cells of the layers refuse; of several that refuse a field, the lowest is told. */
  function brokenByCells(kind, values) {
    const told = new Map()
    for (const layer of layersInTurn(kind, values).reverse()) {
      const about = { values, parts: partsOf(layer) }
      for (const problem of brokenOf(layer.rules, about)) told.set(problem.field, problem)
    }
    return [...told.values()]
  }

  function brokenOf(rules, about) {
    return rules
      .filter((rule) => evaluate(rule.broken, about))
      .map((rule) => ({ field: rule.field, message: filled(rule.message, about.values) }))
  }

  /** The records of the kinds of layer of a kind, from the bottom up; those of higher layers are the same again. */
  function layersInTurn(kind, values) {
    const { option, otherwise } = data.kinds[kind].layers
    const names = (option && values[option]) || otherwise
    return names.slice(0, values.num_layers).map((name) => data.layers[name])
  }

  /** How many parts the state of a layer has. */
  const partsOf = (layer) => new Set(layer.state.map((part) => part.name)).size

  /** `[{choice, message}]`: what a field may not be in any spec with such layers, whatever the other fields are. */
  function refusals(kind, values, field) {
    const rules = layersInTurn(kind, values).flatMap(rulesOfCell)
    return choicesOf(field).flatMap((choice) =>
      rules
        .filter(({ rule }) => rule.field === field.path && pathsIn(rule.broken).every((path) => path === field.path))
        .filter(({ rule, parts }) => evaluate(rule.broken, { values: { [field.path]: choice }, parts }))
        .slice(0, 1)
        .map(({ rule }) => ({ choice, message: rule.message })),
    )
  }

  const rulesOfCell = (layer) => layer.rules.map((rule) => ({ rule, parts: partsOf(layer) }))

  /** Values of each sort that a field may have beside its default. */
  function choicesOf(field) {
    if (field.type === "boolean") return [!field.default]
    if (field.type === "choice") return field.lists === "only" ? [] : field.choices
    return [field.type === "integer" ? 1 : 0.5]
  }

  Object.assign(builder, { examine, layersInTurn, refusals })
})(globalThis.rnnkitSpecBuilder)
