/**
 * Integer arithmetic that stays exact where a product does not fit 53 bits.
 *
 * All numbers are integers from 0 to 2^53 - 1. Where the product fits, which is nearly always, it costs one multiplication;
 * else the product is built bit by bit. The Lua and SQL twins compute the same way, so they agree to the last unit.
 */

/** `floor(a * b / divisor)`. Exact when the quotient is below 2^53. */
export const mulDiv = (a: number, b: number, divisor: number): number => {
  const product = a * b
  if (product <= Number.MAX_SAFE_INTEGER) return (product - product % divisor) / divisor
  return wide(a, b, divisor).quotient
}

/** `(a * b) mod divisor`. */
export const mulMod = (a: number, b: number, divisor: number): number => {
  const product = a * b
  return product <= Number.MAX_SAFE_INTEGER ? product % divisor : wide(a, b, divisor).remainder
}

/** Multiplies from the top bit of `a` down, and divides as it goes: nothing in it exceeds 2^53. */
const wide = (a: number, b: number, divisor: number): { readonly quotient: number; readonly remainder: number } => {
  const addRemainder = b % divisor
  const addQuotient = (b - addRemainder) / divisor
  let quotient = 0
  let remainder = 0
  for (let bit = 2 ** 52; bit >= 1; bit /= 2) {
    // Doubling `remainder`, without ever holding more than `divisor`.
    quotient *= 2
    if (remainder >= divisor - remainder) {
      remainder -= divisor - remainder
      quotient += 1
    } else remainder += remainder
    if (a < bit) continue
    a -= bit
    quotient += addQuotient
    if (remainder >= divisor - addRemainder) {
      remainder -= divisor - addRemainder
      quotient += 1
    } else remainder += addRemainder
  }
  return { quotient, remainder }
}

export const greatestCommonDivisor = (a: number, b: number): number => {
  while (b !== 0) {
    const rest = a % b
    a = b
    b = rest
  }
  return a
}
