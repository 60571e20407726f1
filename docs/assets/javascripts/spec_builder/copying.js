// Into the clipboard; with the old command where a browser keeps the new one for pages of servers.
((builder) => {
  "use strict"

  const SHOWN = 1500 // ms

  /** Whether a text could be copied, as a promise. */
  async function copyText(text) {
    try {
      await navigator.clipboard.writeText(text)
      return true
    } catch {
      return copiedByCommand(text)
    }
  }

  function copiedByCommand(text) {
    const before = document.activeElement
    const area = builder.make("textarea", { class: "spec-builder-hidden", "aria-hidden": "true" })
    area.value = text
    document.body.append(area)
    area.select()
    const done = document.execCommand("copy")
    area.remove()
    before?.focus()
    return done
  }

  /** A button that copies what `textOf()` returns, and says for a moment how it went. */
  function makeCopyButton(label, textOf, announce) {
    const button = builder.make("button", { type: "button", class: "spec-builder-copy" }, label)
    button.addEventListener("click", async () => {
      const done = await copyText(textOf())
      button.textContent = done ? "Copied" : "Not copied"
      announce(button.textContent)
      setTimeout(() => button.replaceChildren(label), SHOWN)
    })
    return button
  }

  Object.assign(builder, { makeCopyButton })
})(globalThis.rnnkitSpecBuilder)
