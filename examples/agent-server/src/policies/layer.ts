/** The policies of the server's settings: the document that they name, followed as long as the server runs. */
import type * as CircuitBreaker from "effect-resilience/CircuitBreaker"
import type * as RateLimiter from "effect-resilience/RateLimiter"
import type * as FileSystem from "effect/FileSystem"
import type * as Layer from "effect/Layer"
import * as Schedule from "effect/Schedule"
import type { Settings } from "../config.ts"
import { providersOf } from "../providers/languageModel.ts"
import type { CannotStart } from "../startup/CannotStart.ts"
import * as Policies from "./Policies.ts"

/** A look costs next to nothing, and a second is not long to wait for somebody who has just saved the file. */
const reload = Schedule.spaced("1 second")

/** Provides them. */
export const layer = (
  { overrides, policiesFile, provider }: Pick<Settings["Service"], "overrides" | "policiesFile" | "provider">
): Layer.Layer<
  Policies.Policies,
  CannotStart,
  FileSystem.FileSystem | CircuitBreaker.CircuitBreakerStore | RateLimiter.RateLimiter
> => Policies.layer({ path: policiesFile, reload, kind: provider._tag, models: providersOf(provider), overrides })
