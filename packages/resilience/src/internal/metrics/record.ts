/** What each signal does to the metrics. */
import * as Duration from "effect/Duration"
import type * as Fiber from "effect/Fiber"
import * as Metric from "effect/Metric"
import type {
  CircuitState,
  ConcurrencyDecided,
  ConcurrencyReleased,
  HealthState,
  Listener,
  RetrySettled,
  Signal
} from "../../Signal.ts"
import { Circuits } from "./circuits.ts"
import type { LabelValues } from "./family.ts"
import { counterOf, gaugeOf, histogramOf } from "./fromCatalogue.ts"
import { addTo, changeBy, type Instrument, observeIn, setTo } from "./instruments.ts"
import type { HistogramSeries, NumberSeries } from "./series.ts"

type AnyFiber = Fiber.Fiber<unknown, unknown>

const count = (instrument: Instrument<NumberSeries>, fiber: AnyFiber, values: LabelValues): void =>
  addTo(fiber, instrument.shape.name, instrument.seriesFor(fiber, values), 1)

const set = (instrument: Instrument<NumberSeries>, fiber: AnyFiber, values: LabelValues, to: number): void =>
  setTo(fiber, instrument.shape.name, instrument.seriesFor(fiber, values), to)

const change = (instrument: Instrument<NumberSeries>, fiber: AnyFiber, values: LabelValues, by: number): void =>
  changeBy(fiber, instrument.shape.name, instrument.seriesFor(fiber, values), by)

const time = (
  instrument: Instrument<HistogramSeries>,
  fiber: AnyFiber,
  values: LabelValues,
  duration: Duration.Duration
): void => observeIn(fiber, instrument.shape.name, instrument.seriesFor(fiber, values), Duration.toSeconds(duration))

const instruments = () => ({
  retryCalls: counterOf("resilience_retry_calls_total"),
  retryAttempts: counterOf("resilience_retry_attempts_total"),
  retryBackoff: histogramOf("resilience_retry_backoff_seconds"),
  budgetExhausted: counterOf("resilience_retry_budget_exhausted_total"),
  circuitState: gaugeOf("resilience_circuit_breaker_state"),
  circuitTransitions: counterOf("resilience_circuit_breaker_transitions_total"),
  circuitCalls: counterOf("resilience_circuit_breaker_calls_total"),
  bulkheadActive: gaugeOf("resilience_bulkhead_active"),
  bulkheadLimit: gaugeOf("resilience_bulkhead_limit"),
  bulkheadQueue: gaugeOf("resilience_bulkhead_queue_depth"),
  bulkheadWait: histogramOf("resilience_bulkhead_queue_wait_seconds"),
  bulkheadRejected: counterOf("resilience_bulkhead_rejected_total"),
  limit: gaugeOf("resilience_concurrency_limit"),
  limitActive: gaugeOf("resilience_concurrency_limit_active"),
  limitRejected: counterOf("resilience_concurrency_limit_rejected_total"),
  shed: counterOf("load_shed_total"),
  timeouts: counterOf("resilience_timeouts_total"),
  decisions: counterOf("resilience_rate_limiter_decisions_total"),
  fallbacks: counterOf("resilience_fallbacks_total"),
  fallbackServed: counterOf("resilience_fallback_served_total"),
  hedges: counterOf("resilience_hedges_total"),
  hedgesRefused: counterOf("resilience_hedges_refused_total"),
  cacheRequests: counterOf("cache_requests_total"),
  letters: counterOf("dlq_messages_total"),
  redrives: counterOf("dlq_redrives_total"),
  evicted: counterOf("dlq_evicted_total"),
  healthStatus: gaugeOf("health_check_status"),
  healthDuration: histogramOf("health_check_duration_seconds"),
  ready: gaugeOf("health_ready"),
  pipeline: histogramOf("resilience_pipeline_duration_seconds"),
  attempt: histogramOf("resilience_attempt_duration_seconds"),
  failureRatio: gaugeOf("resilience_circuit_breaker_failure_ratio"),
  slowRatio: gaugeOf("resilience_circuit_breaker_slow_call_ratio"),
  limiterWaiting: gaugeOf("resilience_rate_limiter_waiting"),
  limiterWait: histogramOf("resilience_rate_limiter_wait_seconds"),
  authFailures: counterOf("auth_failures_total")
})

