/** The states of all that was declared, in one place: every probe is answered from here, and nothing here waits. */
import type * as Fiber from "effect/Fiber"
import * as Latch from "effect/Latch"
import type { Change, CheckReport, Report, Verdict } from "../../HealthProbes.ts"
import * as Signal from "../../Signal.ts"
import { monotonicMillis } from "../monotonic.ts"
import * as Hysteresis from "./hysteresis.ts"
import { isDown, statusOf } from "./verdict.ts"

type AnyFiber = Fiber.Fiber<unknown, unknown>

/** What the latest results said. */
export type Facts = Pick<
  CheckReport,
  "lastCheck" | "lastSuccess" | "lastFailure" | "lastError" | "latency" | "detail"
>

/** One check, heartbeat or condition, as it stands. */
export class Entry {
  readonly kind: CheckReport["kind"]
  readonly name: string
  readonly url: string | undefined
  readonly critical: boolean
  readonly groups: ReadonlyArray<string>
  standing = Hysteresis.unknown
  facts: Facts = {}

  constructor(entry: Pick<Entry, "critical" | "groups" | "kind" | "name"> & { readonly url?: string | undefined }) {
    this.kind = entry.kind
    this.name = entry.name
    this.url = entry.url
    this.critical = entry.critical
    this.groups = entry.groups
  }

  report(): CheckReport {
    const { critical, facts, groups, kind, name, standing, url } = this
    const where = url === undefined ? undefined : { url }
    return { kind, name, ...where, state: standing.state, critical, groups, failures: standing.failures, ...facts }
  }
}

/** A result of a check that began before it was reset says nothing about it any more: `generation` tells. */
export class CheckEntry extends Entry {
  generation = 0
  /** Opened to have the check run before its time. */
  readonly wake = Latch.makeUnsafe(false)
}

export class ConditionEntry extends Entry {
  meet(board: Board, fiber: AnyFiber, met: boolean): void {
    board.move(
      this,
      fiber,
      met ? { state: "Healthy", failures: 0, successes: 1, confirmed: true } : Hysteresis.unknown
    )
  }
}

const alive: Hysteresis.Standing = { state: "Healthy", failures: 0, successes: 1, confirmed: true }
const lifeless: Hysteresis.Standing = { state: "Failed", failures: 1, successes: 0, confirmed: true }

export class HeartbeatEntry extends Entry {
  override standing = alive
  readonly withinMillis: number
  /** When it last beat; `Infinity` while it rests. */
  private last: number

  constructor(name: string, withinMillis: number, fiber: AnyFiber) {
    super({ kind: "heartbeat", name, critical: true, groups: ["live"] })
    this.withinMillis = withinMillis
    this.last = monotonicMillis(fiber)
  }

  beat(board: Board, fiber: AnyFiber, resting: boolean): void {
    this.last = resting ? Infinity : monotonicMillis(fiber)
    if (this.standing !== alive) board.move(this, fiber, alive)
  }

  /** Brings it up to date: that it has stopped follows from the time alone. */
  check(board: Board, fiber: AnyFiber): void {
    if (this.standing === alive && this.dueIn(fiber) <= 0) board.move(this, fiber, lifeless)
  }

  /** Milliseconds until it has to beat; `Infinity` while it rests. */
  dueIn(fiber: AnyFiber): number {
    return this.last + this.withinMillis - monotonicMillis(fiber)
  }
}

export class Board {
  readonly entries: ReadonlyMap<string, Entry>
  /** Open while the program is ready. */
  readonly ready = Latch.makeUnsafe(false)
  draining = false
  private started = false
  private told: boolean | undefined
  private readonly onChange: (change: Change, entry: Entry) => void

  constructor(
    entries: ReadonlyMap<string, Entry>,
    onChange: (change: Change, entry: Entry) => void,
    fiber: AnyFiber
  ) {
    this.entries = entries
    this.onChange = onChange
    this.settle(fiber)
  }

  /** Every change of a standing comes through here, and is told once. */
  move(entry: Entry, fiber: AnyFiber, standing: Hysteresis.Standing): void {
    const from = entry.standing.state
    const to = standing.state
    entry.standing = standing
    if (from !== to) {
      const change = { check: entry.name, from, to }
      this.onChange(change, entry)
      Signal.emitUnsafe(fiber, () => ({ _tag: "HealthChanged", ...change }))
    }
    this.settle(fiber)
  }

  drain(fiber: AnyFiber): void {
    this.draining = true
    this.settle(fiber)
  }

  group(name: string): Verdict {
    return this.verdict(({ groups }) => groups.includes(name))
  }

  startup(): Verdict {
    const verdict = this.group("startup")
    return !this.started || verdict.ok ? verdict : { ...verdict, ok: true, status: "degraded", down: [] }
  }

  readiness(): Verdict {
    const verdict = this.verdict(this.matters)
    return this.draining ? { ...verdict, ok: false, status: "unhealthy", draining: true } : verdict
  }

  report(): Report {
    return { ...this.verdict(() => true), draining: this.draining, started: this.started }
  }

  /** Forgets what is known about a check, and has it run at once. */
  reset(entry: CheckEntry, fiber: AnyFiber): void {
    entry.generation++
    entry.wake.openUnsafe()
    this.move(entry, fiber, Hysteresis.unknown)
  }

  /** What was needed to start is asked for until it was there once. */
  private readonly matters = ({ groups }: Entry): boolean =>
    groups.includes("ready") || (!this.started && groups.includes("startup"))

  private settle(fiber: AnyFiber): void {
    const all = [...this.entries.values()]
    if (!this.started) {
      this.started = !all.some((entry) => entry.groups.includes("startup") && isDown(judged(entry)))
    }
    const ready = !this.draining && !all.some((entry) => this.matters(entry) && isDown(judged(entry)))
    if (ready === this.told) return
    this.told = ready
    if (ready) this.ready.openUnsafe()
    else this.ready.closeUnsafe()
    Signal.emitUnsafe(fiber, () => ({ _tag: "ReadinessChanged", ready, draining: this.draining }))
  }

  private verdict(which: (entry: Entry) => boolean): Verdict {
    const entries = [...this.entries.values()].filter(which)
    const status = statusOf(entries.map(judged))
    return {
      ok: status !== "unhealthy",
      status,
      down: entries.filter((entry) => isDown(judged(entry))).map(({ name }) => name),
      draining: false,
      checks: entries.map((entry) => entry.report())
    }
  }
}

const judged = ({ critical, standing: { confirmed, state } }: Entry) => ({ critical, confirmed, state })
