/* Material takes each word of a query for the beginning of one, so that "in" finds "input" and "to" finds "torch". */
(() => {
  const QUERY = 2 // Material's type of message
  const FILLERS = new Set((
    "a an and are as at be by can do does for from get how i if in into is it my of on or so than that the then this to use"
    + " using what when where which while why with vs your"
  ).split(" "))

  /* A query without words that stand on every page. The last word stays, as it may not be typed to its end. */
  const meaningful = query => query
    .split(" ")
    .filter((word, place, words) => place === words.length - 1 || !FILLERS.has(word.toLowerCase()))
    .join(" ")

  const { postMessage } = Worker.prototype
  Worker.prototype.postMessage = function (message, ...more) {
    const isQuery = message?.type === QUERY && typeof message.data === "string"
    return postMessage.call(this, isQuery ? { ...message, data: meaningful(message.data) } : message, ...more)
  }
})()
