/* What is copied of a screen is what one types: its commands, without the prompt and what they print. */
for (const screen of document.querySelectorAll(".language-console pre")) {
  const lines = screen.textContent.split("\n")
  const commands = lines.filter((line) => line.startsWith("$ ")).map((line) => line.slice(2))
  screen.dataset.copy = commands.join("\n") + "\n"
}
