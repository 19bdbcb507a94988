/** Figures and times for people. */

const number = new Intl.NumberFormat("en", { maximumFractionDigits: 1 })

/** A number, at most one digit after the point. */
export const count = (value: number): string => number.format(value)

/** Milliseconds, as seconds where there are many. */
export const millis = (value: number | null): string =>
  value === null ? "–" : value < 10_000 ? `${count(value)} ms` : `${count(value / 1000)} s`

/** A time of day of an ISO time, or a dash. */
export const time = (iso: string | null): string => {
  const at = iso === null ? NaN : Date.parse(iso)
  return Number.isNaN(at) ? "–" : new Date(at).toLocaleTimeString("en-GB")
}

/** A day and time of an ISO time, or a dash. */
export const dayAndTime = (iso: string | null): string => {
  const at = iso === null ? NaN : Date.parse(iso)
  return Number.isNaN(at) ? "–" : new Date(at).toLocaleString("en-GB")
}

/** `HalfOpen` as `half open`. */
export const spaced = (name: string): string => name.replaceAll(/(?<=[a-z])(?=[A-Z])/g, " ").toLowerCase()
