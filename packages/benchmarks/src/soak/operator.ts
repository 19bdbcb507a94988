/** What the server's operator does: breaks and mends the simulated providers, and puts things in order after an outage. */
import { keys } from "./requests.ts"
import type { Faults } from "./script.ts"

const ask = async (origin: string, path: string, method = "GET", body?: object): Promise<any> => {
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
  const { circuit_breakers } = await ask(origin, "/admin/circuit-breakers")
  for (const { key, name } of circuit_breakers) {
    await ask(origin, `/admin/circuit-breakers/${name}/reset?key=${encodeURIComponent(key)}`, "POST")
  }
}

/** Has all dead letters tried again, and returns how many are done with. */
export const redrive = async (origin: string): Promise<number> => {
  const { counts } = await ask(origin, "/admin/dlq/redrive", "POST", {
    filter: {},
    concurrency: 8,
    rate: 200
  })
  return counts.redriven
}
