/* A line of an equation and its wires and operators in the drawing of the step highlight each other. The drawing says
   which lines each element belongs to; the rows of the equation are those that KaTeX has typeset. */
(() => {
  const BESIDE = 8 // px of a mark to the left and right of its line
  const numbers = text => text.split(" ").filter(Boolean).map(Number)

  /* KaTeX sets each column of an equation as a list of rows. */
  const columnOf = table => table.querySelector("[class^=col-align] > .vlist-t")
  const rowsOf = table => [...columnOf(table).querySelector(".vlist").children]

  /* Where each line begins and ends on the screen: halfway to the rows of its neighbours. */
  function bandsOf(table, rowsOfLines) {
    const { top, bottom } = columnOf(table).getBoundingClientRect()
    const rows = rowsOf(table).map(row => {
      const box = row.lastElementChild.getBoundingClientRect()
      return (box.top + box.bottom) / 2
    })
    const edges = [top, ...rows.slice(1).map((row, at) => (row + rows[at]) / 2), bottom]
    let first = 0
    return rowsOfLines.map(count => ({ top: edges[first], bottom: edges[first += count] }))
  }

  function connect(equation, drawing) {
    const table = equation.querySelector(".mtable")
    const rowsOfLines = numbers(drawing.dataset.rows)
    const rowCount = rowsOfLines.reduce((sum, count) => sum + count, 0)
    if (!table || rowsOf(table).length !== rowCount) return
    const parts = [...drawing.querySelectorAll("[data-lines]")]
    let pinned = [], pointed = null, focused = null

    function show() {
      const lines = pointed ?? focused ?? pinned
      drawing.classList.toggle("rnnkit-traced", lines.length > 0)
      for (const part of parts) part.classList.toggle("rnnkit-lit", numbers(part.dataset.lines).some(line => lines.includes(line)))
      marks.forEach((mark, line) => {
        mark.classList.toggle("rnnkit-lit", lines.includes(line))
        mark.setAttribute("aria-pressed", String(pinned.includes(line)))
      })
    }
    const point = lines => { pointed = lines; show() }
    const pin = lines => { pinned = String(lines) === String(pinned) ? [] : lines; show() }

    /* Behind each line, a button for the keyboard: the text above it can still be selected. */
    const marks = rowsOfLines.map((_, line) => {
      const mark = document.createElement("button")
      mark.type = "button"
      mark.className = "rnnkit-line"
      mark.setAttribute("aria-label", `Highlight line ${line + 1} of the equation in the drawing`)
      mark.addEventListener("focus", () => { focused = mark.matches(":focus-visible") ? [line] : null; show() })
      mark.addEventListener("blur", () => { focused = null; show() })
      mark.addEventListener("click", event => { event.stopPropagation(); pin([line]) })
      mark.addEventListener("keydown", event => { if (event.key === "Escape") { pinned = []; focused = null; show() } })
      return mark
    })
    equation.classList.add("rnnkit-lines")
    equation.append(...marks)

    function place() {
      const outer = equation.getBoundingClientRect()
      const inner = table.getBoundingClientRect()
      bandsOf(table, rowsOfLines).forEach(({ top, bottom }, line) => {
        Object.assign(marks[line].style, {
          left: `${inner.left - outer.left + equation.scrollLeft - BESIDE}px`,
          top: `${top - outer.top}px`,
          width: `${inner.width + 2 * BESIDE}px`,
          height: `${bottom - top}px`,
        })
      })
    }
    new ResizeObserver(place).observe(equation)
    document.fonts.ready.then(place)

    function lineAt({ clientX: x, clientY: y }) {
      const line = marks.findIndex(mark => {
        const box = mark.getBoundingClientRect()
        return x >= box.left && x < box.right && y >= box.top && y < box.bottom
      })
      return line < 0 ? null : [line]
    }
    equation.addEventListener("pointermove", event => point(lineAt(event)))
    equation.addEventListener("pointerleave", () => point(null))
    equation.addEventListener("click", event => { if (getSelection().isCollapsed && lineAt(event)) pin(lineAt(event)) })

    /* A wire is thin: a wider one that is not seen takes the pointer too. */
    for (const wire of drawing.querySelectorAll(".rnnkit-step-wire > path")) {
      const wider = wire.cloneNode()
      wider.setAttribute("class", "rnnkit-reach")
      wire.before(wider)
    }
    const linesOf = event => {
      const part = event.target.closest("[data-lines]")
      return part && drawing.contains(part) ? numbers(part.dataset.lines) : null
    }
    drawing.addEventListener("pointerover", event => point(linesOf(event)))
    drawing.addEventListener("pointerleave", () => point(null))
    drawing.addEventListener("click", event => pin(linesOf(event) ?? []))
  }

  /* Connects each equation with the drawing beside it; again for elements that a script has added. */
  function connectAll(root) {
    for (const drawing of root.querySelectorAll("svg.rnnkit-step[data-rows]")) {
      const equation = drawing.closest(".rnnkit-columns")?.querySelector("div.arithmatex")
      if (equation && !equation.classList.contains("rnnkit-lines")) connect(equation, drawing)
    }
  }
  globalThis.rnnkitConnectSteps = connectAll
  connectAll(document)
})()
