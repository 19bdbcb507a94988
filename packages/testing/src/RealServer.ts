/**
 * Suites that need a program which may not be installed.
 *
 * They say so in their name. Where the program is missing they are skipped, and the test run says at its end how many tests that
 * were and how to install it; with `CI=true` it fails instead. A skip is never silent.
 *
 * @since 0.1.0
 */
import type * as Effect from "effect/Effect"
import { accessSync, constants } from "node:fs"
import { delimiter, join } from "node:path"
import { describe as suite } from "vitest"
import { freePort as anyFreePort } from "./internal/freePort.ts"

/**
 * The file of a program that is on `PATH`, or `undefined`.
 *
 * @category accessors
 * @since 0.1.0
 */
export const find = (program: string): string | undefined =>
  (process.env["PATH"] ?? "").split(delimiter).map((folder) => join(folder, program)).find((file) => {
    try {
      accessSync(file, constants.X_OK)
      return true
    } catch {
      return false
    }
  })

/**
 * Whether a program is on `PATH`.
 *
 * @category accessors
 * @since 0.1.0
 */
export const isInstalled = (program: string): boolean => find(program) !== undefined

/**
 * What the name of a suite that needs a program ends with.
 *
 * @category accessors
 * @since 0.1.0
 */
export const mark = (program: string): string => `[needs ${program}]`

/**
 * `describe` of vitest, for tests that need a program.
 *
 * @category suites
 * @since 0.1.0
 */
export const describe = (program: string, name: string, tests: () => void): void => {
  const marked = `${name} ${mark(program)}`
  if (isInstalled(program)) suite(marked, tests)
  // oxlint-disable-next-line vitest/no-disabled-tests -- counted and told by the run's reporter
  else suite.skip(marked, tests)
}

/**
 * A port of the loopback interface that nobody listens on, for a server that has to be told one.
 *
 * @category accessors
 * @since 0.1.0
 */
export const freePort: Effect.Effect<number> = anyFreePort
