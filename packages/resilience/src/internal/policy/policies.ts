/** The named policies of a document, and the documents that follow it. */
import * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import * as PubSub from "effect/PubSub"
import * as Result from "effect/Result"
import * as Scope from "effect/Scope"
import * as Semaphore from "effect/Semaphore"
import * as Stream from "effect/Stream"
import type * as ResponseCache from "../../ResponseCache.ts"
import * as Signal from "../../Signal.ts"
import * as Document from "./document.ts"
import { type Bindings, check, type Checked, Entry, type Rooms } from "./entry.ts"
import { format, PolicyDocumentInvalid, PolicyNotFound, type Problem } from "./errors.ts"
import type { Warning } from "./lint.ts"
import { typed } from "./policy.ts"
import type { Change, Current, Policies, PolicyFromData } from "./service.ts"
import type { OnRoute } from "./stages.ts"

/** A reader of the changes that is slower than this loses the oldest ones. */
const changesKept = 64

/** Policies that are in no document any more, whose state is kept. */
const goneKept = 100

export interface Settings {
  readonly bindings: Bindings
  readonly maxSize: number
}

export type Needs = Rooms | ResponseCache.ResponseCacheStore

/** Checks a text against what runs now. Nothing is changed by that. */
type Examined = Result.Result<ReadonlyArray<Checked>, ReadonlyArray<Problem>>

export class Registry {
  private readonly entries = new Map<string, Entry>()
  private readonly settings: Settings
  private readonly scope: Scope.Scope
  private readonly hub: PubSub.PubSub<Change>
  /** One document at a time. */
  private readonly turn = Semaphore.makeUnsafe(1)
  private now: Current = {
    version: 0,
    source: "",
    text: "",
    names: [],
    loadedAt: DateTime.makeUnsafe(0),
    refused: undefined
  }
  private names: ReadonlyArray<string> = []

  constructor(settings: Settings, scope: Scope.Scope, hub: PubSub.PubSub<Change>) {
    this.settings = settings
    this.scope = scope
    this.hub = hub
  }

  get current(): Current {
    return this.now
  }

  private examine(text: string): Examined {
    const { document, problems } = Document.parse(text, this.settings.maxSize)
    const found = [...problems]
    const checked = Object.entries(document.policies).map(([name, config]) => {
      const one = check(name, config, this.settings.bindings, this.entries.get(name)?.config)
      found.push(...one.problems)
      return one.checked
    })
    return found.length === 0 ? Result.succeed(checked) : Result.fail(found)
  }

  check(source: string, text: string): Effect.Effect<ReadonlyArray<string>, PolicyDocumentInvalid> {
    return Effect.suspend(() => {
      const examined = this.examine(text)
      return Result.isFailure(examined)
        ? Effect.fail(invalid(source, examined.failure))
        : Effect.succeed(examined.success.map(({ name }) => name))
    })
  }

  /** All of a document or nothing of it. It cannot be interrupted half-way. */
  replace(source: string, text: string): Effect.Effect<Change, PolicyDocumentInvalid, Needs> {
    const whole = Effect.suspend(() => {
      const examined = this.examine(text)
      if (Result.isFailure(examined)) return this.refuse(invalid(source, examined.failure))
      return this.take(source, text, examined.success)
    })
    return this.turn.withPermit(Effect.uninterruptible(whole))
  }

  /** A document that could not even be read is refused like any other. */
  refuse(error: PolicyDocumentInvalid): Effect.Effect<never, PolicyDocumentInvalid> {
    return Effect.withFiber((fiber) => {
      const { problems, source } = error
      const told = problems.map(format)
      this.now = { ...this.now, refused: error }
      Signal.emitUnsafe(fiber, () => ({ _tag: "PoliciesReloaded", source, outcome: "refused", problems: told }))
      return Effect.fail(error)
    })
  }

