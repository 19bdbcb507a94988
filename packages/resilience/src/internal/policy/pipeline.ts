/** The parts of a policy, put around a call in their order. */
import * as Duration from "effect/Duration"
import type { AnyEffect, Call } from "./call.ts"
import { formatMillis, type Parts } from "./parts.ts"
import * as Stages from "./stages.ts"
import type { Stage } from "./stages.ts"

/** A part in its place, with a line that says what it does there. */
interface Placed {
  readonly what: string
  /** Empty for what only observes. */
  readonly why: string
  readonly stage: Stage
}

export interface Pipeline {
  readonly run: Stage
  /** The same where nobody listens and nothing is traced. */
  readonly quiet: Stage
  readonly explain: string
  /** It does nothing to a call. */
  readonly isEmpty: boolean
}

/**
 * The canonical order, from the outside in. The reasons are in docs/Policy.md and docs/decisions/0017.
 *
 * A chain runs what is inside of it once a route, so it is where the list is cut in two.
 */
export const pipelineOf = (parts: Parts): Pipeline => {
  const inside = placed(insideOf(parts))
  const outside = placed(outsideOf(parts))
  const all = [...outside, ...chained(parts, inside), ...inside]
  const run = (inside: ReadonlyArray<Placed>) =>
    composed(parts.chain === undefined ? [...outside, ...inside] : [...outside, ...chained(parts, inside)])
  const working = inside.filter(({ why }) => why !== "")
  return {
    run: run(inside),
    quiet: run(working),
    explain: explained(parts.name, all),
    isEmpty: outside.length + working.length === 0 && parts.chain === undefined
  }
}

const chained = ({ chain, onRoute }: Parts, inside: ReadonlyArray<Placed>): ReadonlyArray<Placed> =>
  chain === undefined ? [] : [{
    what: `fallback: the routes of "${chain.name}", one after the other`,
    why: "what follows is there for each route apart",
    stage: Stages.chained(chain, composed(inside), onRoute)
  }]

const placed = (all: ReadonlyArray<Placed | undefined>): ReadonlyArray<Placed> => all.filter((one) => one !== undefined)

const composed = (all: ReadonlyArray<Placed>): Stage => {
  const stages = all.map(({ stage }) => stage)
  return (self: AnyEffect, call: Call) => {
    let effect = self
    // From the inside out; the index is within the list.
    for (let index = stages.length - 1; index >= 0; index--) effect = stages[index]!(effect, call)
    return effect
  }
}

const outsideOf = ({ cache, deadLetter, reply, times }: Parts): ReadonlyArray<Placed | undefined> => [
  reply && {
    what: "fallback: a reply in place of the final failure",
    why: "outside of the deadline, so that a call that was cut has one too",
    stage: Stages.replied(reply)
  },
  deadLetter && {
    what: `deadLetter: keeps the letter in "${deadLetter.name}"`,
    why: "after all else has failed, and whatever is replied",
    stage: Stages.kept(deadLetter)
  },
  times.total === Infinity ? undefined : {
    what: `deadline.total: ${formatMillis(times.total)}`,
    why: "bounds the waiting for limits and places too",
    stage: Stages.within(Duration.millis(times.total))
  },
  cache && {
    what: `cache: "${cache.name}"`,
    why: "an answer that is kept costs no limit, place or attempt",
    stage: Stages.cached(cache)
  }
]

const insideOf = (parts: Parts): ReadonlyArray<Placed | undefined> => {
  const { breaker, bulkheads, hedge, limit, name, retry, times } = parts
  return [
    limit && {
      what: `limit: ${limit.policy.rules.map(({ name }) => name).join(", ")}`,
      why: "one call takes once, however often it is tried; a refusal is no failure of the dependency",
      stage: Stages.limited(limit.limiter, limit.policy, limit.wait)
    },
    breaker && {
      what: "breaker: one circuit a key",
      why: "outside of the retries: it counts calls that failed for good",
      stage: Stages.broken(breaker)
    },
    bulkheads && {
      what: "bulkhead: a place in flight",
      why: "inside of the breaker: a call that is refused there takes no place",
      stage: Stages.placed(bulkheads)
    },
    times.call === Infinity ? undefined : {
      what: `deadline.call: ${formatMillis(times.call)}`,
      why: "ends inside of the breaker, so that a call that hangs counts",
      stage: Stages.announced(Duration.millis(times.call))
    },
    retry && {
      what: "retry: by its schedule",
      why: "holds its place while it waits; never earlier than was asked, never later than the deadline",
      stage: Stages.retried(name, retry, Math.min(times.total, times.call) < Infinity)
    },
    {
      what: "attempt: counted, timed and traced where somebody listens",
      why: "",
      stage: Stages.observedAttempt(name)
    },
    Math.min(times.attempt, times.call) === Infinity ? undefined : {
      what: `deadline.attempt: ${formatMillis(Math.min(times.attempt, times.call))}`,
      why: times.attempt === Infinity
        ? "cuts what deadline.call leaves"
        : "inside of the retries: one attempt that hangs leaves time for another",
      stage: Stages.attemptWithin(Duration.millis(Math.min(times.attempt, times.call)))
    },
    hedge && {
      what: "hedge: another attempt beside a slow one",
      why: "innermost: to all the others the two are one attempt",
      stage: Stages.hedged(hedge)
    }
  ]
}

const explained = (name: string, all: ReadonlyArray<Placed>): string => {
  const lines = all.filter(({ why }) => why !== "").map(({ what, why }, index) => `${index + 1}. ${what} (${why})`)
  return [`Policy "${name}", from the outside in:`, ...lines, `${lines.length + 1}. the call`].join("\n")
}
