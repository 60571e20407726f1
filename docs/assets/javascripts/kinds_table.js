/* Search, filter and sort the table of kinds. */
(() => {
  const table = document.querySelector(".rnnkit-kinds-table")
  if (!table) return
  const body = table.tBodies[0]
  const rows = [...body.rows]

  /* Filters: the name of a data attribute of the rows, and its label. */
  const ANSWERS = {
    export: "export to ONNX",
    parallel: "parallel over time",
    sizes: "a size per layer",
    kernel: "fused torch kernels",
    own: "without a plugin",
  }

  function make(tag, attributes, ...children) {
    const element = document.createElement(tag)
    for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value)
    element.append(...children)
    return element
  }

  function labelled(text, control) {
    return make("label", {}, make("span", {}, text), control)
  }

  const search = make("input", { type: "search", placeholder: "lstm, 1997, recall …", autocomplete: "off" })
  const families = [...new Set(rows.map(row => row.dataset.family))]
  const family = make(
    "select", {},
    make("option", { value: "" }, "all"),
    ...families.map(name => make("option", { value: name }, name)),
  )
  const boxes = Object.keys(ANSWERS).map(name => make("input", { type: "checkbox", name }))
  const count = make("span", {})
  const reset = make("button", { type: "button" }, "show all")
  const status = make("output", { role: "status", "aria-live": "polite" }, count)
  const form = make(
    "form", { class: "rnnkit-filters", "aria-label": "Filter the table of kinds" },
    labelled("Search the kinds", search),
    labelled("Family", family),
    make(
      "fieldset", {},
      make("legend", {}, "Only kinds"),
      ...boxes.map(box => make("label", {}, box, ANSWERS[box.name])),
    ),
    make("div", { class: "rnnkit-filters-status" }, status, " ", reset),
  )

  const words = () => search.value.toLowerCase().split(/\s+/).filter(Boolean)

  function fits(row) {
    const text = row.textContent.toLowerCase()
    return words().every(word => text.includes(word))
      && (!family.value || row.dataset.family === family.value)
      && boxes.every(box => !box.checked || row.dataset[box.name] === "yes")
  }

  function filter() {
    for (const row of rows) row.hidden = !fits(row)
    const shown = rows.filter(row => !row.hidden).length
    count.textContent = shown ? `${shown} of ${rows.length} kinds` : "No kind matches."
    reset.hidden = shown === rows.length
  }

  /* Each click reverses the order; numbers start with the smallest. */
  const value = (row, column) => {
    const cell = row.cells[column]
    return "value" in cell.dataset ? Number(cell.dataset.value) : cell.textContent.trim()
  }
  const compare = (a, b) => (typeof a === "number" ? a - b : a.localeCompare(b))

  function sort(heading) {
    const order = heading.getAttribute("aria-sort") === "ascending" ? "descending" : "ascending"
    for (const each of table.tHead.rows[0].cells) if (each.dataset.sort) each.setAttribute("aria-sort", "none")
    heading.setAttribute("aria-sort", order)
    const sign = order === "ascending" ? 1 : -1
    const column = heading.cellIndex
    const sorted = [...rows].sort((a, b) => sign * compare(value(a, column), value(b, column)))
    body.append(...sorted)
  }

  function makeSortable(heading) {
    const button = make("button", { type: "button" }, ...heading.childNodes)
    heading.append(button)
    heading.setAttribute("aria-sort", "none")
    button.addEventListener("click", () => sort(heading))
  }

  table.tHead.querySelectorAll("th[data-sort]").forEach(makeSortable)
  form.addEventListener("input", filter)
  form.addEventListener("submit", event => event.preventDefault())
  reset.addEventListener("click", () => { form.reset(); filter(); search.focus() })
  table.parentElement.before(form)
  filter()
})()