type Instruments = ReturnType<typeof instruments>

/** What must be remembered between signals. */
interface State {
  readonly circuits: Circuits
  readonly breakers: Known
  readonly bulkheads: Known
  readonly hedges: Known
  readonly retries: Known
}

/** A listener, and what has those series exist that can be named before anything happens. */
export const recorder = (): {
  readonly listen: Listener
  readonly declareIn: (registry: Metric.MetricRegistry) => void
} => {
  const all = instruments()
  const state: State = {
    circuits: new Circuits(),
    breakers: new Known([all.circuitCalls, all.circuitTransitions, all.circuitState]),
    bulkheads: new Known([all.bulkheadRejected]),
    hedges: new Known([all.hedges, all.hedgesRefused]),
    retries: new Known([all.retryCalls])
  }
  return {
    listen: (signal, fiber) => record(all, state, signal, fiber),
    declareIn: (registry) => Object.values(all).forEach((instrument) => instrument.familyIn(registry))
  }
}

/** Names that were seen, so that the quiet metrics of a policy exist from its first sign of life. */
class Known {
  private readonly instruments: ReadonlyArray<Instrument<NumberSeries>>
  private readonly seen = new WeakMap<Metric.MetricRegistry, Set<string>>()

  constructor(instruments: ReadonlyArray<Instrument<NumberSeries>>) {
    this.instruments = instruments
  }

  first(fiber: AnyFiber, name: string): boolean {
    const registry = fiber.getRef(Metric.MetricRegistry)
    let names = this.seen.get(registry)
    if (names === undefined) this.seen.set(registry, names = new Set())
    if (names.has(name) || names.size >= 10_000) return false
    names.add(name)
    for (const instrument of this.instruments) instrument.familyIn(registry).declare({ name })
    return true
  }
}

const record = (all: Instruments, state: State, signal: Signal, fiber: AnyFiber): void => {
  switch (signal._tag) {
    case "RetryScheduled":
      count(all.retryAttempts, fiber, { name: signal.name, reason: signal.failure.kind })
      return time(all.retryBackoff, fiber, { name: signal.name }, signal.delay)
    case "RetrySettled":
      state.retries.first(fiber, signal.name)
      return retrySettled(all, signal, fiber)
    case "BudgetExhausted":
      return count(all.budgetExhausted, fiber, { budget: signal.budget })
    case "DeadlinePassed":
      return count(all.timeouts, fiber, { scope: signal.scope })
    case "CircuitTransition": {
      const { from, key, name, to } = signal
      state.breakers.first(fiber, name)
      count(all.circuitTransitions, fiber, { name, from, to })
      return circuitIs(all, state, fiber, name, key, to)
    }
    case "CallPermitted":
    case "CallRejected": {
      const { key, name } = signal
      if (state.breakers.first(fiber, name)) circuitIs(all, state, fiber, name, key, signal.state)
      if (signal._tag === "CallPermitted") return
      return count(all.circuitCalls, fiber, {
        name,
        kind: signal.shadow ? "shadow_not_permitted" : "not_permitted"
      })
    }
    case "CallSettled": {
      const { name, outcome, slow } = signal
      if (slow) count(all.circuitCalls, fiber, { name, kind: "slow" })
      if (signal.failureRatio !== undefined) set(all.failureRatio, fiber, { name }, signal.failureRatio)
      if (signal.slowRatio !== undefined) set(all.slowRatio, fiber, { name }, signal.slowRatio)
      return count(all.circuitCalls, fiber, { name, kind: settledKinds[outcome] })
    }
    case "ConcurrencyDecided":
    case "ConcurrencyReleased":
      return concurrency(all, state, signal, fiber)
    case "LimitDecided":
      return count(all.decisions, fiber, { name: signal.policy, rule: signal.rule, decision: signal.decision })
    case "LimitWaited": {
      const { policy: name, waited } = signal
      change(all.limiterWaiting, fiber, { name }, waited === undefined ? 1 : -1)
      if (waited !== undefined) time(all.limiterWait, fiber, { name }, waited)
      return
    }
    case "PipelineSettled":
      return time(all.pipeline, fiber, { name: signal.name, outcome: signal.outcome }, signal.duration)
    case "AttemptSettled": {
      const { attempt, duration, name, outcome } = signal
      return time(all.attempt, fiber, { name, attempt: attempt > 3 ? "4+" : `${attempt}`, outcome }, duration)
    }
    case "AuthenticationFailed":
      return count(all.authFailures, fiber, { reason: signal.reason })
    case "FallbackServed": {
      const { chain, degraded, reason, route } = signal
      if (degraded) count(all.fallbacks, fiber, { chain, route, reason: reason ?? "none" })
      return count(all.fallbackServed, fiber, { chain, route, degraded: `${degraded}` })
    }
    case "Hedged": {
      const { launched, name, refused, winner } = signal
      state.hedges.first(fiber, name)
      if (refused === true) count(all.hedgesRefused, fiber, { name })
      if (launched === 0) return
      return count(all.hedges, fiber, {
        name,
        winner: winner === undefined ? "none" : winner === 0 ? "primary" : "hedge"
      })
    }
    case "CacheServed":
      return count(all.cacheRequests, fiber, { cache: signal.cache, result: signal.result })
    case "DeadLettered":
      return count(all.letters, fiber, { queue: signal.queue, kind: signal.kind })
    case "LetterRedriven":
      return count(all.redrives, fiber, { queue: signal.queue, outcome: signal.outcome })
    case "LetterEvicted":
      return count(all.evicted, fiber, { queue: signal.queue, reason: signal.reason })
    case "HealthChecked":
      time(all.healthDuration, fiber, { check: signal.check }, signal.duration)
      return set(all.healthStatus, fiber, { check: signal.check }, health[signal.state])
    case "HealthChanged":
      return set(all.healthStatus, fiber, { check: signal.check }, health[signal.to])
    case "ReadinessChanged":
      return set(all.ready, fiber, {}, Number(signal.ready))
  }
}

