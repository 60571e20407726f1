// From what a control holds to the value of a field, or to what is wrong with it.
((builder) => {
  "use strict"

  const INTEGER = /^[-+]?\d+$/
  const NUMBER = /^[-+]?(\.\d+|\d+(\.\d*)?)([eE][-+]?\d+)?$/
  const HOLDS = {
    ">=": (value, limit) => value >= limit,
    ">": (value, limit) => value > limit,
    "<=": (value, limit) => value <= limit,
    "<": (value, limit) => value < limit,
  }

  /** `{value}` or `{message}` of what a control holds: true or false, a text, or a list of texts. */
  function read(field, held) {
    if (field.type === "boolean") return { value: held }
    if (field.type === "choice") return { value: field.lists === "only" && held.length === 0 ? field.default : held }
    const text = held.trim()
    if (text === "") return field.required ? { message: field.missing } : { value: field.default }
    return field.lists !== "never" && isList(text) ? readList(field, text) : readNumber(field, text)
  }

  const isList = (text) => text.includes(",") || (text.startsWith("[") && text.endsWith("]"))

  /** `64, 32` or `[64, 32]`. */
  function readList(field, text) {
    const inside = text.startsWith("[") && text.endsWith("]") ? text.slice(1, -1) : text
    const items = inside.split(",").map((item) => readNumber(field, item.trim()))
    return items.find((item) => "message" in item) ?? { value: items.map((item) => item.value) }
  }

  function readNumber(field, text) {
    if (!(field.type === "integer" ? INTEGER : NUMBER).test(text)) return { message: field.message }
    const value = Number(text)
    if (field.type === "number" && !Number.isFinite(value)) return { message: field.not_finite }
    const beyond = field.limits.find((limit) => !HOLDS[limit.sign](value, limit.value))
    return beyond ? { message: beyond.message } : { value }
  }

  /** What the control of a field holds before anybody has touched it. */
  function untouched(field) {
    if (field.type === "boolean") return field.default
    if (field.type === "choice") return field.default ?? []
    return field.default === null ? "" : String(field.default)
  }

  /** Whether two values are one and the same. */
  const isSame = (one, other) => JSON.stringify(one) === JSON.stringify(other)

  Object.assign(builder, { read, untouched, isSame })
})(globalThis.rnnkitSpecBuilder)
