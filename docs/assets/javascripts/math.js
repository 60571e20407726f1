/* Typesets what arithmatex has marked, when the page has come. */
renderMathInElement(document.querySelector(".md-content"), {
  delimiters: [
    { left: "\\[", right: "\\]", display: true },
    { left: "\\(", right: "\\)", display: false },
  ],
  throwOnError: false,
  output: "htmlAndMathml",
})