const settledKinds = { success: "successful", failure: "failed", ignored: "ignored" } as const

const health: { readonly [State in HealthState]: number } = { Healthy: 1, Degraded: 0.5, Failed: 0, Unknown: 0 }

const circuitIs = (
  all: Instruments,
  { circuits }: State,
  fiber: AnyFiber,
  name: string,
  key: string,
  to: CircuitState
): void => {
  for (const [state, circuitsInIt] of circuits.moved(name, key, to)) {
    set(all.circuitState, fiber, { name, state }, circuitsInIt)
  }
}

/** Interruption is no failure, and no success either. */
const retrySettled = (all: Instruments, { attempts, name, outcome }: RetrySettled, fiber: AnyFiber): void => {
  if (outcome === "interrupted") return
  const result = outcome === "success" ? "successful" : "failed"
  count(all.retryCalls, fiber, { name, kind: `${result}_${attempts > 1 ? "with" : "without"}_retry` })
}

const concurrency = (
  all: Instruments,
  state: State,
  signal: ConcurrencyDecided | ConcurrencyReleased,
  fiber: AnyFiber
): void => {
  const { inFlight, limit, name, policy, queued } = signal
  const rejected = signal._tag === "ConcurrencyDecided" && signal.decision === "rejected"
  const reason = (rejected ? signal.reason : undefined) ?? "unknown"
  switch (policy) {
    case "bulkhead":
      state.bulkheads.first(fiber, name)
      set(all.bulkheadActive, fiber, { name }, inFlight)
      set(all.bulkheadLimit, fiber, { name }, limit)
      set(all.bulkheadQueue, fiber, { name }, queued)
      if (rejected) return count(all.bulkheadRejected, fiber, { name, reason })
      if (signal._tag === "ConcurrencyDecided") time(all.bulkheadWait, fiber, { name }, signal.waited)
      return
    case "concurrencyLimit":
      set(all.limit, fiber, { name }, limit)
      set(all.limitActive, fiber, { name }, inFlight)
      if (rejected) count(all.limitRejected, fiber, { name, reason })
      return
    case "shedder":
      if (rejected) count(all.shed, fiber, { reason })
  }
}
