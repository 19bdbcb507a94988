/** Transcribes and speaks, each with a service and its backup, under the server's policies. */
import type * as Bulkhead from "effect-resilience/Bulkhead"
import type * as CircuitBreaker from "effect-resilience/CircuitBreaker"
import type * as Deadline from "effect-resilience/Deadline"
import * as FallbackChain from "effect-resilience/FallbackChain"
import * as AiError from "effect/ai/AiError"
import * as Arr from "effect/Array"
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import * as Wav from "../audio/wav.ts"
import * as policies from "../policies.ts"
import { client } from "../providers/client.ts"
import { invalid } from "../providers/send.ts"
import * as SpeechToText from "../providers/SpeechToText.ts"
import * as TextToSpeech from "../providers/TextToSpeech.ts"
import type { Served } from "../sessions/Sessions.ts"
import * as Simulator from "../sim/Simulator.ts"
import { type CannotStart, orCannotStart } from "../startup/CannotStart.ts"
import * as Measured from "../telemetry/measured.ts"
import type * as Settings from "./settings.ts"

/** Why nothing was understood, or said. */
export type SpeechError =
  | AiError.AiError
  | CircuitBreaker.CircuitOpen
  | Bulkhead.BulkheadRejected
  | Deadline.DeadlineExceeded
  | FallbackChain.FallbackExhausted

/** What was understood, and by which service. */
export interface Heard {
  readonly text: string
  readonly served: Served
}

/** What was said: a WAV file. */
export interface Spoken {
  readonly bytes: Uint8Array
  readonly served: Served
  /** When its first byte came, in nanoseconds of the monotonic clock. */
  readonly beganAt: bigint
}

/** A chain of services, as it is looked after. */
export type Chain = Pick<FallbackChain.FallbackChain<never, never, never>, "name" | "states" | "ledger" | "reset">

/** The speech services of this server. */
export class Speech extends Context.Service<Speech, {
  readonly transcribe: (recording: Uint8Array) => Effect.Effect<Heard, SpeechError>
  readonly speak: (text: string) => Effect.Effect<Spoken, SpeechError>
  /** How it is with the services, for whoever looks after them. */
  readonly chains: ReadonlyArray<Chain>
}>()("agent-server/voice/Speech") {}

type BaseUrlOf = (name: Simulator.Name) => string

interface Target {
  readonly dependency: policies.SpeechDependency
  readonly service: Settings.Service
}

/** The services of a pair, the first choice first. */
const targets = (
  pair: Settings.Pair,
  kind: "stt" | "tts",
  simulated: BaseUrlOf
): Arr.NonEmptyReadonlyArray<Target> => {
  const primary = `${kind}-primary` as const
  const backup = `${kind}-backup` as const
  if (pair._tag === "Real") {
    const first: Target = { dependency: primary, service: pair.primary }
    return pair.backup === undefined ? [first] : [first, { dependency: backup, service: pair.backup }]
  }
  const at = (dependency: policies.SpeechDependency): Target => ({
    dependency,
    service: { baseUrl: simulated(dependency), apiKey: undefined, model: "simulated" }
  })
  return [at(primary), at(backup)]
}

/** Goes around each call to a service: what it counts is inside of the policies, which may call more than once. */
const guard = (kind: "stt" | "tts", { dependency, service }: Target) => {
  const counted = Measured.speech(kind, labelsOf(dependency, service))
  return <A, E, R>(self: Effect.Effect<A, E, R>) => policies.atService(dependency)(counted(self))
}

/** What is at an address is not known; what it is to us, is. */
const labelsOf = (provider: policies.SpeechDependency, { model }: Settings.Service) => ({ provider, model })

