/**
 * A voice turn: the user says something, it is transcribed, the agent thinks about it, and its reply is spoken.
 *
 * The three stages have one deadline. What the agent replied is stored before it is spoken, as in any turn. A reply that cannot be
 * spoken is not lost: it comes as text, and the reason with it. A newer turn of the session interrupts an older one.
 */
import type * as Deadline from "effect-resilience/Deadline"
import { RequestId } from "effect-resilience/http/RequestId"
import { SessionMetrics } from "effect-resilience/SessionMetrics"
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Data from "effect/Data"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Agents from "../agents/Agents.ts"
import type { TurnReply } from "../agents/TurnReply.ts"
import { type BeginError, type TurnError, Turns, WrongAgent } from "../agents/Turns.ts"
import type { DeadTurn } from "../letters/DeadTurn.ts"
import * as TurnMeasures from "../measures/TurnMeasures.ts"
import * as policies from "../policies.ts"
import { type Served, type SessionMissing, Sessions, type StorageError } from "../sessions/Sessions.ts"
import * as BargeIns from "./BargeIns.ts"
import * as Recording from "./recording.ts"
import { Speech, type SpeechError, type Spoken } from "./Speech.ts"

/** What a client asks for: what was said, to which agent, in which session. Without an agent it is the session's, or the first. */
export interface VoiceRequest {
  readonly recording: Uint8Array
  readonly agent: string | undefined
  readonly sessionId: string | undefined
}

/** How long the stages took, in milliseconds; `null` for those that did not come to their end. */
interface Latencies {
  readonly asr: number
  readonly llm: number
  readonly tts: number | null
  readonly e2e: number | null
}

/** A turn that is over. */
export interface VoiceReply {
  readonly turn: TurnReply
  readonly transcript: string
  /** A WAV file, or why there is none. */
  readonly speech: Spoken | SpeechFailed
  readonly heard: Served
  readonly latencies: Latencies
}

/** Hears of a turn while it happens. */
type Step =
  | { readonly step: "Transcribing"; readonly session_id: string }
  | { readonly step: "Thinking"; readonly session_id: string; readonly transcript: string }
  | { readonly step: "Speaking"; readonly session_id: string; readonly reply: string }

type OnStep = (step: Step) => Effect.Effect<void>

/** A speech service and its backup failed. */
export class SpeechFailed extends Data.TaggedError("SpeechFailed")<{ readonly cause: SpeechError }> {
  override readonly message = "Speech failed"
}

/** There is no agent of this name. */
class UnknownAgent extends Data.TaggedError("UnknownAgent")<{ readonly agent: string }> {}

/** Why a turn cannot begin. */
export type VoiceBeginError =
  | Recording.BadRecording
  | Recording.NothingSaid
  | UnknownAgent
  | WrongAgent
  | SessionMissing
  | StorageError

/** Why a turn that began did not end well. */
export type VoiceTurnError =
  | BargeIns.BargedIn
  | Recording.NothingSaid
  | SpeechFailed
  | Deadline.DeadlineExceeded
  | BeginError
  | TurnError
  | DeadTurn<TurnError>

/** A turn that may begin. */
export type VoiceTurn = (onStep: OnStep) => Effect.Effect<VoiceReply, VoiceTurnError>

/** Runs the voice turns of all sessions. */
export class VoiceTurns extends Context.Service<VoiceTurns, {
  /**
   * Looks at the recording and at the session. Nothing has happened yet when this succeeds. The user is taken to have stopped
   * speaking when it is called.
   */
  readonly begin: (request: VoiceRequest) => Effect.Effect<VoiceTurn, VoiceBeginError>
}>()("agent-server/voice/VoiceTurns") {}

/** A turn while it runs. */
interface Work {
  readonly recording: Uint8Array
  readonly agent: Agents.Agent
  readonly sessionId: string
  /** Whether the session begins with this turn, as far as the client knows. */
  readonly isFirst: boolean
  /** In nanoseconds of the monotonic clock. */
  readonly spokenAt: bigint
}

