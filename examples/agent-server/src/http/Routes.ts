/**
 * Which paths there are, and with which methods: for telling a wrong method from a wrong path, and for naming a request
 * in logs by its route instead of its path, which has ids in it.
 */
import * as FindMyWay from "effect/http/FindMyWay"

/** A path of the server, `/v1/sessions/:id`, with its methods. */
export interface Route {
  readonly path: `/${string}`
  readonly methods: ReadonlyArray<string>
}

/** Whether an orchestrator or a load balancer asks at this route how the server is. */
export const isProbe = ({ path }: Route): boolean => probes.test(path)

/** Whether a machine asks at this route every few seconds, of which nothing is to be told: a probe, or the metrics. */
export const isPolled = (route: Route): boolean => isProbe(route) || route.path === "/metrics"

const probes = /^\/(health|healthz|livez|ready|readyz|startupz)(\/|$)/

/** Finds the route of a URL, whatever the method. */
export interface Routes {
  readonly find: (url: string) => Route | undefined
}

/** Builds the table. Later routes do not replace earlier ones of the same path. */
export const make = (routes: ReadonlyArray<Route>): Routes => {
  const router = FindMyWay.make<Route>()
  for (const route of routes) router.on("GET", route.path, route)
  return { find: (url) => router.find("GET", url)?.handler }
}

interface Document {
  readonly paths: Readonly<Record<string, object>>
}

/** The routes of an OpenAPI document. */
export const fromOpenApi = (document: Document): ReadonlyArray<Route> =>
  Object.entries(document.paths).map(([path, operations]) => ({
    path: `/${path.slice(1).replaceAll(/\{([^}]+)\}/g, ":$1")}`,
    methods: Object.keys(operations).map((method) => method.toUpperCase())
  }))
