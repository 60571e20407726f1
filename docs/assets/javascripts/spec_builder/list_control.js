// The control of a field that is a list of choices, such as the kinds of the cells of the layers: a menu for each.
((builder) => {
  "use strict"

  const { choicesOf, headLine, held, idOf, make, nameOf } = builder

  function listControl(field, state, changed) {
    const chosen = [...held(state, field)]
    const menus = make("div", { class: "spec-builder-menus" })
    const add = make("button", { type: "button" }, "Add one")
    const remove = make("button", { type: "button" }, "Remove the last")
    const nothing = make("span", { class: "spec-builder-type" }, "the default")

    function show() {
      menus.replaceChildren(...chosen.map(menuOf))
      remove.disabled = chosen.length === 0
      nothing.hidden = chosen.length > 0
    }

    const tell = () => changed([...chosen])

    function menuOf(choice, index) {
      const menu = make("select", { "aria-label": `${nameOf(field)}, number ${index + 1} from the bottom` })
      menu.append(...choicesOf(field))
      menu.value = choice
      menu.addEventListener("change", () => {
        chosen[index] = menu.value
        tell()
      })
      return menu
    }

    add.addEventListener("click", () => {
      chosen.push(chosen.at(-1) ?? field.choices[0])
      show()
      tell()
      menus.lastElementChild.focus()
    })
    remove.addEventListener("click", () => {
      chosen.pop()
      show()
      tell()
      if (remove.disabled) add.focus() // what is disabled would lose the focus to nowhere
    })
    show()
    const buttons = make("div", { class: "spec-builder-buttons" }, add, remove, nothing)
    const group = { id: idOf(field), role: "group", "aria-label": nameOf(field), tabindex: "-1" }
    const input = make("div", group, menus, buttons)
    const name = make("span", { class: "spec-builder-name-of-list" }, nameOf(field))
    return { input, parts: [headLine(field, name), input] }
  }

  Object.assign(builder, { listControl })
})(globalThis.rnnkitSpecBuilder)
