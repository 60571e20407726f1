// A link that contains the whole state.
((builder) => {
  "use strict"

  const { fragment, make } = builder

  /** A button that copies the link of the last state passed to `show`. */
  function makeLink(announce) {
    let link = ""
    const button = builder.makeCopyButton("Copy a link to this spec", () => link, announce)
    return {
      element: make("p", { class: "spec-builder-link" }, button),
      show(state) {
        link = `${location.href.split("#")[0]}#${fragment(state)}`
      },
    }
  }

  /** Put the state into the address of the page, without a history entry per key. */
  function showInAddress(state) {
    history.replaceState(history.state, "", `#${fragment(state)}`)
  }

  Object.assign(builder, { makeLink, showInAddress })
})(globalThis.rnnkitSpecBuilder)
