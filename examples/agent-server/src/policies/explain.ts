/** What the figures do, in words, and which of them are probably not meant. */
import type * as Policy from "effect-resilience/Policy"
import * as Duration from "effect/Duration"
import type { OnStoreError } from "./document.ts"
import type { Surroundings, Values } from "./values.ts"

const share = (part: number): string => `${Math.round(part * 1000) / 10} %`

const time = (duration: Duration.Input): string => Duration.format(Duration.fromInputUnsafe(duration))

/** From the outside in. */
export const explain = ({ chain, health, letters, limits, turns, voice }: Values): string => {
  const { every } = letters.autoRedrive
  const { perAgent, perIp, perKey } = limits.perMinute
  const { callers, cost, rates } = limits.onStoreError
  const { denyAt, limit, warnAt, window } = chain.budget
  return [
    "A turn, from the outside in:",
    `  - the caller's limit: by address ${said(perIp)}, by agent ${said(perAgent)}, by key ${
      Object.entries(perKey).map(([tier, limit]) => `${tier} ${said(limit)}`).join(", ")
    }`,
    `  - while limits cannot be counted for all instances: of callers' limits ${
      insured(callers)
    }, of providers' rates ${insured(rates)}, of their cost ${insured(cost)}`,
    `  - its place: ${turns.waiting} turns of a session may wait for the one that runs`,
    `  - models: ${share(turns.deadlines.models)} of the turn's time for all of them, ${
      share(turns.deadlines.attempt)
    } for an attempt`,
    `  - fallback: ${chain.routes.join(", ")}, by ${chain.order}; one that is limited rests from ${
      time(chain.cooldown.base)
    } to ${time(chain.cooldown.cap)}, one whose key is refused ${time(chain.haltFor)}`,
    `  - budget: ${limit} USD in ${time(window ?? "1 day")}; a warning at ${
      share(warnAt ?? 0)
    }, the cheapest model from 100 % on, none from ${share(denyAt ?? 0)}`,
    `  - speech: ${share(voice.attempts.primary)} of what is left for an attempt of a primary service, ${
      share(voice.attempts.backup)
    } for one of a backup, ${share(voice.speaking)} for speaking`,
    "What stands beside turns:",
    `  - health: each dependency every ${time(health.interval)}, for at most ${
      time(health.timeout)
    }; away after ${health.failed} failures, well after ${health.healthy} successes`,
    `  - dead letters: kept for ${
      time(letters.retention.age)
    }, at most ${letters.retention.size}; set aside after ${letters.maxRedrives} redrives; redriven ${
      every === undefined ? "when somebody asks" : `every ${time(every)}`
    }`
  ].join("\n")
}

const insured = (choice: OnStoreError): string => {
  if (choice === "open") return "nothing is kept"
  return choice === "closed" ? "nothing passes" : `each instance keeps ${share(choice.share)}`
}

const said = (perMinute: number | "unlimited"): string =>
  perMinute === "unlimited" ? "without limit" : `${perMinute} a minute`

/** Time limits are missing from providers' policies only: a turn has its deadline, and each attempt its share of that. */
export const isMeant = ({ code }: Pick<Policy.Warning, "code">): boolean =>
  code !== "NoDeadline" && code !== "RetryWithoutAttemptTime"

type Lint = Array<{ readonly code: string; readonly at: string; readonly message: string }>

/** What is allowed and probably not meant. */
export const lint = ({ chain, health, turns }: Values, { models }: Surroundings): Lint => {
  const found: Lint = []
  const asked = chain.routes.filter((route) => models.includes(route))
  const { attempt, models: all } = turns.deadlines
  if (attempt * asked.length > all) {
    found.push({
      code: "NoTimeForLastRoute",
      at: "turns.deadlines.attempt",
      message: `Where each of ${asked.length} models hangs, the last one is cut before its ${share(attempt)} are over`
    })
  }
  for (const model of models.filter((model) => !chain.routes.includes(model))) {
    found.push({ code: "RouteLeftOut", at: "chain.routes", message: `${model} has a model and is not asked` })
  }
  if (Duration.isGreaterThan(health.timeout, health.interval)) {
    found.push({
      code: "CheckOutlivesInterval",
      at: "health.timeout",
      message: "A check may take longer than its interval"
    })
  }
  return found
}
