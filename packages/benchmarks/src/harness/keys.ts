/** Keys in the order in which they come. Every contender gets the same ones. */

/** Begins a sequence of keys. */
export type Keys = () => () => string

/** Always the same. */
export const oneKey: Keys = () => () => "one"

const named = (count: number): ReadonlyArray<string> => Array.from({ length: count }, (_, index) => `user:${index}`)

/** One after the other. */
export const uniform = (count: number): Keys => {
  const keys = named(count)
  return () => {
    let at = 0
    return () => keys[at++ % count]!
  }
}

/** The key of rank `k` with a probability proportional to `1 / k`. The ranks are drawn before, to cost nothing while measuring. */
export const zipf = (count: number): Keys => {
  const length = 1 << 20
  let drawn: ReadonlyArray<string> | undefined
  const draw = (): ReadonlyArray<string> => {
    const keys = named(count)
    let state = 42
    const random = () => {
      state = Math.imul(state ^ (state >>> 15), 0x2c1b3c6d) + 0x9e3779b9 | 0
      return ((state ^ (state >>> 13)) >>> 0) / 2 ** 32
    }
    // The inverse of the continuous distribution with density 1 / k.
    return Array.from({ length }, () => keys[Math.min(count - 1, Math.floor(count ** random()) - 1)]!)
  }
  return () => {
    const keys = drawn ??= draw()
    let at = 0
    return () => keys[at++ & (length - 1)]!
  }
}
