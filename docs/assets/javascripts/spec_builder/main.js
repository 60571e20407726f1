// Adds the form and the result to the page, and keeps them in sync.
((builder) => {
  "use strict"

  const { examine, fieldsOf, make, showInAddress, start, stateOfFragment } = builder

  function run(place) {
    const result = builder.makeResult()
    const formPlace = make("div", { class: "spec-builder-form" })
    let state
    let form

    function put(next) {
      state = next
      form = builder.makeForm(state, change, choose)
      formPlace.replaceChildren(form.element)
      show()
    }

    function show() {
      const found = examine(state)
      form.show(state.kind, found)
      result.show(state, found, new Map(fieldsOf(state.kind).map((field) => [field.path, field])))
      return found
    }

    function change(field, held) {
      state.held[field.path] = held
      keep(show())
    }

    /** Change the kind; values stay if the new kind has the field. */
    function choose(kind) {
      state = { kind, held: state.held }
      form.turnTo(state)
      keep(show())
    }

    function keep(found) {
      if (!found.problems.length) showInAddress(state)
    }

    window.addEventListener("hashchange", () => {
      const linked = stateOfFragment(location.hash.slice(1))
      if (linked) put(linked)
    })
    put(stateOfFragment(location.hash.slice(1)) ?? start())
    const beside = make("div", { class: "spec-builder-beside" }, result.headline, result.element)
    const side = make("div", { class: "spec-builder-side" }, beside)
    place.replaceChildren(formPlace, side, result.tables, result.status)
  }

  const place = document.getElementById("spec-builder-place")
  if (place) run(place)
})(globalThis.rnnkitSpecBuilder)
