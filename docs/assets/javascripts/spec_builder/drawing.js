// The layers of a model as SVG, from the input at the bottom to the output at the top, in the colours of the page.
((builder) => {
  "use strict"

  const { data, evaluate, filled } = builder
  const WIDTH = 460
  const LEFT = 36
  const RIGHT = WIDTH - LEFT
  const MIDDLE = (LEFT + RIGHT) / 2
  const AROUND = 12 // where the path runs that goes around a layer
  const MOST_SHOWN = 5
  const LETTERS_OF_LINE = 54

  const HEAD_OF_ARROWS =
    '<marker id="spec-builder-head" viewBox="0 0 8 8" refX="7" refY="4" ' +
    'markerWidth="7" markerHeight="7" orient="auto">' +
    '<path d="M0 0L8 4L0 8z" class="spec-builder-head"/></marker>'

  /** The drawing of a model, as the text of an `svg` element. */
  function drawing(kind, values, model) {
    const marks = marksOf(values)
    const pieces = [outputPiece(model), ...readoutPieces(model)]
    for (const entry of shownLayers(model.layers).reverse()) {
      const lowest = Array.isArray(entry) ? entry[0] : entry
      const reads = model.layers[lowest.index - 1]?.shape ?? ""
      pieces.push(Array.isArray(entry) ? restPiece(entry, reads) : layerPiece(entry, reads, marks))
    }
    pieces.push(...embeddingPieces(model), inputPiece(model))
    return svg(stacked(pieces), summary(kind, model))
  }

  /** The texts of the marks, by place. */
  function marksOf(values) {
    const marks = { between: [], around: [], after: [], in: [] }
    for (const mark of data.marks) {
      if (evaluate(mark.shown, { values })) marks[mark.place].push(filled(mark.text, values))
    }
    return marks
  }

  /** The layers from the bottom up; if there are many, those in the middle as one list. */
  function shownLayers(layers) {
    if (layers.length <= MOST_SHOWN) return [...layers]
    const below = MOST_SHOWN - 2
    return [...layers.slice(0, below), layers.slice(below, -2), ...layers.slice(-2)]
  }

  // A piece is `{height, draw}`, where `draw(top)` gives its elements; pieces are drawn from the top down.

  const piece = (height, draw) => ({ height, draw })

  const outputPiece = (model) =>
    piece(44, (top) => text(MIDDLE, top + 16, `output ${model.output}`, "label", "middle") + arrow(top + 44, top + 25))

  function readoutPieces({ readout, layers }) {
    const how = `readout ${readout.how}`
    const box = piece(34, (top) =>
      rectangle(MIDDLE - 70, top, 140, 34, "readout") + text(MIDDLE, top + 22, how, "name", "middle"),
    )
    const below = arrowPiece(layers.at(-1).shape, [])
    if (!readout.linear) return [box, below]
    const words = `${readout.linear} ${readout.reads} → ${readout.features}`
    const linear = piece(34, (top) => {
      const name = text(LEFT + 14, top + 22, words, "name")
      return rectangle(LEFT, top, RIGHT - LEFT, 34, "readout") + name + count(readout, top + 22)
    })
    return [linear, arrowPiece("", []), box, below]
  }

  function embeddingPieces({ embedding }) {
    if (!embedding) return []
    const words = `${embedding.what} ${embedding.reads} → ${embedding.features}`
    const box = piece(34, (top) => {
      const name = text(LEFT + 14, top + 22, words, "name")
      return rectangle(LEFT, top, RIGHT - LEFT, 34, "readout") + name + count(embedding, top + 22)
    })
    return [box, arrowPiece("", [])]
  }

  function layerPiece(layer, reads, marks) {
    const isFirst = layer.index === 0
    const notes = linesOf(marks.in)
    const sum = marks.around.length && !isFirst ? 30 : 0
    const after = marks.after.length * 30
    const height = 66 + after + notes.length * 17
    const below = isFirst ? [] : marks.between
    const gap = arrowHeight(below)
    return piece(sum + height + gap, (top) => {
      const box = top + sum
      return [
        sum ? aroundPath(top, box + height + gap - 8) : "",
        rectangle(LEFT, box, RIGHT - LEFT, height, "layer"),
        text(LEFT + 14, box + 19, layer.name, "label"),
        count(layer, box + 19),
        ...marks.after.map((words, index) => afterBox(words, box + 28 + index * 30)),
        cells(layer, box + 28 + after),
        ...notes.map((words, index) => text(MIDDLE, box + 75 + after + index * 17, words, "note", "middle")),
        between(box + height, gap, reads, below),
      ].join("")
    })
  }

  const afterBox = (words, top) =>
    rectangle(LEFT + 12, top, RIGHT - LEFT - 24, 24, "after") + text(MIDDLE, top + 16, words, "small", "middle")

  /** One box for each direction in which a layer reads. */
  function cells(layer, top) {
    const wide = RIGHT - LEFT - 24
    const words = `${layer.what} ${layer.hidden}`
    if (layer.directions === 1) return cell(LEFT + 12, top, wide, words)
    const half = (wide - 10) / 2
    return cell(LEFT + 12, top, half, `${words} →`) + cell(LEFT + 22 + half, top, half, `← ${words}`)
  }

  const cell = (left, top, width, words) =>
    rectangle(left, top, width, 30, "cell") + text(left + width / 2, top + 20, words, "name", "middle")

  /** The sum above a layer, and the path around the layer to it. */
  function aroundPath(top, from) {
    const circle = `<circle cx="${MIDDLE}" cy="${top + 15}" r="9" class="spec-builder-sum"/>`
    const plus =
      line(MIDDLE - 5, top + 15, MIDDLE + 5, top + 15, "plus") + line(MIDDLE, top + 10, MIDDLE, top + 20, "plus")
    const way = `M${MIDDLE} ${from}H${AROUND + 8}q-8 0 -8 -8V${top + 23}q0 -8 8 -8H${MIDDLE - 13}`
    const path = `<path d="${way}" class="spec-builder-around" marker-end="url(#spec-builder-head)"/>`
    const shaft = line(MIDDLE, top + 30, MIDDLE, top + 24, "line") + line(MIDDLE, top + 6, MIDDLE, top, "line")
    return path + circle + plus + shaft
  }

  /** Many layers as one box. */
  function restPiece(layers, reads) {
    const parameters = layers.reduce((sum, layer) => sum + BigInt(layer.parameters), 0n)
    return piece(40 + arrowHeight([]), (top) =>
      [
        rectangle(LEFT, top, RIGHT - LEFT, 40, "rest"),
        text(LEFT + 14, top + 25, `layers ${layers[0].index} to ${layers.at(-1).index}`, "label"),
        count({ parameters }, top + 25),
        between(top + 40, arrowHeight([]), reads, []),
      ].join(""),
    )
  }

  const inputPiece = (model) => piece(26, (top) => text(MIDDLE, top + 16, `input ${model.input}`, "label", "middle"))

  const arrowHeight = (marks) => (marks.length ? 64 : 32)

  const arrowPiece = (words, marks) =>
    piece(arrowHeight(marks), (top) => between(top, arrowHeight(marks), words, marks))

  /** An arrow up to what is above, with what it passes on the way. */
  function between(top, height, words, marks) {
    const shaft = arrow(top + height, top + 2)
    const label = words ? text(MIDDLE + 12, top + height - 8, words, "small") : ""
    return shaft + label + marks.map((mark) => pill(mark, top + 14)).join("")
  }

  function pill(words, top) {
    const width = words.length * 7 + 24
    return (
      `<rect x="${MIDDLE - width / 2}" y="${top}" width="${width}" height="24" rx="12" class="spec-builder-pill"/>` +
      text(MIDDLE, top + 16, words, "small", "middle")
    )
  }

  function linesOf(words) {
    const lines = []
    for (const word of words) {
      const longer = lines.length ? `${lines.at(-1)} · ${word}` : word
      if (lines.length && longer.length <= LETTERS_OF_LINE) lines.splice(-1, 1, longer)
      else lines.push(word)
    }
    return lines
  }

  function stacked(pieces) {
    let top = 4
    const drawn = pieces.map(({ height, draw }) => {
      const elements = draw(top)
      top += height
      return elements
    })
    return { height: top + 4, elements: drawn.join("") }
  }

  function svg({ height, elements }, title) {
    const opening = `<svg viewBox="0 0 ${WIDTH} ${height}" role="img" aria-label="${escaped(title)}">`
    return `${opening}<defs>${HEAD_OF_ARROWS}</defs>${elements}</svg>`
  }

  /** Text alternative of the drawing; the table has the numbers. */
  function summary(kind, { embedding, layers, readout, input, output }) {
    const first = embedding ? `${embedding.what}, ` : ""
    const every = layers.length === 1 ? "one layer" : `${layers.length} layers`
    const linear = readout.linear ? `, ${readout.linear}` : ""
    return `From the bottom up: input ${input}, ${first}${every} of ${kind}, readout ${readout.how}${linear}, output ${output}`
  }

  const escaped = (words) =>
    String(words).replace(/[&<>"]/g, (letter) => ({ "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;" })[letter])

  const rectangle = (x, y, width, height, name) =>
    `<rect x="${x}" y="${y}" width="${width}" height="${height}" rx="6" class="spec-builder-${name}"/>`

  const text = (x, y, words, name, anchor = "start") =>
    `<text x="${x}" y="${y}" text-anchor="${anchor}" class="spec-builder-${name}">${escaped(words)}</text>`

  const count = (layer, y) => text(RIGHT - 14, y, `${grouped(layer.parameters)} parameters`, "small", "end")

  const line = (x1, y1, x2, y2, name) =>
    `<line x1="${x1}" y1="${y1}" x2="${x2}" y2="${y2}" class="spec-builder-${name}"/>`

  const arrow = (from, to) => {
    const place = `x1="${MIDDLE}" y1="${from}" x2="${MIDDLE}" y2="${to}"`
    return `<line ${place} class="spec-builder-line" marker-end="url(#spec-builder-head)"/>`
  }

  /** `1,234,567` */
  const grouped = (number) => String(number).replace(/\B(?=(\d{3})+$)/g, ",")

  Object.assign(builder, { drawing, grouped })
})(globalThis.rnnkitSpecBuilder)
