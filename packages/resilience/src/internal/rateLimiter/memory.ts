/** The store in this process: decides at once, in one turn, so nothing comes between. */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import type * as Fiber from "effect/Fiber"
import * as Latch from "effect/Latch"
import * as Layer from "effect/Layer"
import { withoutStack } from "../withoutStack.ts"
import * as Algorithms from "./algorithms.ts"
import { decide } from "./decide.ts"
import { RateLimiterStoreError } from "./errors.ts"
import type { Shape } from "./shape.ts"
import {
  type Command,
  type Entry,
  RateLimiterStore,
  type Reply,
  type Request,
  type Settlement,
  type Subject
} from "./store.ts"
import { Table } from "./tables.ts"

/** How many keys are swept before other fibers have their turn. */
const sweepChunk = 20_000

const noBlocks: ReadonlyArray<number> = []

export class Memory {
  private readonly capacity: number
  private readonly tables = new Map<string, Table>()
  private readonly blocks = new Map<string, number>()
  /** Open while there is anything to sweep. */
  private readonly occupied = Latch.makeUnsafe(false)
  private clock: Clock.Clock | undefined
  private base = 0

  constructor(capacity: number) {
    this.capacity = capacity
  }

  /** Wall time of when the clock was first read, and from then on monotonic: windows by the clock fit, and steps of it change nothing. */
  now(fiber: Fiber.Fiber<unknown, unknown>): number {
    const clock = fiber.getRef(Clock.Clock)
    const monotonic = Number(clock.monotonicTimeNanosUnsafe()) / 1_000_000
    if (clock !== this.clock) {
      this.clock = clock
      this.base = clock.currentTimeMillisUnsafe() - monotonic
    }
    return Math.floor(this.base + monotonic)
  }

  decide(fiber: Fiber.Fiber<unknown, unknown>, request: Request): Reply | RateLimiterStoreError {
    const { entries, hold, peek, subjects } = request
    const now = this.now(fiber)
    if (entries.length === 1 && !peek && this.blocks.size === 0) {
      const reply = this.decideOne(entries[0]!, now)
      if (reply !== undefined) return reply
    }
    const tables = entries.map((entry) => this.table(entry.table, entry.shape))
    const cells = entries.map((entry, index) => tables[index]!.cell(entry.key, now))
    const blocked = this.blocks.size === 0 ? noBlocks : subjects.map((subject) => this.blockedFor(subject, now))
    const isBlocked = blocked.some((millis) => millis > 0)
    if (!peek && !isBlocked) {
      let fresh = 0
      for (const cell of cells) if (cell.state === undefined) fresh++
      if (fresh > 0 && !this.makeRoom(fresh, tables, now)) return full()
    }
    const { allowed, outcomes, writes } = decide(
      entries,
      cells,
      now,
      peek || isBlocked ? "peek" : (index) => entries[index]!.lease === undefined ? "charge" : "hold"
    )
    if (allowed && !peek && !isBlocked) {
      for (let index = 0; index < entries.length; index++) {
        const { cost, key, lease } = entries[index]!
        const write = writes[index]
        if (write !== undefined) tables[index]!.states.set(key, write)
        else if (lease !== undefined && outcomes[index]!.wait === 0 && cost > 0) {
          tables[index]!.hold(key).add(hold, cost, now + lease)
        }
      }
      this.occupied.openUnsafe()
    }
    return { allowed: allowed && !isBlocked, outcomes, blocked }
  }

  /** What `decide` does, for the request that nearly all are: one rule of a key, nothing held. `undefined`: it is another one. */
  private decideOne({ cost, key, lease, shadow, shape, table: name }: Entry, now: number): Reply | undefined {
    const table = this.table(name, shape)
    if (lease !== undefined || table.holds.size > 0) return undefined
    const found = table.states.get(key)
    if (found === undefined && this.size >= this.capacity) return undefined
    let state = Algorithms.advance(shape, found, now)
    const wait = Algorithms.wait(shape, state, cost, 0, now)
    const delay = wait === 0 ? Algorithms.delay(shape, state, cost, 0, now) : 0
    if (wait === 0 && cost > 0) {
      state = Algorithms.charge(shape, state, cost, now)
      table.states.set(key, state)
      if (found === undefined) this.occupied.openUnsafe()
    }
    const remaining = Algorithms.remaining(shape, state, 0)
    const reset = Algorithms.reset(shape, state, now)
    return { allowed: wait === 0 || shadow, outcomes: [{ wait, delay, remaining, reset, held: 0 }], blocked: noBlocks }
  }

