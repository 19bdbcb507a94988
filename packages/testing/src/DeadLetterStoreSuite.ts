/**
 * One contract for every `DeadLetterStore`, as tests.
 *
 * Registers, with `@effect/vitest`, what the dead letter queue relies on: what is written comes back as it was, a write is
 * whole or absent however it ends, only the expected version is replaced, of many that try at once one does, numbers
 * become visible in order, and pages, counts and groups say what a look at every row would.
 *
 * The tests run against the real clock and share one store. Each uses queues of its own.
 *
 * **Example** (Testing a store)
 *
 * ```ts no-run
 * import * as DeadLetterStoreSuite from "@effect-resilience/testing/DeadLetterStoreSuite"
 * import * as DeadLetterQueue from "effect-resilience/DeadLetterQueue"
 *
 * DeadLetterStoreSuite.deadLetterStoreSuite("in memory", DeadLetterQueue.layerStoreMemory)
 * ```
 *
 * @since 0.1.0
 */
import { describe, it as plain, layer as provide } from "@effect/vitest"
import type { DeadLetterStore } from "effect-resilience/DeadLetterQueue"
import type * as Layer from "effect/Layer"
import { contractTests } from "./internal/deadLetterStoreSuite/contract.ts"
import { type Faults, faultTest } from "./internal/deadLetterStoreSuite/faults.ts"
import { queryTests } from "./internal/deadLetterStoreSuite/queries.ts"

export type { Faults } from "./internal/deadLetterStoreSuite/faults.ts"

/**
 * What the suite can be told beside the store.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options<E> {
  /**
   * The same store over I/O that fails when it is told to. With it the test that fails each I/O in turn runs: an
   * acknowledged write is there, one that failed is there as a whole or not at all, and the store goes on working.
   */
  readonly faulty?: ((faults: Faults) => Layer.Layer<DeadLetterStore, E>) | undefined
}

/**
 * Registers the suite under `name` for the store that `layer` provides.
 *
 * @category suites
 * @since 0.1.0
 */
export const deadLetterStoreSuite = <E, E2 = never>(
  name: string,
  layer: Layer.Layer<DeadLetterStore, E>,
  options?: Options<E2>
): void => {
  describe(name, () => {
    provide(layer, { excludeTestServices: true })((it) => {
      describe("operations", () => contractTests(it))
      describe("queries", () => queryTests(it))
    })
    const { faulty } = options ?? {}
    if (faulty !== undefined) {
      plain.live("any I/O may fail: each write is there as a whole or not at all", () => faultTest(faulty), 120_000)
    }
  })
}
