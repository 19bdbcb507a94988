/** Errors that are an answer, not an accident, where even `withoutStack` costs too much: on the way of every refused call. */

/**
 * What makes errors of a class without running `Error`, whose constructor is most of what a rejection would cost. The
 * fields are to be set. They are `instanceof` all that others are; only `util.types.isNativeError` can tell them apart.
 */
export const stackless = <A extends Error>(Class: new(...args: Array<never>) => A): () => Fields<A> => {
  // A class cannot borrow another's prototype.
  function Stackless() {}
  Stackless.prototype = Object.create(Class.prototype, {
    // What they are, for those that print it, and not where they were made.
    stack: {
      configurable: true,
      get(this: Error) {
        return `${Class.name}: ${this.message}`
      }
    }
  })
  // Called with `new`, the function makes what has its prototype.
  const Made = Stackless as unknown as new() => Fields<A>
  return () => new Made()
}

type Fields<A> = { -readonly [K in keyof A]: A[K] }
