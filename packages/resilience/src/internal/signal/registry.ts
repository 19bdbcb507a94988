/**
 * Where listeners are kept: a chain of registries, one for each layer build that added any, ending in one for the
 * process. A fiber sees the registry of its context and, through it, all enclosing ones.
 */
import * as Context from "effect/Context"
import type * as Fiber from "effect/Fiber"
import type * as Layer from "effect/Layer"
import type { Listener, Signal } from "../../Signal.ts"

export type OnListenerError = (
  error: unknown,
  listener: Listener,
  fiber: Fiber.Fiber<unknown, unknown>
) => void

export class Registry {
  readonly parent: Registry | undefined
  /** Replaced, never changed in place: a listener may add or remove listeners while it is called. */
  private listeners: ReadonlyArray<Listener> = []
  /** How often each was added; a listener that was added twice is called once. */
  private readonly counts = new Map<Listener, number>()

  constructor(parent: Registry | undefined) {
    this.parent = parent
  }

  isHeard(): boolean {
    return this.listeners.length > 0 || (this.parent !== undefined && this.parent.isHeard())
  }

  add(listener: Listener): void {
    const count = this.counts.get(listener) ?? 0
    this.counts.set(listener, count + 1)
    if (count === 0) this.listeners = [...this.listeners, listener]
  }

  remove(listener: Listener): void {
    const count = this.counts.get(listener) ?? 0
    if (count > 1) {
      this.counts.set(listener, count - 1)
      return
    }
    this.counts.delete(listener)
    this.listeners = this.listeners.filter((other) => other !== listener)
  }

  notify(signal: Signal, fiber: Fiber.Fiber<unknown, unknown>, onError: OnListenerError): void {
    for (const listener of this.listeners) {
      try {
        listener(signal, fiber)
      } catch (error) {
        onError(error, listener, fiber)
      }
    }
    if (this.parent !== undefined) this.parent.notify(signal, fiber, onError)
  }
}

const forProcess = new Registry(undefined)

/** The registry that a fiber's signals go to. */
export const CurrentRegistry = Context.Reference<Registry>("effect-resilience/Signal/CurrentRegistry", {
  defaultValue: () => forProcess
})

const built = new WeakMap<Layer.MemoMap, WeakMap<Registry, Registry>>()

/**
 * The registry for the listeners that one layer build adds below `parent`. Every build has a memo map of its own, so
 * layers that are merged share a registry (else the last would replace the others in the merged context), and builds
 * that run side by side do not.
 */
export const registryFor = (memoMap: Layer.MemoMap, parent: Registry): Registry => {
  let byParent = built.get(memoMap)
  if (byParent === undefined) {
    byParent = new WeakMap()
    built.set(memoMap, byParent)
  }
  let registry = byParent.get(parent)
  if (registry === undefined) {
    registry = new Registry(parent)
    byParent.set(parent, registry)
  }
  return registry
}
