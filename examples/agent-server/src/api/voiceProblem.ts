/** What a client is told when a voice turn fails: the kind of the failure, and never what a service said. */
import * as Failure from "effect-resilience/Failure"
import { says } from "effect-resilience/http/Problem"
import * as Effect from "effect/Effect"
import type * as Wav from "../audio/wav.ts"
import type { SpeechFailed, VoiceBeginError, VoiceTurnError } from "../voice/VoiceTurns.ts"
import { agentNotFound } from "./agentNotFound.ts"
import * as Problems from "./Problems.ts"
import { logFailure, providerRateLimited, retryAfterSeconds, turnProblem } from "./turnProblem.ts"
import type { VoiceTurnProblem } from "./VoiceApi.ts"

/** Why a turn could not begin, or did not end well. */
export type VoiceFailure = VoiceBeginError | VoiceTurnError

/** The problem for why a turn could not begin, or did not end well. */
export const voiceProblem = (error: VoiceFailure): Effect.Effect<VoiceTurnProblem> => {
  switch (error._tag) {
    case "BadRecording":
      return Effect.succeed(new Problems.InvalidAudio(says(badRecording[error.problem])))
    case "NothingSaid":
      return Effect.succeed(new Problems.NoSpeech(says("Nothing is said in the recording.")))
    case "BargedIn":
      return Effect.succeed(
        new Problems.TurnInterrupted(says("A newer turn of this session began before this one had ended."))
      )
    case "UnknownAgent":
      return Effect.succeed(agentNotFound(error.agent))
    case "SpeechFailed":
      return speechProblem(error, "The turn failed")
    default:
      return turnProblem(error)
  }
}

const badRecording: { readonly [P in Wav.Problem]: string } = {
  NotWav: "The body is not a WAV file.",
  UnsupportedEncoding: "The WAV file is not one of uncompressed samples, which is the kind that is understood.",
  NoSamples: "There is nothing in the WAV file."
}

/** The problem for why speech could not be understood, or made. The log is told what that led to. */
export const speechProblem = ({ cause }: SpeechFailed, what: string): Effect.Effect<VoiceTurnProblem> =>
  Effect.flatMap(Failure.classify(cause), (info) => Effect.as(logFailure(info, what), ofService(info)))

const ofService = (info: Failure.Info): VoiceTurnProblem => {
  const seconds = retryAfterSeconds(info)
  switch (info.kind) {
    case "RateLimited":
      return providerRateLimited(seconds)
    case "Overloaded":
      return new Problems.UpstreamUnavailable({
        ...says("The speech services cannot take requests at the moment. Try again in a little while."),
        retry_after: seconds
      })
    case "Timeout":
      return new Problems.DeadlineExceeded(says("The speech services did not answer in time."))
    default:
      return info.scope === "request"
        ? new Problems.InvalidAudio(says("The speech service does not understand this recording."))
        : new Problems.BadUpstream(says("The speech services failed, or answered something that makes no sense."))
  }
}
