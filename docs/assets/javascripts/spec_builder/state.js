// What the form holds, `{kind, held}` with `held` by the paths of the fields; and the same as the fragment of a link.
((builder) => {
  "use strict"

  const { data, isSame, untouched } = builder

  /** The fields of a kind: those of every spec, and its options. */
  const fieldsOf = (kind) => [...data.fields, ...data.kinds[kind].options]

  const held = (state, field) => state.held[field.path] ?? untouched(field)

  /** The state that the page starts with. */
  function start() {
    const { kind, ...given } = data.start
    return { kind, held: given }
  }

  /** The state of a kind with nothing but what is given. */
  const stateOf = (kind, given = {}) => ({ kind, held: { ...given } })

  const isUntouched = (state, field) => isSame(held(state, field), untouched(field))

  /** `kind=lstm&input_size=64`: all that is not as it was untouched. */
  function fragment(state) {
    const told = new URLSearchParams({ kind: state.kind })
    for (const field of fieldsOf(state.kind)) {
      if (!isUntouched(state, field)) told.set(field.path, [held(state, field)].flat().join(","))
    }
    return told.toString()
  }

  /** The state of a fragment; null: it is that of something else. Values that no control could hold are left out. */
  function stateOfFragment(text) {
    const told = new URLSearchParams(text)
    const kind = told.get("kind")
    if (kind === null || !Object.hasOwn(data.kinds, kind)) return null
    const state = stateOf(kind)
    for (const field of fieldsOf(kind)) {
      const value = told.has(field.path) ? heldOf(field, told.get(field.path)) : undefined
      if (value !== undefined) state.held[field.path] = value
    }
    return state
  }

  function heldOf(field, text) {
    if (field.type === "boolean") return { true: true, false: false }[text]
    if (field.type !== "choice") return text
    const items = text.split(",")
    if (!items.every((item) => field.choices.includes(item))) return undefined
    return field.lists === "only" ? items : items[0]
  }

  Object.assign(builder, { fieldsOf, held, start, stateOf, isUntouched, fragment, stateOfFragment })
})(globalThis.rnnkitSpecBuilder)
