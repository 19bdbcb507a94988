/** The bodies of the contract, written down a second time: what a client may rely on is not what the server happens to declare. */
import * as Schema from "effect/Schema"
import { json, type Reply } from "../support/client.ts"
import { providers } from "../support/simulated.ts"

const {
  Array: list,
  Boolean: bool,
  Finite: number,
  Int: int,
  Literals: oneOf,
  NullOr: orNull,
  Record: record,
  String: text
} = Schema
const Struct = Schema.Struct
const maybe = Schema.optionalKey
const time = text.check(Schema.isPattern(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z$/))
const filled = Schema.NonEmptyString

// -----------------------------------------------------------------------------
// Problems
// -----------------------------------------------------------------------------

const everyProblem = {
  type: filled,
  title: filled,
  status: int,
  detail: filled,
  code: filled,
  message: filled,
  request_id: filled
}

const problem = (status: number, members: Schema.Struct.Fields = {}) => ({
  status,
  schema: Struct({ ...everyProblem, ...members })
})

const invalid = {
  errors: list(Struct({ in: oneOf(["body", "path", "query", "header"]), path: text, message: filled }))
}
const kept = { letter_id: maybe(filled), session_id: maybe(filled) }
const later = { retry_after: int }
const tooLarge = { limit: int }
const limited = { error: Schema.Literal("rate_limit_exceeded"), retry_after: int, remaining: number, reset: int }

/** Every code with its status, and the members that it has beside everyone's. */
export const problems: { readonly [code: string]: ReturnType<typeof problem> | undefined } = {
  invalid_request: problem(400, invalid),
  malformed_request: problem(400),
  unauthorized: problem(401),
  forbidden: problem(403),
  route_not_found: problem(404),
  agent_not_found: problem(404),
  session_not_found: problem(404),
  circuit_breaker_not_found: problem(404),
  rate_limit_policy_not_found: problem(404),
  letter_not_found: problem(404),
  fallback_route_not_found: problem(404),
  service_not_found: problem(404),
  not_simulated: problem(404),
  method_not_allowed: problem(405),
  request_timeout: problem(408),
  wrong_agent: problem(409),
  session_busy: problem(409, later),
  letter_refused: problem(409, { state: filled }),
  idempotency_key_in_use: problem(409, later),
  turn_interrupted: problem(409),
  body_too_large: problem(413, tooLarge),
  message_too_long: problem(413, tooLarge),
  unsupported_media_type: problem(415),
  content_refused: problem(422),
  context_too_long: problem(422),
  idempotency_key_reused: problem(422),
  policy_document_invalid: problem(422, { errors: list(Struct({ path: text, message: filled })) }),
  invalid_audio: problem(422),
  no_speech: problem(422),
  rate_limit_exceeded: problem(429, { ...limited, limit: number }),
  provider_rate_limited: problem(429, { ...limited, ...kept, limit: Schema.Null }),
  headers_too_large: problem(431, { limit: maybe(int) }),
  internal_error: problem(500, kept),
  bad_upstream: problem(502, kept),
  upstream_unavailable: problem(503, { ...later, ...kept }),
  storage_unavailable: problem(503, later),
  rate_limiter_unavailable: problem(503, later),
  overloaded: problem(503, later),
  shutting_down: problem(503, later),
  deadline_exceeded: problem(504, kept)
}

// -----------------------------------------------------------------------------
// Agents and sessions
// -----------------------------------------------------------------------------

export const Agents = Struct({ agents: list(Struct({ name: filled, description: filled })) })

const Usage = Struct({ prompt_tokens: int, completion_tokens: int, total_tokens: int, cost_usd: orNull(number) })
const Served = Struct({ route: filled, degraded: bool, attempts: int })

export const ChatReply = Struct({
  session_id: filled,
  reply: filled,
  agent: filled,
  model: filled,
  usage: Usage,
  served: Served,
  letter_id: maybe(filled)
})

export const chatEvents = {
  step: Struct({ step: oneOf(["Thinking", "Answering"]) }),
  delta: Struct({ text }),
  done: ChatReply
}

export const Session = Struct({
  session_id: filled,
  agent: filled,
  messages: list(Struct({ role: oneOf(["user", "assistant"]), content: filled, at: time, served: maybe(Served) }))
})

