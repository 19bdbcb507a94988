/** The server's metrics, as its clients read them. */
import * as Effect from "effect/Effect"
import { request } from "./client.ts"
import type { RunningServer } from "./server.ts"

/** Value by series, the labels sorted by name: `name{a=1,b=2}`. */
export type Samples = ReadonlyMap<string, number>

const pair = /([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\["\\n])*)"/g

/** Reads Prometheus's text. */
export const samplesIn = (text: string): Samples => {
  const samples = new Map<string, number>()
  for (const line of text.split("\n")) {
    const found = /^([a-zA-Z_:][\w:]*)(?:\{(.*)\})? (\S+)$/.exec(line)
    if (found === null) continue
    const labels = [...(found[2] ?? "").matchAll(pair)].map(([, label, value]) => `${label}=${value}`).toSorted()
    samples.set(`${found[1]}{${labels.join(",")}}`, Number(found[3]))
  }
  return samples
}

/** What the server shows now. */
export const samplesOf = (server: RunningServer): Effect.Effect<Samples> =>
  Effect.map(request(server, "/metrics"), ({ text }) => samplesIn(text))
