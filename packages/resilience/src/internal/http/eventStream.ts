/** Replies of server-sent events. */

/** `Accept: text/event-stream` asks for events; with `q=0` it refuses them. */
export const acceptsEvents = (accept: string | undefined): boolean =>
  accept !== undefined &&
  accept.toLowerCase().split(",").some((range) =>
    /^\s*text\/event-stream\s*(;|$)/.test(range) && !/;\s*q=0(\.0+)?\s*(;|$)/.test(range)
  )

/** Each event must be seen when it happens: nothing between us and the client may keep or gather them. */
export const eventStreamHeaders = { "cache-control": "no-store", "x-accel-buffering": "no" }
