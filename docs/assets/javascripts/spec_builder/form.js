// The form: a control for each field of the kind, its help, and what is wrong with it.
((builder) => {
  "use strict"

  const { data, held, make, prose, refusals } = builder

  const idOf = (field) => `spec-${field.path.replace(".", "-")}`
  const nameOf = (field) => field.path.replace("options.", "")

  /**
   * The form of a state: its `element`; `show(kind, found)` tells what is wrong; after `turnTo(state)` it
   * has the options of another kind. `changed(field, held)` is called when a control holds something else,
   * `chosen(kind)` when another kind is.
   */
  function makeForm(state, changed, chosen) {
    const rowOfPath = new Map(data.fields.map((field) => [field.path, rowOf(field, state, changed)]))
    const elements = (paths) => paths.map((path) => rowOfPath.get(path).element)
    const groups = data.groups.map(({ title, paths }) => group(title, elements(paths)))
    const kinds = kindGroup(state, chosen)
    const optionGroup = group("")
    let options = []

    function turnTo(next) {
      kinds.tell(next.kind)
      options = data.kinds[next.kind].options.map((field) => rowOf(field, next, changed))
      optionGroup.replaceChildren(make("legend", {}, `Options of ${next.kind}`), ...options.map((row) => row.element))
    }

    turnTo(state)
    const element = make("form", { novalidate: true, "aria-label": "Spec" }, kinds.element, ...groups, optionGroup)
    element.addEventListener("submit", (event) => event.preventDefault())
    return { element, turnTo, show: (kind, found) => showAll([...rowOfPath.values(), ...options], kind, found) }
  }

  const group = (title, rows = []) => make("fieldset", {}, make("legend", {}, title), ...rows)

  /** The menu of kinds, which stays when another is chosen: who types its name may not be done yet. */
  function kindGroup(state, chosen) {
    const select = make("select", { id: "spec-kind", "aria-describedby": "spec-kind-help" })
    select.append(...Object.keys(data.kinds).map((kind) => make("option", { value: kind }, kind)))
    select.value = state.kind
    select.addEventListener("change", () => chosen(select.value))
    const label = make("div", { class: "spec-builder-head-line" }, make("label", { for: "spec-kind" }, "kind"))
    const help = make("p", { id: "spec-kind-help", class: "spec-builder-help" })
    const row = make("div", { class: "spec-builder-row" }, label, select, help)
    const tell = (kind) => help.replaceChildren(...prose(data.kinds[kind].summary), ...more(kind))
    return { element: group("Kind", [row]), tell }
  }

  /** A link to the card of a kind, and to its plugin if it is not rnnkit. */
  function more(kind) {
    const { page, provider, provider_page } = data.kinds[kind]
    const about = [" ", make("a", { href: page }, `More about ${kind}`), "."]
    if (!provider_page) return about
    return [...about, " Provided by the plugin ", make("a", { href: provider_page }, provider), "."]
  }

  /** One field: `element`, and `show(problem, refused)`, which shows its problem, or values that are never valid. */
  function rowOf(field, state, changed) {
    const id = idOf(field)
    const control = controlOf(field, state, (value) => changed(field, value))
    const error = make("p", { id: `${id}-error`, class: "spec-builder-error" })
    const never = make("p", { id: `${id}-never`, class: "spec-builder-never" })
    const help = make("p", { id: `${id}-help`, class: "spec-builder-help" }, ...prose(sentence(field.text)))
    const element = make("div", { class: "spec-builder-row" }, ...control.parts, error, never, help)
    return { element, field, show: (problem, refused) => showRow({ field, control, error, never }, problem, refused) }
  }

  const sentence = (text) => text.charAt(0).toUpperCase() + text.slice(1)

  function controlOf(field, state, changed) {
    if (field.type === "boolean") return checkbox(field, state, changed)
    if (field.type !== "choice") return textControl(field, state, changed)
    return (field.lists === "only" ? builder.listControl : selectControl)(field, state, changed)
  }

  /** The name of a field, and its type at the end of the line. */
  function headLine(field, ...name) {
    const type = make("span", { class: "spec-builder-type" }, field.words)
    return make("div", { class: "spec-builder-head-line" }, make("span", {}, ...name), type)
  }

  const labelOf = (field) => make("label", { for: idOf(field) }, nameOf(field))

  function checkbox(field, state, changed) {
    const input = make("input", { type: "checkbox", id: idOf(field) })
    input.checked = held(state, field)
    input.addEventListener("change", () => changed(input.checked))
    return { input, parts: [headLine(field, input, labelOf(field))] }
  }

  /** A number field if it takes a single number, so that the arrow keys work; otherwise a text field. */
  function textControl(field, state, changed) {
    const kind = field.lists === "never" ? { type: "number", ...steps(field) } : { type: "text" }
    const placeholder = field.default === null && !field.required ? "none" : null
    const input = make("input", { id: idOf(field), autocomplete: "off", spellcheck: "false", placeholder, ...kind })
    input.value = held(state, field)
    // a number field only says that it contains invalid text, but not which
    input.addEventListener("input", () => changed(input.validity.badInput ? "?" : input.value))
    return { input, parts: [headLine(field, labelOf(field)), input] }
  }

  /** The step of the arrow keys. */
  function steps(field) {
    const min = field.limits.find((limit) => limit.sign === ">=")?.value ?? null
    const isRange = field.limits.some((limit) => limit.sign.startsWith("<"))
    return { min, step: field.type === "integer" ? "1" : isRange ? "0.05" : "any" }
  }

  const choicesOf = (field) => field.choices.map((choice) => make("option", { value: choice }, choice))

  function selectControl(field, state, changed) {
    const select = make("select", { id: idOf(field) }, ...choicesOf(field))
    select.value = held(state, field)
    select.addEventListener("change", () => changed(select.value))
    return { input: select, parts: [headLine(field, labelOf(field)), select] }
  }

  /** Show the problem of each field, and the values that are never valid for this kind. */
  function showAll(rows, kind, { values, problems }) {
    for (const row of rows) {
      const own = problems.filter((problem) => problem.field === row.field.path)
      row.show(own.map((problem) => problem.message).join(". "), refusals(kind, values, row.field))
    }
  }

  function showRow({ field, control, error, never }, problem, refused) {
    error.textContent = problem
    never.textContent = problem ? "" : [...new Set(refused.map(({ message }) => message))].join(". ")
    const described = [error, never].filter((each) => each.textContent).map((each) => each.id)
    control.input.setAttribute("aria-describedby", [...described, `${idOf(field)}-help`].join(" "))
    if (problem) control.input.setAttribute("aria-invalid", "true")
    else control.input.removeAttribute("aria-invalid")
    refuse(field, control.input, refused, problem)
  }

  /** Disable values that are never valid; the current value stays, with its problem. */
  function refuse(field, input, refused, problem) {
    if (input.tagName === "SELECT") {
      const never = new Set(refused.map(({ choice }) => choice))
      for (const option of input.options) option.disabled = never.has(option.value) && option.value !== input.value
    } else if (input.tagName === "INPUT") {
      input.disabled = refused.length > 0 && !problem
    }
  }

  Object.assign(builder, { makeForm, idOf, nameOf, headLine, choicesOf })
})(globalThis.rnnkitSpecBuilder)
