// Elements of the page, in short.
((builder) => {
  "use strict"

  /** `make("p", {class: "note"}, "text", otherElement)`. */
  function make(tag, attributes = {}, ...children) {
    const element = document.createElement(tag)
    for (const [name, value] of Object.entries(attributes)) {
      if (value === true) element.setAttribute(name, "")
      else if (value !== false && value !== null) element.setAttribute(name, value)
    }
    element.append(...children)
    return element
  }

  /** A text of a docstring, in which what stands in backticks is code. */
  function prose(text) {
    return text.split("`").map((part, index) => (index % 2 ? make("code", {}, part) : part))
  }

  Object.assign(builder, { make, prose })
})(globalThis.rnnkitSpecBuilder)
