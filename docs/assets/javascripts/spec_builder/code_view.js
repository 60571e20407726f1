// The spec as text: a tab for each way to write it, and a button that copies what is shown.
((builder) => {
  "use strict"

  const { make, python, yaml, command } = builder
  const WAYS = [
    { id: "python", name: "Python", write: python },
    { id: "yaml", name: "YAML", write: yaml },
    { id: "command", name: "Command line", write: command },
  ]
  // comment, text, keyword, constant, number; the classes are those that the site has for code
  const TOKEN = new RegExp(
    [
      /(#.*$)/,
      /("(?:[^"\\]|\\.)*"|'[^']*')/,
      /\b(from|import)\b/,
      /\b(True|False|None|true|false|null)\b/,
      /(?<![\w.-])([+-]?\d[\w.+-]*)/,
    ]
      .map((pattern) => pattern.source)
      .join("|"),
    "gm",
  )
  const CLASSES = ["c1", "s2", "kn", "kc", "mi"]

  function makeCodeView(announce) {
    const tabs = WAYS.map(tabOf)
    const codes = WAYS.map(() => make("pre", { class: "spec-builder-code" }))
    const panels = WAYS.map((way, index) => panelOf(way, codes[index]))
    const list = make("div", { role: "tablist", "aria-label": "The spec as" }, ...tabs)
    let current = 0
    const copy = builder.makeCopyButton("Copy", () => codes[current].textContent, announce)

    function select(index, focus = false) {
      current = index
      tabs.forEach((tab, other) => {
        tab.setAttribute("aria-selected", String(other === index))
        tab.tabIndex = other === index ? 0 : -1
        panels[other].hidden = other !== index
      })
      if (focus) tabs[index].focus()
    }

    tabs.forEach((tab, index) => tab.addEventListener("click", () => select(index)))
    list.addEventListener("keydown", (event) => {
      const last = WAYS.length - 1
      const to = { ArrowRight: current + 1, ArrowLeft: current + last, Home: 0, End: last }[event.key]
      if (to === undefined) return
      event.preventDefault()
      select(to % WAYS.length, true)
    })
    select(0)

    function show(kind, values) {
      WAYS.forEach((way, index) => codes[index].replaceChildren(...coloured(way.write(kind, values))))
    }

    const bar = make("div", { class: "spec-builder-bar" }, list, copy)
    return { element: make("div", { class: "spec-builder-view" }, bar, ...panels), show }
  }

  function tabOf({ id, name }) {
    const tab = { type: "button", role: "tab", id: `spec-tab-${id}`, "aria-controls": `spec-code-${id}` }
    return make("button", tab, name)
  }

  /** With the focus on it the arrow keys move through lines that are too long. */
  function panelOf({ id }, code) {
    const panel = { role: "tabpanel", id: `spec-code-${id}`, "aria-labelledby": `spec-tab-${id}` }
    return make("div", { ...panel, class: "highlight", tabindex: "0" }, code)
  }

  /** A text as nodes, those of a colour in a `span`. */
  function coloured(text) {
    const nodes = []
    let end = 0
    for (const found of text.matchAll(TOKEN)) {
      const sort = found.slice(1).findIndex((group) => group !== undefined)
      nodes.push(text.slice(end, found.index), make("span", { class: CLASSES[sort] }, found[0]))
      end = found.index + found[0].length
    }
    return [...nodes, text.slice(end)]
  }

  Object.assign(builder, { makeCodeView })
})(globalThis.rnnkitSpecBuilder)