export const VoiceReply = Struct({
  session_id: filled,
  agent: filled,
  transcript: filled,
  reply: filled,
  audio_base64: orNull(filled),
  speech_error: orNull(Struct({ code: filled, message: filled })),
  latency_ms: Struct({ asr: number, llm: number, tts: orNull(number), e2e: orNull(number) }),
  model: filled,
  usage: Usage,
  served: Struct({ ...Served.fields, stages: Struct({ asr: Served, llm: Served, tts: orNull(Served) }) }),
  letter_id: maybe(filled)
})

export const voiceEvents = {
  step: Schema.Union([
    Struct({ step: Schema.Literal("Transcribing"), session_id: filled }),
    Struct({ step: Schema.Literal("Thinking"), session_id: filled, transcript: filled }),
    Struct({ step: Schema.Literal("Speaking"), session_id: filled, reply: filled })
  ]),
  done: VoiceReply
}

// -----------------------------------------------------------------------------
// Health
// -----------------------------------------------------------------------------

const State = oneOf(["Unknown", "Healthy", "Degraded", "Failed"])
const Status = oneOf(["healthy", "degraded", "unhealthy"])

export const Probe = Struct({ status: Status, checks: record(text, State), draining: bool })

export const Health = Struct({ status: Status, services: record(text, State), critical_down: list(text) })

export const Services = Struct({
  services: list(Struct({
    name: filled,
    url: orNull(filled),
    state: State,
    failure_count: int,
    last_check: orNull(time),
    last_success: orNull(time),
    last_error: orNull(filled),
    latency_ms: orNull(number)
  }))
})

const average = orNull(number)
const Target = Struct({ target_ms: number, met: bool })

export const Metrics = Struct({
  active_sessions: int,
  total_sessions: int,
  total_errors: int,
  total_barge_ins: int,
  avg_latencies_ms: Struct({ asr: average, llm: average, tts: average, e2e: average, pipeline: average }),
  latency_targets: Struct({ asr: Target, llm: Target, tts: Target, e2e: Target })
})

export const MonitoringStatus = Struct({ health: Health, metrics: Metrics })

export const Reset = Struct({
  service_id: filled,
  status: Schema.Literal("reset"),
  health: Struct({ state: State, failure_count: int })
})

/** Whether a reply is a probe's or a dashboard's, with what is down: those are no problems. */
export const isDown = (reply: Reply): boolean =>
  reply.status === 503 && reply.headers.get("content-type") === "application/json" && json(reply).status === "unhealthy"

// -----------------------------------------------------------------------------
// What operators see
// -----------------------------------------------------------------------------

export const Circuit = Struct({
  name: filled,
  key: filled,
  state: oneOf(["Closed", "Open", "HalfOpen", "Recovering", "ForcedOpen", "ForcedClosed"]),
  retry_after_ms: orNull(number),
  openings: int,
  in_flight: int,
  probing: int,
  admitted: number,
  rules: list(Struct({ rule: filled, calls: int, bad: int, rate: number }))
})

export const Circuits = Struct({ circuit_breakers: list(Circuit) })

export const FallbackChains = Struct({
  fallback_chains: list(Struct({
    name: filled,
    spent_usd: number,
    level: oneOf(["Normal", "Warned", "Cheaper", "Denied"]),
    routes: list(Struct({
      route: filled,
      state: oneOf(["Ready", "Cooling", "Limited", "Halted"]),
      rests_for_ms: number,
      latency_ms: orNull(number),
      charges: int,
      prompt_tokens: int,
      completion_tokens: int,
      cost_usd: number,
      unpriced_tokens: int
    }))
  }))
})

export const Limits = Struct({
  policy: filled,
  key: filled,
  rules: list(Struct({ rule: filled, unit: filled, limit: number, remaining: number, reset_after_ms: orNull(number) }))
})

const LetterState = oneOf(["Dead", "Redriving", "Quarantined", "Archived", "Discarded"])

const Failure = Struct({
  kind: oneOf(["Transient", "RateLimited", "Overloaded", "Timeout", "Permanent", "Critical", "Cancelled"]),
  scope: oneOf(["request", "dependency"]),
  code: orNull(filled),
  message: text,
  retry_after_ms: orNull(number)
})

