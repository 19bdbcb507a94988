/**
 * `GET /`: the console, and the files it consists of.
 *
 * There is no build: its modules are the TypeScript of `console/`, and browsers get them with the types taken out. All of it
 * is in memory from the start, from this server alone, and allowed to load nothing from elsewhere.
 */
import * as Effect from "effect/Effect"
import * as HttpRouter from "effect/http/HttpRouter"
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import * as Layer from "effect/Layer"
import { readdirSync, readFileSync } from "node:fs"
import { stripTypeScriptTypes } from "node:module"
import { extname } from "node:path"
import { agents } from "../agents/Agents.ts"
import type { Facts } from "../console/wire.ts"
import type { Route } from "../http/Routes.ts"
import * as Limits from "../limits/limits.ts"
import { Policies } from "../policies.ts"
import { modelProviders } from "../policies/document.ts"
import type { Provider } from "../providers/settings.ts"

/** No script, no style and no request but this server's own; and nobody's text becomes HTML, whatever a module may try. */
const policy = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "img-src 'self'",
  "connect-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
  "require-trusted-types-for 'script'",
  "trusted-types 'none'"
].join("; ")

const headers = {
  "content-security-policy": policy,
  "cross-origin-opener-policy": "same-origin",
  "cross-origin-resource-policy": "same-origin",
  "referrer-policy": "no-referrer",
  "x-content-type-options": "nosniff",
  // A new release must not meet modules of the one before.
  "cache-control": "no-cache"
}

const folder = new URL("../console/", import.meta.url)

const contentTypes: Readonly<Record<string, string>> = {
  ".html": "text/html; charset=utf-8",
  ".css": "text/css; charset=utf-8",
  ".svg": "image/svg+xml",
  ".ts": "text/javascript; charset=utf-8"
}

/** Node says once that the function is new. The operator of a server can do nothing about that. */
const quietly = <A>(run: () => A): A => {
  const { emitWarning } = process
  process.emitWarning = () => undefined
  try {
    return run()
  } finally {
    process.emitWarning = emitWarning
  }
}

const read = (name: string): string => {
  const text = readFileSync(new URL(name, folder), "utf8")
  return name.endsWith(".ts") ? quietly(() => stripTypeScriptTypes(text)) : text
}

const pathOf = (name: string): Route["path"] => name === "index.html" ? "/" : `/console/${name}`

const files = readdirSync(folder).filter((name) => Object.hasOwn(contentTypes, extname(name)))

const facts: Route["path"] = "/console/facts.json"

/** What the page has to know and no endpoint tells. */
const factsOf = (provider: Provider, limits: Limits.Limits): Facts => ({
  simulated: provider._tag === "Simulated",
  limits: [
    ...modelProviders.map((name) => ({ policy: name, key: name })),
    ...agents.flatMap(({ name }) => limits.perAgent === undefined ? [] : [{ policy: limits.perAgent.name, key: name }])
  ],
  policies: Limits.policiesOf(limits).map(({ name }) => name)
})

/** The routes of the console, with its files as they are when it is built. */
export const layer = ({ provider }: { readonly provider: Provider }) =>
  Layer.unwrap(Policies.useSync(({ now }) =>
    HttpRouter.addAll([
      ...files.map((name) =>
        HttpRouter.route(
          "GET",
          pathOf(name),
          HttpServerResponse.text(read(name), { headers, contentType: contentTypes[extname(name)] })
        )
      ),
      HttpRouter.route(
        "GET",
        facts,
        Effect.map(now, ({ limits }) => HttpServerResponse.jsonUnsafe(factsOf(provider, limits), { headers }))
      )
    ])
  ))

/** The same for the table of routes. */
export const routes: ReadonlyArray<Route> = [...files.map(pathOf), facts].map((path): Route => ({
  path,
  methods: ["GET"]
}))
