// The link that holds the whole state, for others and for later.
((builder) => {
  "use strict"

  const { fragment, make } = builder

  /** A button that copies the link of the state that was last given to `show`. */
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

  /** Let the address of the page be that of a state, without a step in the history for each key. */
  function showInAddress(state) {
    history.replaceState(history.state, "", `#${fragment(state)}`)
  }

  Object.assign(builder, { makeLink, showInAddress })
})(globalThis.rnnkitSpecBuilder)
