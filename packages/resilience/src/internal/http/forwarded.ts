/** The two headers in which proxies write down whom they got a request from, as lists of what they wrote, nearest hop last. */

/** The entries of `X-Forwarded-For`. */
export const xForwardedFor = (value: string): ReadonlyArray<string> => value.split(",").map((entry) => entry.trim())

const space = /[ \t]*/y
const name = /[A-Za-z0-9!#$%&'*+\-.^_`|~]+=/y
const word = /[A-Za-z0-9!#$%&'*+\-.^_`|~]+/y
const quoted = /"(?:[^"\\]|\\.)*"/y

/**
 * The `for` of each element of `Forwarded` (RFC 7239), `"unknown"` where an element has none.
 *
 * Nothing at all when the header has a mistake in it. A quote that a client leaves open reaches into what the proxies
 * have added, so no part of such a header can be told to be theirs.
 */
export const forwarded = (value: string): ReadonlyArray<string> => {
  let position = 0
  const take = (pattern: RegExp): string | undefined => {
    pattern.lastIndex = position
    const found = pattern.exec(value)?.[0]
    if (found !== undefined) position += found.length
    return found
  }
  const found: Array<string> = []
  while (true) {
    let by = "unknown"
    while (true) {
      take(space)
      const key = take(name)
      if (key !== undefined) {
        const string = take(quoted)
        const text = string === undefined ? take(word) : string.slice(1, -1).replace(/\\(.)/g, "$1")
        if (text === undefined) return []
        if (key.toLowerCase() === "for=") by = text
      }
      take(space)
      if (value[position] !== ";") break
      position++
    }
    found.push(by)
    if (position === value.length) return found
    if (value[position] !== ",") return []
    position++
  }
}
