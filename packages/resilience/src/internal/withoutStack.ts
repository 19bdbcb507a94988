/** Building an error that is an answer, not an accident: where it was made says nothing, and finding out costs most. */

/** V8 has the property, the language has not; whether the types know it depends on who compiles this. */
const errors: { stackTraceLimit?: number | undefined } = Error as object

/** What `make` returns, with no stack captured for the errors in it. */
export const withoutStack = <E extends Error>(make: () => E): E => {
  const limit = errors.stackTraceLimit
  if (!setLimit(0)) return make()
  try {
    return make()
  } finally {
    setLimit(limit)
  }
}

/** Where intrinsics are frozen the limit cannot be set, and errors keep their stacks. */
const setLimit = (limit: number | undefined): boolean => {
  try {
    errors.stackTraceLimit = limit
    return true
  } catch {
    return false
  }
}
