// The result: parameters and costs, shapes, code, drawing and tables.
((builder) => {
  "use strict"

  const { data, drawing, grouped, idOf, make, modelOf } = builder
  const UNITS = ["bytes", "kB", "MB", "GB", "TB"]
  const MOST_ROWS = 40
  const QUIET = 600 // ms after the last key before a screen reader announces the count

  /** `element` and `tables` for the page, and `show(state, found)`. */
  function makeResult() {
    const status = make("div", { class: "spec-builder-hidden", role: "status", "aria-live": "polite" })
    const announce = (text) => {
      status.textContent = text
    }
    const headline = make("div", { class: "spec-builder-headline" })
    const wrong = make("div", { class: "spec-builder-wrong", hidden: true })
    const code = builder.makeCodeView(announce)
    const link = builder.makeLink(announce)
    const figure = make("figure", { class: "rnnkit-drawing spec-builder-drawing" })
    const tables = make("div", { class: "spec-builder-tables" })
    const element = make("div", { class: "spec-builder-result" }, wrong, code.element, link.element, figure)
    const later = debounced(announce)
    let shapes = ""
    for (const part of [headline, element, tables]) part.classList.add("spec-builder-empty")

    function show(state, { problems, values }, fieldsByPath) {
      for (const part of [headline, element, tables]) part.classList.toggle("spec-builder-old", problems.length > 0)
      showProblems(wrong, problems, fieldsByPath)
      if (!problems.length) showModel(state, values, modelOf(state.kind, values))
      else later(`${counted(problems)}: ${problems[0].message}`)
      const stale = `${counted(problems)}; this is the last valid spec`
      headline.lastElementChild?.replaceChildren(problems.length ? stale : shapes)
    }

    function showModel(state, values, model) {
      for (const part of [headline, element, tables]) part.classList.remove("spec-builder-empty")
      shapes = `${model.input} → ${model.output}`
      headline.replaceChildren(...headlineOf(model, data.kinds[state.kind].step))
      code.show(state.kind, values)
      link.show(state)
      figure.innerHTML = drawing(state.kind, values, model)
      tables.replaceChildren(layersTable(model), stateList(model))
      later(`${grouped(model.parameters)} parameters, output ${model.output}`)
    }

    return { element, headline, tables, status, show }
  }

  function debounced(action) {
    let timer
    return (text) => {
      clearTimeout(timer)
      timer = setTimeout(() => action(text), QUIET)
    }
  }

  const counted = ({ length }) => `${length} problem${length === 1 ? "" : "s"}`

  const headlineOf = (model, step) => [
    make("p", { class: "spec-builder-count" }, make("strong", {}, grouped(model.parameters)), " parameters"),
    make("p", { class: "spec-builder-costs" }, costsOf(model)),
    ...(step ? [make("p", { class: "spec-builder-costs" }, stepOf(step))] : []),
    make("p", { class: "spec-builder-shapes" }),
  ]

  const costsOf = ({ weight_bytes, state_bytes, multiply_adds_per_step }) =>
    `weights: ${bytes(weight_bytes)} · state of one sequence: ${bytes(state_bytes)} · ` +
    `${grouped(multiply_adds_per_step)} multiply-adds (MACs) per step · float32`

  /** The measured time of one step, of the measured sizes rather than those of the spec. */
  const stepOf = ([microseconds, ratio]) =>
    `one step, measured at ${data.step_sizes}: ${microseconds.toFixed(0)} µs of CPU time, ` +
    `${ratio.toFixed(1)} times torch.nn.LSTMCell`

  /** As `rnnkit summary` writes it: `512 bytes`, `1.2 MB`. */
  function bytes(count) {
    let [size, power] = [Number(count), 0]
    for (; size >= 999.95 && power < UNITS.length - 1; power += 1) size /= 1000
    return power ? `${size.toFixed(1)} ${UNITS[power]}` : `${size} bytes`
  }

  /** The problems of the spec, each with a button that focuses its field. */
  function showProblems(box, problems, fieldsByPath) {
    box.hidden = problems.length === 0
    const items = problems.map(({ field, message }) => {
      const go = make("button", { type: "button", class: "spec-builder-go" }, field)
      go.addEventListener("click", () => document.getElementById(idOf(fieldsByPath.get(field)))?.focus())
      return make("li", {}, go, ` ${message}`)
    })
    box.replaceChildren(make("ul", {}, ...items))
  }

  function layersTable({ embedding, layers, readout, output, parameters }) {
    const rows = shortened([embedding ?? [], layers].flat().map(rowOfLayer))
    const what = readout.linear ? `${readout.how}, ${readout.linear}` : readout.how
    rows.push(["readout", what, output, grouped(readout.parameters), tensorsOf(readout.tensors)])
    rows.push(["total", "", "", grouped(parameters), ""])
    return table("Layers, from the bottom up", ["layer", "module", "output", "parameters", "tensors"], rows)
  }

  function rowOfLayer({ name, what, directions, shape, parameters, tensors }) {
    const made = directions === 2 ? `${what}, bidirectional` : what
    return [name, made, shape, grouped(parameters), tensorsOf(tensors)]
  }

  /** The rows of a very deep model without those in the middle. */
  function shortened(rows) {
    if (rows.length <= MOST_ROWS) return rows
    const half = MOST_ROWS / 2
    const gap = rows[0].map((_, column) => (column ? "" : `${rows.length - MOST_ROWS} more`))
    return [...rows.slice(0, half), gap, ...rows.slice(-half)]
  }

  const tensorsOf = (tensors) => tensors.map(({ name, shape }) => `${name} ${shape.join(" × ")}`).join(", ")

  /** The tensors of the state, side by side. */
  function stateList({ layers, state }) {
    const classes = [...new Set(layers.map((layer) => layer.state.name))].join(", ")
    const rows = shortened(state.map(({ name, shape }) => [name, shape]))
    const items = rows.map(([name, shape]) => make("li", {}, make("b", {}, name), ` ${shape}`))
    return make("div", { class: "spec-builder-state" }, make("p", {}, `State, ${classes}`), make("ul", {}, ...items))
  }

  function table(caption, headings, rows) {
    const head = make("tr", {}, ...headings.map((heading) => make("th", { scope: "col" }, heading)))
    const parts = [make("caption", {}, caption), make("thead", {}, head), make("tbody", {}, ...rows.map(rowOf))]
    const element = make("table", { class: "spec-builder-rows" }, ...parts)
    const scrolled = { class: "spec-builder-table", tabindex: "0", role: "region", "aria-label": caption }
    return make("div", scrolled, element)
  }

  const rowOf = ([first, ...cells]) =>
    make("tr", {}, make("th", { scope: "row" }, first), ...cells.map((cell) => make("td", {}, cell)))

  Object.assign(builder, { makeResult })
})(globalThis.rnnkitSpecBuilder)
