// A valid spec as Python, as a file in YAML, and as commands: what is required, and what is not as it is by default.
((builder) => {
  "use strict"

  const { fieldsOf, isSame } = builder
  const OPTION = "options."
  const WIDTH = 56 // of a line: as wide as the place that the page has for it
  const FILE = "model.yaml"
  const IN_YAML_MORE_THAN_TEXT = /^(null|true|false|yes|no|on|off|y|n|~)$/i

  /** The fields that must be said, each with its value. */
  function said(kind, values) {
    const chosen = fieldsOf(kind).filter((field) => field.required || !isSame(values[field.path], field.default))
    const all = chosen.map((field) => ({ field, path: field.path, value: values[field.path] }))
    const isOption = ({ path }) => path.startsWith(OPTION)
    const options = all.filter(isOption).map((each) => ({ ...each, name: each.path.slice(OPTION.length) }))
    return { fields: all.filter((each) => !isOption(each)), options, all }
  }

  /** A program that makes the spec and the model. */
  function python(kind, values) {
    const { fields, options } = said(kind, values)
    const lines = fields.map(({ field, path, value }) => `    ${path}=${inPython(field, value)},`)
    const call = [`    kind=${JSON.stringify(kind)},`, ...lines, ...optionsInPython(options)].join("\n")
    return `from rnnkit import RecurrentSpec, build_model

spec = RecurrentSpec(
${call}
)
model = build_model(spec)
`
  }

  function optionsInPython(options) {
    if (!options.length) return []
    const items = options.map(({ field, name, value }) => `${JSON.stringify(name)}: ${inPython(field, value)}`)
    const line = `    options={${items.join(", ")}},`
    return line.length <= WIDTH ? [line] : ["    options={", ...items.map((item) => `        ${item},`), "    },"]
  }

  function inPython(field, value) {
    if (value === null) return "None"
    if (value === true) return "True"
    if (value === false) return "False"
    if (!Array.isArray(value)) return inYaml(field, value, JSON.stringify)
    const items = value.map((item) => inPython(field, item))
    return items.length === 1 ? `(${items[0]},)` : `(${items.join(", ")})`
  }

  /** The same as a file. */
  function yaml(kind, values) {
    const { fields, options } = said(kind, values)
    const lines = fields.map(({ field, path, value }) => `${path}: ${inYaml(field, value)}`)
    const indented = options.map(({ field, name, value }) => `  ${name}: ${inYaml(field, value)}`)
    const below = options.length ? ["options:", ...indented] : []
    return [`# ${FILE}`, `kind: ${textInYaml(kind)}`, ...lines, ...below, ""].join("\n")
  }

  function inYaml(field, value, text = textInYaml) {
    if (Array.isArray(value)) return `[${value.map((item) => inYaml(field, item, text)).join(", ")}]`
    if (typeof value === "string") return text(value)
    return typeof value === "number" && field.type === "number" ? floatText(value) : String(value)
  }

  const textInYaml = (text) =>
    /^[a-z_][\w./-]*$/i.test(text) && !IN_YAML_MORE_THAN_TEXT.test(text) ? text : JSON.stringify(text)

  /** `1.0`, `0.1`, `1.0e-7`: what Python and every version of YAML take for a float. */
  function floatText(value) {
    const [digits, exponent] = String(value).split("e")
    return (digits.includes(".") ? digits : `${digits}.0`) + (exponent === undefined ? "" : `e${exponent}`)
  }

  /** Commands that say what the model would be: from a file of defaults with changes, and from the file of `yaml`. */
  function command(kind, values) {
    const defaults = quoted(`${kind.split("/").at(-1)}-defaults.yaml`)
    const changes = said(kind, values).all.map(({ field, path, value }) => quoted(`${path}=${inYaml(field, value)}`))
    return `# a file with the defaults of the kind, and what differs
rnnkit init ${quoted(kind)} --output ${defaults}
${continued([`rnnkit summary ${defaults}`, ...changes])}

# or the file of the tab YAML
rnnkit validate ${FILE}
rnnkit summary ${FILE}
`
  }

  const quoted = (word) => (/^[\w./=-]+$/.test(word) ? word : `'${word}'`)

  /** Words of a command, on as many lines as they take. */
  function continued(words) {
    const lines = [""]
    for (const word of words) {
      const line = lines.at(-1) ? `${lines.at(-1)} ${word}` : word
      if (line.length > WIDTH) lines.push(`    ${word}`)
      else lines.splice(-1, 1, line)
    }
    return lines.join(" \\\n")
  }

  Object.assign(builder, { python, yaml, command })
})(globalThis.rnnkitSpecBuilder)
