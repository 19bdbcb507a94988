/** What the server's operator does: breaks and mends the simulated providers, and puts things in order after an outage. */
import { keys } from "./requests.ts"
import type { Faults } from "./script.ts"

/** Fails where the server does not do it. What its answers are made of is in its OpenAPI document. */
const ask = async <A>(origin: string, path: string, method = "GET", body?: object): Promise<A> => {
  const response = await fetch(`${origin}${path}`, {
    method,
    headers: { "x-api-key": keys.admin, ...(body === undefined ? {} : { "content-type": "application/json" }) },
    ...(body === undefined ? {} : { body: JSON.stringify(body) })
  })
  const text = await response.text()
  if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${text}`)
  return JSON.parse(text)
}

/** Breaks and mends providers. */
export const setFaults = (origin: string, faults: Faults): Promise<void> => ask(origin, "/sim/faults", "PUT", faults)

/** Closes all circuits. */
export const resetCircuits = async (origin: string): Promise<void> => {
  const { circuit_breakers } = await ask<{
    readonly circuit_breakers: ReadonlyArray<{ readonly name: string; readonly key: string }>
  }>(origin, "/admin/circuit-breakers")
  for (const { key, name } of circuit_breakers) {
    await ask(origin, `/admin/circuit-breakers/${name}/reset?key=${encodeURIComponent(key)}`, "POST")
  }
}

/**
 * Has all dead letters tried again, and gives up those that cannot be completed, such as of a session that was deleted. Returns
 * how many were completed, and how many given up.
 */
export const clearLetters = async (
  origin: string
): Promise<{ readonly redriven: number; readonly discarded: number }> => {
  const { counts } = await ask<{ readonly counts: { readonly redriven: number } }>(
    origin,
    "/admin/dlq/redrive",
    "POST",
    {
      filter: {},
      concurrency: 8
    }
  )
  let discarded = 0
  for (const state of ["Dead", "Quarantined"]) {
    while (true) {
      const { letters } = await ask<{ readonly letters: ReadonlyArray<{ readonly id: string }> }>(
        origin,
        `/admin/dlq?state=${state}&limit=1000`
      )
      if (letters.length === 0) break
      for (const { id } of letters) {
        await ask(origin, `/admin/dlq/${id}/discard`, "POST", { reason: "could not be completed" })
        discarded++
      }
    }
  }
  return { redriven: counts.redriven, discarded }
}