  settle(fiber: Fiber.Fiber<unknown, unknown>, { entries, force, hold, renew }: Settlement): boolean {
    const now = this.now(fiber)
    let all = true
    for (const { charge, key, shape, table: name } of entries) {
      const table = this.tables.get(name)
      const holds = table?.holds.get(key)
      holds?.drop(now)
      if (renew !== undefined) {
        if (holds?.renew(hold, now + renew) !== true) all = false
        continue
      }
      const held = holds?.remove(hold) === true
      if (holds?.size === 0) table!.holds.delete(key)
      if (!held) all = false
      if (charge === 0 || !held && !force) continue
      const target = table ?? this.table(name, shape)
      const state = Algorithms.advance(shape, target.states.get(key), now)
      target.states.set(key, Algorithms.charge(shape, state, charge, now))
      this.occupied.openUnsafe()
    }
    return all
  }

  command(fiber: Fiber.Fiber<unknown, unknown>, command: Command): void {
    const block = blockOf(command.subject)
    switch (command._tag) {
      case "Reset":
        this.blocks.delete(block)
        for (const { key, table } of command.places) {
          this.tables.get(table)?.states.delete(key)
          this.tables.get(table)?.holds.delete(key)
        }
        return
      case "Block":
        if (command.millis > 0) {
          this.blocks.set(block, this.now(fiber) + command.millis)
          this.occupied.openUnsafe()
        } else this.blocks.delete(block)
    }
  }

  /** How many keys of rules are kept. */
  get size(): number {
    let size = 0
    for (const { states } of this.tables.values()) size += states.size
    return size
  }

  /** Forgets what is over, for as long as the store lives. Sleeps without an end while there is nothing. */
  get sweeping(): Effect.Effect<never> {
    return Effect.forever(Effect.gen({ self: this }, function*() {
      yield* this.occupied.await
      let rest = 60_000
      for (const table of this.tables.values()) if (table.states.size > 0) rest = Math.min(rest, table.rest)
      yield* Effect.sleep(rest)
      yield* this.sweepOnce
    }))
  }

  get sweepOnce(): Effect.Effect<void> {
    return Effect.gen({ self: this }, function*() {
      const now = yield* Effect.withFiber((fiber) => Effect.succeed(this.now(fiber)))
      for (const table of this.tables.values()) {
        if (now - table.swept >= table.rest) {
          table.swept = now
          const cursor = table.states.entries()
          while (table.sweep(cursor, sweepChunk, now)) yield* Effect.yieldNow
        }
        table.sweepHolds(now)
      }
      for (const [block, until] of this.blocks) if (until <= now) this.blocks.delete(block)
      const holds = [...this.tables.values()].some((table) => table.holds.size > 0)
      if (this.size === 0 && this.blocks.size === 0 && !holds) this.occupied.closeUnsafe()
    })
  }

  private table(name: string, shape: Shape): Table {
    let table = this.tables.get(name)
    if (table === undefined) this.tables.set(name, table = new Table(shape))
    else table.shape = shape
    return table
  }

  private blockedFor(subject: Subject, now: number): number {
    return Math.max(0, (this.blocks.get(blockOf(subject)) ?? now) - now)
  }

  private makeRoom(fresh: number, preferred: ReadonlyArray<Table>, now: number): boolean {
    let excess = this.size + fresh - this.capacity
    if (excess <= 0) return true
    for (const table of [...preferred, ...this.tables.values()]) {
      while (excess > 0 && table.evict(now)) excess--
      if (excess <= 0) return true
    }
    return false
  }
}

const blockOf = ({ key, policy }: Subject): string => `${policy.length}:${policy}${key}`

const full = () =>
  withoutStack(() =>
    new RateLimiterStoreError({
      operation: "decide",
      cause: new Error("The store is full of keys that are exhausted; letting one go would unblock it")
    })
  )

export const layer = (capacity: number): Layer.Layer<RateLimiterStore> =>
  Layer.effect(
    RateLimiterStore,
    Effect.gen(function*() {
      const memory = new Memory(capacity)
      yield* Effect.forkScoped(memory.sweeping)
      const decideUnsafe = (fiber: Fiber.Fiber<unknown, unknown>, request: Request) => memory.decide(fiber, request)
      return RateLimiterStore.of({
        decide: (request) =>
          Effect.withFiber((fiber) => {
            const reply = decideUnsafe(fiber, request)
            return reply instanceof RateLimiterStoreError ? Effect.fail(reply) : Effect.succeed(reply)
          }),
        decideUnsafe,
        settle: (settlement) => Effect.withFiber((fiber) => Effect.succeed(memory.settle(fiber, settlement))),
        command: (command) =>
          Effect.withFiber((fiber) => {
            memory.command(fiber, command)
            return Effect.void
          })
      })
    })
  )
