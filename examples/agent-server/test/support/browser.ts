/** A real browser, as the console's users have one. */
import * as RealServer from "@effect-resilience/testing/RealServer"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { type Browser, type BrowserContextOptions, chromium, type Page } from "playwright-core"
import type { RunningServer } from "./server.ts"

/** The one on `PATH`. As root Chromium runs without its sandbox only, and a container may have no shared memory for it. */
export const launch = (): Promise<Browser> => {
  const executablePath = RealServer.find("chromium")
  if (executablePath === undefined) throw new Error("chromium is not on PATH")
  return chromium.launch({ executablePath, args: ["--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu"] })
}

/** A page, and what its console complained about. */
export interface Opened {
  readonly page: Page
  readonly complaints: ReadonlyArray<string>
}

/** The console of a server in a browser that knows nothing yet. Nothing is waited for longer than 20 seconds. */
export const open = (
  browser: Browser,
  server: RunningServer,
  options: BrowserContextOptions = {}
): Effect.Effect<Opened, never, Scope.Scope> =>
  Effect.gen(function*() {
    const context = yield* Effect.acquireRelease(
      Effect.promise(() => browser.newContext({ baseURL: server.origin, ...options })),
      (context) => Effect.promise(() => context.close())
    )
    context.setDefaultTimeout(20_000)
    const complaints: Array<string> = []
    const page = yield* Effect.promise(() => context.newPage())
    page.on("console", (message) => {
      if (message.type() === "error" || message.type() === "warning") complaints.push(message.text())
    })
    page.on("pageerror", (error) => complaints.push(String(error)))
    yield* Effect.promise(() => page.goto("/"))
    return { page, complaints }
  })
