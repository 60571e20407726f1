/* What is asked of every page, in every view. Each check gives what is wrong: an element and why. */
window.rnnkitChecks = (() => {
  const CONTENT = "main"
  const SMALLEST_TEXT = 9 // px on the screen, in a drawing
  const SLACK = 1 // px, for rounding
  const BOXES = ".rnnkit-drawing, .rnnkit-gallery figure > div"

  const all = (selector, root = document) => [...root.querySelectorAll(selector)]
  const words = element => (element.textContent || "").trim().replace(/\s+/g, " ")

  /* A short name of an element that a reader finds in the page: its path from the nearest id, and how it begins. */
  function named(element) {
    const steps = []
    for (let at = element; at && at.nodeType === 1 && steps.length < 4; at = at.parentElement) {
      const own = [...at.classList].slice(0, 2).map(name => "." + CSS.escape(name)).join("")
      steps.unshift(at.localName + (at.id ? "#" + at.id : own))
      if (at.id) break
    }
    const start = words(element).slice(0, 60)
    return steps.join(" > ") + (start ? ` "${start}"` : "")
  }

  /* What a reader has to open first has no size until then. */
  function folded(element) {
    const details = element.closest("details:not([open])")
    return Boolean(details && !element.closest("summary")) || Boolean(element.closest("[hidden]")) || inOtherTab(element)
  }
  function inOtherTab(element) {
    const tab = element.closest(".tabbed-block")
    return Boolean(tab) && getComputedStyle(tab).display === "none"
  }
  const shown = element => element.checkVisibility({ visibilityProperty: true, opacityProperty: true })

  function texts(root, skipped) {
    const walker = document.createTreeWalker(root, NodeFilter.SHOW_TEXT)
    const found = []
    while (walker.nextNode()) {
      const parent = walker.currentNode.parentElement
      if (walker.nodeValue !== null && !parent.closest(skipped)) found.push(walker.currentNode)
    }
    return found
  }

  /* ---- the whole page */

  function title() {
    return document.title.trim() ? [] : [[document.head, "the page has no title"]]
  }

  function description() {
    const meta = document.querySelector("meta[name=description]")
    return meta && meta.content.trim() ? [] : [[document.head, "the page has no description"]]
  }

  function headings() {
    const found = all("h1, h2, h3, h4, h5, h6").filter(shown)
    const firsts = found.filter(heading => heading.localName === "h1")
    const wrong = firsts.length === 1 ? [] : [[firsts[1] || document.body, `${firsts.length} h1, not 1`]]
    let level = 0
    for (const heading of found) {
      const own = Number(heading.localName[1])
      if (own > level + 1) wrong.push([heading, `${heading.localName} follows ${level ? "h" + level : "nothing"}`])
      if (!words(heading).replace("¶", "")) wrong.push([heading, "an empty heading"])
      level = own
    }
    return wrong
  }

  function leftovers() {
    const marks = /\*\*\w|\]\(\w|```|\{\{|\{%|\[object Object\]|^\s*!!! |^\s*:::/
    const left = texts(document.querySelector(CONTENT), "pre, code, script, style, .katex, .arithmatex, textarea")
    return left.filter(text => marks.test(text.nodeValue))
      .map(text => [text.parentElement, `markup was left as text: ${text.nodeValue.trim().slice(0, 60)}`])
  }

  function hosts() {
    const loads = "script[src], img[src], iframe[src], video[src], audio[src], source[src], object[data], embed[src]"
    const links = "stylesheet preload modulepreload prefetch preconnect dns-prefetch icon manifest".split(" ")
    const wants = all("link[href]").filter(link => links.some(rel => link.relList.contains(rel)))
    return [...all(loads), ...wants].filter(element => {
      const address = new URL(element.src || element.data || element.href, location.href)
      return /^https?:/.test(address.protocol) && address.host !== location.host
    }).map(element => [element, `names another host: ${element.src || element.data || element.href}`])
  }

  /* ---- what is in it */

  function math() {
    const raw = all(".arithmatex").filter(element => !element.querySelector(".katex"))
    const small = all(".arithmatex .katex-html").filter(element => !folded(element) && element.offsetWidth < 2)
    const left = texts(document.querySelector(CONTENT), "pre, code, script, style, .katex, .arithmatex, textarea, svg")
    return [
      ...raw.map(element => [element, "was not typeset"]),
      ...small.map(element => [element, "was typeset without a size"]),
      ...all(".katex-error").map(element => [element, `KaTeX cannot read it: ${element.title}`]),
      ...left.filter(text => /\\\(|\\\[|\$\$|\\frac|\\sigma/.test(text.nodeValue))
        .map(text => [text.parentElement, "LaTeX was left as text"]),
    ]
  }

  async function pictures() {
    const images = all(`${CONTENT} img`)
    for (const image of images) image.loading = "eager"
    await Promise.allSettled(images.map(image => image.decode()))
    const wrong = []
    for (const image of images) {
      if (!image.hasAttribute("alt")) wrong.push([image, "has no alt"])
      else if (!image.alt.trim() && !image.closest("[aria-hidden=true]") && image.getAttribute("role") !== "presentation")
        wrong.push([image, "has an empty alt"])
      if (!image.naturalWidth) wrong.push([image, `${image.src} shows nothing`])
      else if (!folded(image) && (image.offsetWidth < 16 || image.offsetHeight < 16))
        wrong.push([image, `is ${image.offsetWidth} x ${image.offsetHeight} px`])
      else if (!folded(image) && /\.svg(\?|$)/.test(image.src)) wrong.push(...await pictureText(image))
    }
    return wrong
  }

  /* The text in an SVG file cannot be asked for its size on the screen: taken from the file and the image's width. */
  async function pictureText(image) {
    const source = await (await fetch(image.src)).text()
    const svg = new DOMParser().parseFromString(source, "image/svg+xml").documentElement
    const width = (svg.viewBox && svg.viewBox.baseVal && svg.viewBox.baseVal.width) || image.naturalWidth
    const sizes = [...source.matchAll(/font-size\s*[:=]\s*"?\s*([\d.]+)/g)].map(match => Number(match[1]))
    const smallest = Math.min(...sizes) * image.clientWidth / width
    return svg.querySelector("text") && smallest < SMALLEST_TEXT - 0.05
      ? [[image, `${image.src}: text of ${smallest.toFixed(1)} px, below ${SMALLEST_TEXT} px`]]
      : []
  }

  const drawn = () => all(`${CONTENT} svg`).filter(svg => svg.closest(".rnnkit-drawing") || svg.querySelector("text"))

  function drawings() {
    const wrong = all(".rnnkit-drawing").filter(box => !box.querySelector("svg, img, canvas"))
      .map(box => [box, "has no drawing in it"])
    for (const svg of drawn().filter(svg => !folded(svg))) {
      const box = svg.getBoundingClientRect()
      if (box.width < 32 || box.height < 16) wrong.push([svg, `is ${box.width} x ${box.height} px`])
      else wrong.push(...cutOffText(svg, box), ...smallText(svg))
      if (!hasName(svg)) wrong.push([svg, "has no name: give it role=img and a title or an aria-label"])
    }
    return wrong
  }

  function hasName(svg) {
    const hidden = svg.closest("[aria-hidden=true]")
    const title = svg.querySelector(":scope > title")
    const by = (svg.getAttribute("aria-labelledby") || "").split(" ").map(id => id && document.getElementById(id))
    return hidden || svg.getAttribute("aria-label") || (title && words(title)) || by.some(Boolean)
  }

  const drawnTexts = svg => all("text", svg).filter(text => words(text) && shown(text))

  function cutOffText(svg, box) {
    return drawnTexts(svg).filter(text => {
      const own = text.getBoundingClientRect()
      return own.left < box.left - SLACK || own.right > box.right + SLACK || own.top < box.top - SLACK ||
        own.bottom > box.bottom + SLACK
    }).map(text => [text, "is cut off by the edge of its drawing"])
  }

  /* Text may be small in a drawing that a button enlarges. */
  function smallText(svg) {
    const enlarge = enlargeButton(svg)
    if (enlarge) enlarge.click()
    const wrong = []
    for (const text of drawnTexts(svg)) {
      const at = text.getScreenCTM()
      for (const part of [text, ...all("tspan", text)].filter(hasOwnText)) {
        const size = parseFloat(getComputedStyle(part).fontSize) * Math.sqrt(Math.abs(at.a * at.d - at.b * at.c))
        if (size < SMALLEST_TEXT - 0.05) wrong.push([part, `text of ${size.toFixed(1)} px, below ${SMALLEST_TEXT} px`])
      }
    }
    if (enlarge) enlarge.click()
    return wrong
  }
  function enlargeButton(svg) {
    const box = svg.closest(BOXES)
    return box && box.querySelector(".rnnkit-enlarge:not([hidden])")
  }

  /* A reader sees all of a drawing, without scrolling sideways. */
  function inView() {
    return drawn().filter(svg => !folded(svg) && svg.closest(BOXES)).filter(svg => {
      const own = svg.getBoundingClientRect()
      const box = svg.closest(BOXES).getBoundingClientRect()
      return own.left < Math.max(box.left, 0) - SLACK || own.right > Math.min(box.right, innerWidth) + SLACK
    }).map(svg => [svg, "is wider than its box, which hides a part of it"])
  }

  /* A name in a table stays on one line. */
  function brokenNames() {
    return all("main td code, main th code").filter(code => !folded(code) && /^[\w.]{1,24}$/.test(words(code)) &&
      code.getClientRects().length > 1).map(code => [code, "a name is broken into lines"])
  }
  const hasOwnText = element => [...element.childNodes].some(node => node.nodeType === 3 && node.nodeValue.trim())

  /* axe does not look into drawings */
  function drawingContrast() {
    const wrong = []
    for (const svg of drawn().filter(svg => !folded(svg))) {
      const shapes = all("rect, circle, ellipse, path, polygon, text", svg)
      for (const text of shapes.filter(shape => shape.localName === "text" && words(shape) && shown(shape))) {
        for (const part of [text, ...all("tspan", text)].filter(hasOwnText)) {
          const style = getComputedStyle(part)
          const ground = groundOf(text, shapes, svg)
          const ink = over(colour(style.fill, Number(style.fillOpacity) * opacity(part, svg)), ground)
          const ratio = contrast(ink, ground)
          const big = size(text, style) >= 24 || (size(text, style) >= 18.66 && Number(style.fontWeight) >= 700)
          if (ratio < (big ? 3 : 4.5) - 0.005)
            wrong.push([part, `contrast ${ratio.toFixed(2)} of ${hex(ink)} on ${hex(ground)}, below ${big ? 3 : 4.5}`])
        }
      }
    }
    return wrong
  }

  const size = (text, style) => parseFloat(style.fontSize) * Math.sqrt(Math.abs(
    text.getScreenCTM().a * text.getScreenCTM().d - text.getScreenCTM().b * text.getScreenCTM().c))

  /* The colour behind a text: that of the shapes painted before it which have its middle in them. */
  function groundOf(text, shapes, svg) {
    const box = text.getBoundingClientRect()
    let ground = backgroundOf(svg)
    for (const shape of shapes.slice(0, shapes.indexOf(text))) {
      if (shape.localName === "text" || !shown(shape) || shape.closest("defs, clipPath, mask, marker")) continue
      const middle = new DOMPoint((box.left + box.right) / 2, (box.top + box.bottom) / 2)
      if (!shape.isPointInFill(middle.matrixTransform(shape.getScreenCTM().inverse()))) continue
      const style = getComputedStyle(shape)
      if (style.fill !== "none") ground = over(colour(style.fill, Number(style.fillOpacity) * opacity(shape, svg)), ground)
    }
    return ground
  }

  function opacity(element, root) {
    let product = 1
    for (let at = element; at && at !== root.parentElement; at = at.parentElement) product *= Number(getComputedStyle(at).opacity)
    return product
  }

  function backgroundOf(element) {
    const layers = []
    for (let at = element; at; at = at.parentElement) layers.unshift(colour(getComputedStyle(at).backgroundColor, 1))
    return layers.reduce((ground, layer) => over(layer, ground), [255, 255, 255, 1])
  }

  const pen = document.createElement("canvas").getContext("2d", { willReadFrequently: true })
  const known = new Map()
  function colour(text, alpha) {
    if (!known.has(text)) {
      pen.clearRect(0, 0, 1, 1)
      pen.fillStyle = "#000"
      pen.fillStyle = text
      pen.fillRect(0, 0, 1, 1)
      known.set(text, [...pen.getImageData(0, 0, 1, 1).data])
    }
    const [red, green, blue, own] = known.get(text)
    return [red, green, blue, own / 255 * alpha]
  }
  const over = (top, ground) => [0, 1, 2].map(i => top[i] * top[3] + ground[i] * (1 - top[3])).concat(1)
  const hex = rgb => "#" + rgb.slice(0, 3).map(part => Math.round(part).toString(16).padStart(2, "0")).join("")
  function luminance(rgb) {
    const [red, green, blue] = rgb.slice(0, 3).map(part => part / 255)
      .map(part => part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue
  }
  function contrast(one, other) {
    const [light, dark] = [luminance(one), luminance(other)].sort((a, b) => b - a)
    return (light + 0.05) / (dark + 0.05)
  }

  function copying() {
    return all("main .highlight pre > code, main pre > code").filter(code => !code.closest(".no-copy"))
      .filter(code => !code.closest("pre").parentElement.querySelector("[data-md-type=copy]"))
      .map(code => [code, "has no copy button"])
  }

  /* ---- its width */

  function overflow() {
    const wide = document.documentElement.scrollWidth
    const wrong = wide > innerWidth ? [[document.documentElement, `${wide} px wide in a view of ${innerWidth} px`]] : []
    for (const element of all("header *, main *, footer *")) {
      const box = element.getBoundingClientRect()
      if (!box.width || !box.height || !(box.right > innerWidth + SLACK || box.left < -SLACK)) continue
      if (!shown(element) || clipped(element) || element.closest(".md-sidebar, .md-search, .md-skip, svg *")) continue
      wrong.push([element, `reaches from ${box.left.toFixed()} to ${box.right.toFixed()} px of ${innerWidth} px`])
    }
    return outermost(wrong)
  }

  /* What has a container that scrolls may be wider than the view. */
  function clipped(element) {
    for (let at = element.parentElement; at && at !== document.body; at = at.parentElement) {
      if (getComputedStyle(at).overflowX !== "visible") return true
    }
    return false
  }
  const outermost = wrong => wrong.filter(([one]) => !wrong.some(([other]) => other !== one && other.contains(one) &&
    other !== document.documentElement))

  /* Text that is cut off where nobody can scroll to it. */
  function cutOff() {
    return all("main *:not(.md-sidebar *)").filter(element => {
      const style = getComputedStyle(element)
      return ["hidden", "clip"].includes(style.overflowX) && element.clientWidth > 1 && style.clipPath === "none" &&
        element.scrollWidth > element.clientWidth + SLACK && shown(element) && words(element) && !element.closest("svg, .katex")
    }).map(element => [element, `shows ${element.clientWidth} of ${element.scrollWidth} px, and does not scroll`])
  }

  const CHECKS = { title, description, headings, leftovers, hosts, math, pictures, drawings, drawingContrast, inView, brokenNames, copying,
    overflow, cutOff }

  return {
    async run() {
      const problems = []
      for (const [rule, check] of Object.entries(CHECKS)) {
        for (const [element, text] of await check()) problems.push({ rule, element: named(element), text })
      }
      return { problems, made: Object.keys(CHECKS).length }
    },
    links: () => [...new Set(all("a[href]").map(link => new URL(link.getAttribute("href"), document.baseURI).href))],
  }
})()
