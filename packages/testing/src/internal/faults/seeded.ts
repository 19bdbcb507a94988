/**
 * Numbers that look random and follow from a seed.
 *
 * There is no state: the n-th number of a seed is the same whoever asks for it and in whatever order. Calls that run
 * at the same time therefore cannot change each other's fate.
 */

/** The finalizer of MurmurHash3: every bit of the input moves half of the bits of the output. */
const mix = (value: number): number => {
  let bits = value >>> 0
  bits = Math.imul(bits ^ (bits >>> 16), 0x85ebca6b)
  bits = Math.imul(bits ^ (bits >>> 13), 0xc2b2ae35)
  return (bits ^ (bits >>> 16)) >>> 0
}

/** The n-th number of a seed, uniform in `[0, 1)`; `seed` and `n` are integers, of which the low 32 bits count. */
export const uniformAt = (seed: number, n: number): number =>
  mix(mix(seed + 0x9e3779b9) + Math.imul(n, 0x9e3779b9)) / 0x1_0000_0000
