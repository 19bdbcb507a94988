/**
 * A limit learned from what a server refuses, as Effect's rate limiter defines it: after a 429 with Retry-After wait for so long
 * ("cooldown"), then count what goes through until the next ("learning"), and keep to that ("learned").
 */

type Phase = "inactive" | "cooldown" | "learning" | "learned"

export interface State {
  readonly phase: Exclude<Phase, "inactive">
  readonly epoch: number
  readonly until: number
  readonly started: number
  readonly observed: number
  readonly limit: number
  readonly window: number
  readonly expires: number
}

const grace = 60_000
const longestWindow = 3_600_000

export interface Consumed {
  readonly state: State | undefined
  readonly delay: number
  readonly epoch: number
  readonly phase: Phase
}

export const consume = (state: State | undefined, tokens: number, fallbackWindow: number, now: number): Consumed => {
  if (state === undefined || state.expires <= now) return { state: undefined, delay: 0, epoch: 0, phase: "inactive" }
  switch (state.phase) {
    case "cooldown": {
      const { epoch, until } = state
      if (until > now) return { state, delay: until - now, epoch, phase: "cooldown" }
      const learning: State = {
        ...state,
        phase: "learning",
        epoch: epoch + 1,
        started: now,
        observed: tokens,
        expires: now + fallbackWindow + grace
      }
      return { state: learning, delay: 0, epoch: learning.epoch, phase: "learning" }
    }
    case "learning": {
      const observed = state.observed + tokens
      return { state: { ...state, observed }, delay: 0, epoch: state.epoch, phase: "learning" }
    }
    case "learned": {
      const each = state.window / state.limit
      const isOver = state.until <= now
      const observed = (isOver ? 0 : state.observed) + tokens
      const until = (isOver ? now : state.until) + each * tokens
      const elapsed = observed * each - (until - now)
      const delay = Math.max(0, Math.floor((observed - 1) / state.limit) * state.window - elapsed)
      return { state: { ...state, observed, until }, delay, epoch: state.epoch, phase: "learned" }
    }
  }
}

export const feedback = (
  found: State | undefined,
  epoch: number,
  tokens: number,
  retryAfter: number,
  now: number
): State | undefined => {
  const state = found === undefined || found.expires <= now ? undefined : found
  const pause = Math.min(Math.max(retryAfter, 1), longestWindow)
  const cooldown = (at: number): State => {
    const until = Math.max(now + pause, at)
    return { phase: "cooldown", epoch, until, started: 0, observed: 0, limit: 0, window: 0, expires: until + grace }
  }
  // What another epoch let through says nothing about this one.
  if (epoch !== (state?.epoch ?? 0)) return state
  if (state === undefined) return cooldown(0)
  if (state.phase === "cooldown") return cooldown(state.until)
  const accepted = state.observed - tokens
  if (state.phase === "learned" || accepted <= 0) return cooldown(0)
  const window = Math.min(now - state.started + pause, longestWindow)
  return {
    phase: "learned",
    epoch: epoch + 1,
    until: state.started + window,
    started: state.started,
    observed: accepted,
    limit: accepted,
    window,
    expires: now + window + grace
  }
}