export const Letter = Struct({
  id: filled,
  queue: filled,
  state: LetterState,
  reason: orNull(Struct({ tag: filled, message: filled })),
  failure: Failure,
  fingerprint: filled,
  failed_at: time,
  offered_at: time,
  changed_at: time,
  occurrences: int,
  attempts: Struct({ delivered: int, interrupted: int, crashed: int }),
  claims: int,
  lease: orNull(Struct({ owner: filled, expires_at: time })),
  payload_version: int,
  application_version: orNull(text),
  dedupe_key: orNull(text),
  trace: orNull(Struct({ trace_id: filled, span_id: filled }))
})

export const Letters = Struct({ letters: list(Letter), cursor: orNull(filled) })

export const OpenedLetter = Struct({
  ...Letter.fields,
  payload: Schema.Unknown,
  raw: orNull(text),
  unreadable: orNull(Struct({ reason: filled, detail: text })),
  headers: record(text, text),
  causes: list(text),
  stack: orNull(text),
  source_attempts: list(Struct({ at: time, failure: Failure, duration_ms: orNull(number) })),
  history: list(
    Struct({ at: time, event: filled, attempt: orNull(int), failure: orNull(Failure), note: orNull(text) })
  ),
  forgotten: int
})

/** A letter on a line of its own: it may be opened elsewhere, so nothing is said of whether it can be here. */
export const ExportedLetter = record(text, Schema.Unknown)

export const LetterReport = Struct({
  queue: filled,
  total: int,
  states: Struct({ Dead: int, Redriving: int, Quarantined: int, Archived: int, Discarded: int }),
  kinds: record(text, int),
  fingerprints: list(Struct({ fingerprint: filled, count: int, failure: Failure, oldest: time, newest: time })),
  ages: list(Struct({ below_ms: orNull(number), count: int })),
  oldest: orNull(time)
})

const counts = Struct({
  redriven: int,
  failed: int,
  quarantined: int,
  givenBack: int,
  leaseLost: int,
  taken: int,
  skipped: int,
  due: int
})
const Redriven = Struct({
  id: filled,
  outcome: oneOf(["redriven", "failed", "quarantined", "givenBack", "leaseLost", "taken", "skipped", "due"]),
  state: orNull(LetterState),
  failure: orNull(Failure)
})
const redriving = {
  dry_run: bool,
  selection: orNull(Struct({
    _tag: Schema.Literal("Selection"),
    id: filled,
    queue: filled,
    at: number,
    query: record(text, Schema.Unknown)
  }))
}
const far = { done: int, total: int, counts }

export const RedriveReport = Struct({ ...redriving, ...far, letters: list(Redriven) })

export const redriveEvents = {
  start: Struct(redriving),
  progress: Struct({ ...Redriven.fields, ...far }),
  done: RedriveReport
}

const policyDocument = {
  document: filled,
  version: int,
  source: filled,
  loaded_at: time,
  explain: filled,
  lint: list(Struct({ code: filled, at: text, message: filled }))
}
const policyErrors = list(Struct({ path: text, message: filled }))

export const Policies = Struct({ ...policyDocument, errors: maybe(policyErrors) })

export const ReplacedPolicies = Struct({ ...policyDocument, persisted: bool })

// -----------------------------------------------------------------------------
// Simulated providers
// -----------------------------------------------------------------------------

const share = Schema.Union([bool, number])

const Faults = Struct({
  latency_ms: number,
  jitter_ms: number,
  chunk_ms: number,
  error_rate: number,
  status: int,
  rate_limit_rate: number,
  retry_after: orNull(number),
  hang: share,
  garbage: share,
  truncate_stream_at: orNull(int),
  down: bool
})

const ofEach = <S extends Schema.Struct.Fields[string]>(schema: S) =>
  Struct(Object.fromEntries(providers.map((name) => [name, schema])))

export const AllFaults = ofEach(Faults)

export const Ledger = ofEach(Struct({
  calls: int,
  answered: int,
  refused: int,
  broken_off: int,
  prompt_tokens: int,
  completion_tokens: int,
  audio_ms: number,
  characters: int
}))