const make = Effect.fnUntraced(function*(settings: Settings.Speech, simulated: BaseUrlOf) {
  const guards = yield* Effect.context<policies.Policies>()
  const { now, whenever } = yield* policies.Policies
  const pairs = { stt: targets(settings.stt, "stt", simulated), tts: targets(settings.tts, "tts", simulated) }
  for (const kind of ["stt", "tts"] as const) {
    for (const { dependency, service } of pairs[kind]) {
      yield* Measured.declareSpeech(kind, labelsOf(dependency, service))
    }
  }
  const stt = yield* FallbackChain.make(
    "stt",
    Arr.map(
      pairs.stt,
      (target) =>
        FallbackChain.route(target.dependency, SpeechToText.layer(target.service), { guard: guard("stt", target) })
    )
  )
  const tts = yield* FallbackChain.make(
    "tts",
    Arr.map(
      pairs.tts,
      (target) =>
        FallbackChain.route(target.dependency, TextToSpeech.layer({ ...target.service, voice: settings.voice }), {
          guard: guard("tts", target)
        })
    )
  )
  yield* whenever((values) => {
    const options = policies.speechChainOptions(values)
    return Effect.andThen(stt.reconfigure(options), tts.reconfigure(options))
  })
  return Speech.of({
    chains: [stt, tts],
    transcribe: (recording) =>
      counting((call) => stt.runServed(call), SpeechToText.SpeechToText.use((each) => each.transcribe(recording))).pipe(
        Effect.map(([text, served]): Heard => ({ text: text.toWellFormed().trim(), served })),
        Effect.provideContext(guards)
      ),
    speak: (text) =>
      Effect.flatMap(now, ({ voice }) =>
        counting(
          (call) => tts.runServed(call),
          TextToSpeech.TextToSpeech.use((each) => collected(each.speak(text), voice.maxSpeechBytes))
        )).pipe(
          Effect.map(([spoken, served]): Spoken => ({ ...spoken, served })),
          Effect.provideContext(guards)
        )
  })
})

/** Runs a call along a chain, and counts how often it was made, retries included. */
const counting = <A, E, R, E2, R2>(
  run: (call: Effect.Effect<A, E, R>) => Effect.Effect<readonly [A, FallbackChain.Served], E2, R2>,
  call: Effect.Effect<A, E, R>
): Effect.Effect<readonly [A, Served], E2, R2> =>
  Effect.suspend(() => {
    let attempts = 0
    const counted = Effect.suspend(() => {
      attempts++
      return call
    })
    return Effect.map(run(counted), ([answer, { degraded, route }]) => [answer, { route, degraded, attempts }] as const)
  })

/** All of what is said, if it is a recording. */
const collected = (speech: Stream.Stream<Uint8Array, AiError.AiError>, maxBytes: number) =>
  Effect.gen(function*() {
    const clock = yield* Clock.Clock
    const chunks: Array<Uint8Array> = []
    let length = 0
    let beganAt: bigint | undefined
    yield* Stream.runForEach(speech, (chunk) => {
      if (chunk.length > 0) beganAt ??= clock.monotonicTimeNanosUnsafe()
      chunks.push(chunk)
      length += chunk.length
      return length > maxBytes ? Effect.fail(noSpeech("what is said does not end")) : Effect.void
    })
    const bytes = new Uint8Array(Buffer.concat(chunks))
    if (beganAt === undefined || Wav.read(bytes)._tag !== "Wav") {
      return yield* noSpeech("what was said is not a WAV file")
    }
    return { bytes, beganAt }
  })

const noSpeech = (description: string): AiError.AiError =>
  AiError.make({ module: "TextToSpeech", method: "speak", reason: invalid(description) })

/** How many connections to each service there are at most. */
const speechConnections = 128

/** Where the simulated services are: those of the program's simulator, or of one of our own. */
const simulatedAt = Effect.fnUntraced(function*({ seed, stt, tts }: Settings.Speech) {
  if (stt._tag === "Real" && tts._tag === "Real") return (): string => ""
  const running = yield* Effect.serviceOption(Simulator.Simulator)
  const simulator = Option.isSome(running)
    ? running.value
    : Context.get(yield* Layer.build(Simulator.layer({ seed })), Simulator.Simulator)
  return simulator.baseUrl
})

/** Provides the services of the settings. */
export const layer = (settings: Settings.Speech): Layer.Layer<Speech, CannotStart, policies.Policies> =>
  Layer.effect(Speech, Effect.flatMap(simulatedAt(settings), (simulated) => make(settings, simulated))).pipe(
    Layer.provide(client(speechConnections)),
    orCannotStart((error) => `the simulated speech services cannot listen on loopback: ${error.message}`)
  )