const make = Effect.fnUntraced(function*(options: { readonly maxRun: Duration.Duration }) {
  const sessions = yield* Sessions
  const metrics = yield* SessionMetrics
  const turns = yield* Turns
  const speech = yield* Speech
  const clock = yield* Clock.Clock
  const inForce = yield* policies.Policies
  const bargeIns = BargeIns.make()

  /** The session's agent; `undefined` for one whose first turn is under way and has not been stored. */
  const ownerOf = (sessionId: string) =>
    Effect.catchTag(
      sessions.agentOf(sessionId),
      "SessionMissing",
      (error) => bargeIns.isRunning(sessionId) ? Effect.succeed(undefined) : Effect.fail(error)
    )

  const agentFor = Effect.fnUntraced(function*({ agent: asked, sessionId }: VoiceRequest) {
    const owner = sessionId === undefined ? undefined : yield* ownerOf(sessionId)
    const name = asked ?? owner ?? Agents.agents[0].name
    const agent = Agents.find(name)
    if (agent === undefined) return yield* new UnknownAgent({ agent: name })
    if (sessionId !== undefined && owner !== undefined && owner !== name) {
      return yield* new WrongAgent({ sessionId, agent: owner })
    }
    return agent
  })

  const think = Effect.fnUntraced(function*(work: Work, transcript: string, interrupted: boolean) {
    // A first turn that was interrupted before it was stored has left no session behind.
    const isFirst = work.isFirst || (interrupted && (yield* ownerOf(work.sessionId)) === undefined)
    const { agent, sessionId } = work
    const requestId = yield* RequestId
    const { run } = yield* turns.begin(
      isFirst
        ? { agent, message: transcript, sessionId: undefined, newSessionId: sessionId, requestId }
        : { agent, message: transcript, sessionId, requestId }
    )
    return yield* run()
  })

  const speak = (text: string) =>
    Effect.flatMap(inForce.now, ({ voice }) => speech.speak(spokenPart(text, voice.maxSpoken))).pipe(
      policies.leavingTimeForText,
      Effect.provideService(policies.Policies, inForce),
      TurnMeasures.stage("tts"),
      Effect.catch((cause) => Effect.succeed(new SpeechFailed({ cause })))
    )

  /** The milliseconds from one moment to another, which are a measurement of this stage too. */
  const measure = (stage: "e2e" | "tts_ttfb", from: bigint, to: bigint) => {
    const duration = Duration.nanos(to - from)
    return Effect.as(TurnMeasures.tell((session) => session.record(stage, duration)), millisOf(duration))
  }

  const run = (work: Work, onStep: OnStep) => (interrupted: boolean) =>
    Effect.gen(function*() {
      const { sessionId: session_id } = work
      yield* onStep({ step: "Transcribing", session_id })
      const [asr, heard] = yield* speech.transcribe(work.recording).pipe(
        TurnMeasures.stage("asr"),
        Effect.mapError((cause) => new SpeechFailed({ cause })),
        Effect.timed
      )
      const transcript = heard.text
      if (transcript === "") return yield* new Recording.NothingSaid()
      yield* onStep({ step: "Thinking", session_id, transcript })
      const [llm, turn] = yield* Effect.timed(think(work, transcript, interrupted))
      yield* onStep({ step: "Speaking", session_id, reply: turn.text })
      const began = clock.monotonicTimeNanosUnsafe()
      const [tts, spoken] = yield* Effect.timed(speak(turn.text))
      const known = { asr: millisOf(asr), llm: millisOf(llm) }
      const reply = { turn, transcript, heard: heard.served, speech: spoken }
      if (spoken instanceof SpeechFailed) return { ...reply, latencies: { ...known, tts: null, e2e: null } }
      yield* measure("tts_ttfb", began, spoken.beganAt)
      const e2e = yield* measure("e2e", work.spokenAt, spoken.beganAt)
      return { ...reply, latencies: { ...known, tts: millisOf(tts), e2e } }
    })

  return VoiceTurns.of({
    begin: Effect.fnUntraced(function*(request) {
      const spokenAt = clock.monotonicTimeNanosUnsafe()
      yield* Recording.check(request.recording, (yield* inForce.now).voice.silence)
      const agent = yield* agentFor(request)
      const work: Work = {
        recording: request.recording,
        agent,
        sessionId: request.sessionId ?? (yield* sessions.newId),
        isFirst: request.sessionId === undefined,
        spokenAt
      }
      return (onStep) =>
        bargeIns.newest(work.sessionId)(run(work, onStep)).pipe(
          policies.wholeTurn(options.maxRun),
          Effect.tapErrorTag(
            "BargedIn",
            () => TurnMeasures.tell((session) => Effect.andThen(session.bargeIn, session.end("interrupted")))
          ),
          TurnMeasures.measured(metrics, work.sessionId),
          Effect.annotateLogs("agent", agent.name)
        )
    })
  })
})

/** Runs voice turns of at most `maxRun`. */
export const layer = (
  options: { readonly maxRun: Duration.Duration }
): Layer.Layer<VoiceTurns, never, Sessions | SessionMetrics | Turns | Speech | policies.Policies> =>
  Layer.effect(VoiceTurns, make(options))

/** To a hundredth. */
const millisOf = (duration: Duration.Duration): number => Math.round(Duration.toMillis(duration) * 100) / 100

/** The reply, or of one with more than so many characters the sentences that are spoken at once. */
export const spokenPart = (text: string, maxSpoken: number): string => {
  if (text.length <= maxSpoken) return text
  const part = text.slice(0, maxSpoken)
  const end = Math.max(...[".", "!", "?", "\n"].map((mark) => part.lastIndexOf(mark)))
  return end > 0 ? part.slice(0, end + 1) : part.replace(/[\uD800-\uDBFF]$/, "")
}
