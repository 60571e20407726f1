// Validates a state as a spec does. As in rnnkit, later rules apply only where earlier ones hold.
((builder) => {
  "use strict"

  const { data, evaluate, fieldsOf, filled, held, pathsIn, read } = builder

  /** `{values, problems}` of a state: values by path, and a `{field, message}` for each error. */
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

  /** Rules of every spec, except those that read an invalid field. */
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

  /** The first stage of a kind's rules that has problems. */
  function brokenByKind(kind, values) {
    const [sizes, own, stack] = data.kinds[kind].rules
    for (const rules of [sizes, own]) {
      const broken = brokenOf(rules, { values })
      if (broken.length) return broken
    }
    return [...brokenOf(stack, { values }), ...brokenByCells(kind, values)]
  }

  /** Values that the cells reject; the lowest cell that rejects a field counts. */
  function brokenByCells(kind, values) {
    const byField = new Map()
    for (const layer of layersInTurn(kind, values).reverse()) {
      const about = { values, parts: partsOf(layer) }
      for (const problem of brokenOf(layer.rules, about)) byField.set(problem.field, problem)
    }
    return [...byField.values()]
  }

  function brokenOf(rules, about) {
    return rules
      .filter((rule) => evaluate(rule.broken, about))
      .map((rule) => ({ field: rule.field, message: filled(rule.message, about.values) }))
  }

  /** The records of the layers, from the bottom up; they repeat for higher layers. */
  function layersInTurn(kind, values) {
    const { option, otherwise } = data.kinds[kind].layers
    const names = (option && values[option]) || otherwise
    return names.slice(0, values.num_layers).map((name) => data.layers[name])
  }

  /** How many parts the state of a layer has. */
  const partsOf = (layer) => new Set(layer.state.map((part) => part.name)).size

  /** `[{choice, message}]`: values of a field that are never valid for these layers, whatever the other fields. */
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

  /** Values of a field other than its default. */
  function choicesOf(field) {
    if (field.type === "boolean") return [!field.default]
    if (field.type === "choice") return field.lists === "only" ? [] : field.choices
    return [field.type === "integer" ? 1 : 0.5]
  }

  Object.assign(builder, { examine, layersInTurn, refusals })
})(globalThis.rnnkitSpecBuilder)
