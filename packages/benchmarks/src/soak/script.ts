/** What goes wrong and when: the same script again and again, each time to its end, where everything is well and at rest. */

/** Faults by provider, as `/sim/faults` takes them. */
export type Faults = Readonly<Record<string, Readonly<Record<string, unknown>>>>

/** A part of the script. */
export interface Part {
  readonly what: string
  readonly seconds: number
  readonly faults: Faults
}

const models = ["llm-primary", "llm-secondary", "llm-anthropic"]
const speech = ["stt-primary", "stt-backup", "tts-primary", "tts-backup"]

const well = {
  error_rate: 0,
  rate_limit_rate: 0,
  retry_after: null,
  hang: false,
  garbage: false,
  truncate_stream_at: null,
  down: false
}

const all = (providers: ReadonlyArray<string>, faults: Faults[string]): Faults =>
  Object.fromEntries(providers.map((provider) => [provider, { ...well, ...faults }]))

/** Everything is well. */
export const mended: Faults = all([...models, ...speech], {})

/** Each part says the faults of all providers. */
const part = (what: string, seconds: number, faults: Faults = {}): Part => ({
  what,
  seconds,
  faults: { ...mended, ...faults }
})

/** The script. After it there is no load, until nothing is under way any more. */
export const parts: ReadonlyArray<Part> = [
  part("all is well", 20),
  part("the first model and the first transcription fail for one call in five", 12, {
    ...all(["llm-primary", "stt-primary"], { error_rate: 0.2 })
  }),
  part("models limit us", 8, {
    ...all(["llm-primary"], { rate_limit_rate: 0.3, retry_after: 1 }),
    ...all(["llm-secondary"], { rate_limit_rate: 0.1 })
  }),
  part("calls hang, replies are garbage or break off", 8, {
    ...all(["llm-primary"], { hang: 0.02, garbage: 0.05 }),
    ...all(["llm-secondary"], { truncate_stream_at: 2 }),
    ...all(["tts-primary"], { hang: 0.05, garbage: 0.05 })
  }),
  part("the first of each kind is down", 12, all(["llm-primary", "stt-primary", "tts-primary"], { down: true })),
  part("all are down", 6, all([...models, ...speech], { down: true })),
  part("all is well again", 12)
]
