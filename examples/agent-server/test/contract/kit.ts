/**
 * The contract of the server, as rows: a sentence each, and what shows that it is so. All rows of a subject are told to the same
 * process, one after the other; each leaves the server as it found it.
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import { copyFileSync } from "node:fs"
import { join } from "node:path"
import type { Environment } from "../../src/storm/instance.ts"
import { request } from "../support/client.ts"
import { adminKey, type RunningServer, start, temporaryFolder, unlimitedKey } from "../support/server.ts"
import { until } from "../support/until.ts"

/** The server that the rows are about, and how others like it are started. */
export class Subject extends Context.Service<Subject, {
  readonly server: RunningServer
  /** What is in the environment of every server of this kind. */
  readonly environment: Environment
  /** Whether others see what this one stores and counts. */
  readonly isShared: boolean
}>()("agent-server/test/contract/Subject") {}

/** What a row does. It fails by throwing, as expectations do. */
type Row = Effect.Effect<void, never, Subject | Scope.Scope>

/** A section of the contract: its sentences with their rows. */
export type Section = Readonly<Record<string, Row>>

/** The keys of the subject, of every tier. */
export const keys = { free: "contract-key-free", standard: "contract-key-standard", unlimited: unlimitedKey } as const

const apiKeys = Object.entries(keys).map(([tier, key]) => `${tier}-caller:${key}:${tier}`).join(",")

/** A server that has asked all of its dependencies how they are, and may be asked itself. */
export const startReady = (
  folder: string,
  environment: Environment
): Effect.Effect<RunningServer, never, Scope.Scope> =>
  Effect.tap(
    start(folder, environment),
    (server) => until(request(server, "/health/ready"), ({ status }) => status === 200)
  )

/** A server with this environment. It asks its dependencies once, so that none is asked just while a row has broken it. */
export const subject = <E, R>(
  environment: Effect.Effect<Environment, E, R>
): Layer.Layer<Subject, E, Exclude<R, Scope.Scope>> =>
  Layer.effect(Subject)(Effect.gen(function*() {
    const given = yield* environment
    const folder = yield* temporaryFolder
    // A copy: what rows put in its place is kept there.
    const file = join(folder, "policies.yaml")
    copyFileSync(new URL("../../policies.yaml", import.meta.url), file)
    const server = yield* startReady(folder, {
      API_KEYS: apiKeys,
      HEALTH_INTERVAL: "1 hour",
      POLICIES: file,
      ...given
    })
    return { server, environment: given, isShared: given["DATABASE_URL"] !== undefined }
  }))

/** The operator's key, as every row sends it. */
export const operator = { "x-api-key": adminKey }
