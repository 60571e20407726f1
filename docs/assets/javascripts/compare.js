/* Two kinds side by side. The address has the choice: ?a=gru&b=lstm. */
(() => {
  const place = document.getElementById("rnnkit-compare")
  const { kinds, steps } = globalThis.rnnkitKinds
  const names = Object.keys(kinds)
  const SIDES = { a: "gru", b: "lstm" }

  function make(tag, attributes, ...children) {
    const element = document.createElement(tag)
    for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value)
    element.append(...children)
    return element
  }
  /* Only for text of compare_data.js, which is generated. */
  function withHtml(element, html) {
    element.innerHTML = html
    return element
  }

  const given = new URLSearchParams(location.search)
  const unknown = Object.keys(SIDES).map(side => given.get(side)).filter(name => name && !names.includes(name))
  const selects = Object.fromEntries(Object.entries(SIDES).map(([side, usual]) => {
    const select = make("select", { name: side }, ...names.map(name => make("option", {}, name)))
    select.value = names.includes(given.get(side)) ? given.get(side) : usual
    return [side, select]
  }))
  const swap = make("button", { type: "button" }, "Swap")
  const form = make(
    "form", { class: "rnnkit-filters rnnkit-compare-choice", "aria-label": "Kinds to compare" },
    make("label", {}, make("span", {}, "First kind"), selects.a),
    make("label", {}, make("span", {}, "Second kind"), selects.b),
    swap,
  )
  const status = make("p", { role: "status", class: "rnnkit-compare-status" })
  const cards = make("div", { class: "rnnkit-compare-cards" })
  const table = make("div", { class: "rnnkit-compare-scroll" })
  place.append(form, status, cards, table)

  function link(name) {
    return make("a", { href: `${name}.html` }, make("code", {}, name))
  }

  /* The equation and the drawing, as on a card. */
  function stepOf(name) {
    const step = steps[kinds[name].step]
    if (!step) return make("p", {}, "The kind as a whole has no equation: each layer is a cell of another kind.")
    const equation = make("div", { class: "arithmatex" })
    globalThis.katex.render(step.latex, equation, { displayMode: true, throwOnError: false, output: "htmlAndMathml" })
    const columns = make("div", { class: "rnnkit-columns" }, make("div", { class: "rnnkit-column" }, equation))
    if (!step.svg) return columns
    const figure = withHtml(make("figure", { class: "rnnkit-drawing" }), step.svg)
    figure.querySelector("title").textContent = `One step of ${name}`
    columns.append(make("div", { class: "rnnkit-column" }, figure))
    return columns
  }

  const cardOf = name => make("section", {}, make("h2", {}, link(name)), make("p", {}, kinds[name].summary), stepOf(name))

  function cellOf([html, number], first) {
    const cell = withHtml(make("td", {}), html)
    if (first && number != null && first[1]) cell.append(" ", make("small", {}, `${(number / first[1]).toFixed(2)} ×`))
    return cell
  }

  function tableOf(a, b) {
    const [first, second] = [kinds[a].values, kinds[b].values]
    const heading = children => make("th", { scope: "col" }, ...children)
    const head = make("tr", {}, heading(["quantity"]), heading([link(a)]), heading([link(b)]))
    const rows = Object.keys(first).map(name => make(
      "tr", {}, make("th", { scope: "row" }, name), cellOf(first[name]), cellOf(second[name], first[name]),
    ))
    const caption = make("caption", {}, `The second column also has the ratio of ${b} to ${a}.`)
    return make("table", { class: "rnnkit-compare-table" }, caption, make("thead", {}, head), make("tbody", {}, ...rows))
  }

  function show() {
    const [a, b] = [selects.a.value, selects.b.value]
    cards.replaceChildren(cardOf(a), cardOf(b))
    table.replaceChildren(tableOf(a, b))
    globalThis.rnnkitConnectSteps(cards)
    cards.querySelectorAll(".rnnkit-drawing").forEach(globalThis.rnnkitMakeEnlargeable)
  }

  function choose() {
    show()
    history.replaceState(null, "", `?a=${selects.a.value}&b=${selects.b.value}`)
    status.textContent = `${selects.a.value} and ${selects.b.value} are shown.`
  }

  form.addEventListener("change", choose)
  form.addEventListener("submit", event => event.preventDefault())
  swap.addEventListener("click", () => {
    [selects.a.value, selects.b.value] = [selects.b.value, selects.a.value]
    choose()
  })
  show()
  if (unknown.length) status.textContent = `There is no kind ${unknown.join(" or ")} here; the defaults are shown instead.`
})()