  private take(source: string, text: string, checked: ReadonlyArray<Checked>): Effect.Effect<Change, never, Needs> {
    return Effect.gen({ self: this }, function*() {
      const before = new Map(this.names.map((name) => [name, JSON.stringify(this.entries.get(name)?.config)]))
      for (const one of checked) {
        let entry = this.entries.get(one.name)
        if (entry === undefined) {
          entry = new Entry(one.name, yield* Scope.fork(this.scope))
          this.entries.set(one.name, entry)
        }
        yield* entry.apply(one, this.settings.bindings, this.onRoute)
      }
      this.names = checked.map(({ name }) => name)
      yield* this.forget()
      this.now = {
        version: this.now.version + 1,
        source,
        text,
        names: this.names,
        loadedAt: yield* DateTime.now,
        refused: undefined
      }
      const change = { version: this.now.version, source, ...difference(before, checked) }
      yield* PubSub.publish(this.hub, change)
      yield* Signal.emit({ _tag: "PoliciesReloaded", source, outcome: "applied", problems: [] })
      return change
    })
  }

  /** A policy that went may come back and finds its state then, unless many others have gone since. */
  private forget(): Effect.Effect<void> {
    const gone = [...this.entries.keys()].filter((name) => !this.names.includes(name))
    return Effect.forEach(gone.slice(0, Math.max(0, gone.length - goneKept)), (name) => {
      // The names are those of the entries.
      const entry = this.entries.get(name)!
      this.entries.delete(name)
      return entry.close
    }, { discard: true })
  }

  /** A route is another policy of the document. A call that began before that one went ends on it. */
  private readonly onRoute: OnRoute = (route, self, { idempotent, options }) =>
    this.entries.get(route)?.composed?.run(self, { ...options, idempotent }) ?? self

  get(name: string): Effect.Effect<PolicyFromData, PolicyNotFound> {
    return Effect.suspend(() => {
      const composed = this.names.includes(name) ? this.entries.get(name)?.composed : undefined
      return composed === undefined
        ? Effect.fail(new PolicyNotFound({ name, names: this.names }))
        // What is made from data has the types of all that data may say.
        : Effect.succeed(typed(composed) as PolicyFromData)
    })
  }

  /** Those of the document that is in force: each has an entry, which was composed when it was taken over. */
  private all() {
    return this.names.map((name) => this.entries.get(name)!.composed!)
  }

  service(
    needs: (self: Effect.Effect<Change, PolicyDocumentInvalid, Needs>) => ReturnType<Policies["replace"]>
  ): Policies {
    return {
      get: (name) => this.get(name),
      run: (name, self, options) => Effect.flatMap(this.get(name), (policy) => policy.run(self, options)),
      current: Effect.sync(() => this.now),
      replace: (text, options) => needs(this.replace(options?.source ?? "replace", text)),
      refuse: (error) => this.refuse(error),
      check: (text, options) => this.check(options?.source ?? "check", text),
      changes: Stream.fromPubSub(this.hub),
      explain: Effect.sync(() => this.all().map(({ explain }) => explain).join("\n\n")),
      lint: Effect.sync(() =>
        this.all().flatMap(({ lint, name }) =>
          lint.map((warning): Warning => ({ ...warning, at: `policies.${name}.${warning.at}` }))
        )
      )
    }
  }
}

/** `before`: the configurations of before, as text. */
const difference = (
  before: ReadonlyMap<string, string>,
  checked: ReadonlyArray<Checked>
): Pick<Change, "added" | "removed" | "changed"> => {
  const now = new Map(checked.map(({ config, name }) => [name, JSON.stringify(config)]))
  return {
    added: [...now.keys()].filter((name) => !before.has(name)),
    removed: [...before.keys()].filter((name) => !now.has(name)),
    changed: [...now.keys()].filter((name) => before.has(name) && before.get(name) !== now.get(name))
  }
}

const invalid = (source: string, problems: ReadonlyArray<Problem>) => new PolicyDocumentInvalid({ source, problems })

export const make = (settings: Settings): Effect.Effect<Registry, never, Scope.Scope> =>
  Effect.gen(function*() {
    const scope = yield* Effect.scope
    const hub = yield* Effect.acquireRelease(PubSub.sliding<Change>(changesKept), PubSub.shutdown)
    return new Registry(settings, scope, hub)
  })
