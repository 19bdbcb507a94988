/** What an operator does to letters. */
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import { change, type Engine } from "./engine.ts"
import {
  type DeadLetterStoreError,
  LetterNotFound,
  LetterRefused,
  type PayloadUnencodable,
  PayloadUnreadable
} from "./errors.ts"
import type { Letter, State } from "./letter.ts"
import type { Event } from "./lifecycle.ts"
import { frozen, type Selected } from "./redrive.ts"
import { eachRow } from "./sweep.ts"

/** Does it to all that it can be done to, and says to how many. Without a state, a filter means those given. */
export const tellAll = <A>(
  engine: Engine<A>,
  selected: Selected,
  event: Event,
  states: ReadonlyArray<State>
): Effect.Effect<number, DeadLetterStoreError> =>
  Effect.gen(function*() {
    let told = 0
    const tell = (id: string) =>
      Effect.map(change(engine, id, event), (result) => {
        if (result._tag === "Changed") told++
      })
    const target = yield* frozen(engine, selected)
    if ("query" in target) {
      yield* eachRow(engine, { ...target.query, states: target.query.states ?? states }, ({ id }) => tell(id))
    } else {
      yield* Effect.forEach(target, tell, { discard: true })
    }
    return told
  })

export const edit = <A>(
  engine: Engine<A>,
  id: string,
  f: (payload: A) => A
): Effect.Effect<
  Letter,
  DeadLetterStoreError | LetterNotFound | LetterRefused | PayloadUnreadable | PayloadUnencodable
> =>
  Effect.gen(function*() {
    const { codec, name } = engine
    const event: Event = { _tag: "Edit", payloadVersion: codec.version }
    const rewrite = (letter: Letter, body: string) =>
      Effect.gen(function*() {
        const contents = yield* codec.read(id, body)
        const payload = codec.decode(contents.raw, letter.payloadVersion)
        if (Result.isFailure(payload)) {
          return yield* new PayloadUnreadable({ queue: name, id, reason: "Undecodable", detail: payload.failure })
        }
        const raw = yield* codec.encode(f(payload.success))
        return yield* codec.write(id, { ...contents, raw })
      })
    const result = yield* change(engine, id, event, { rewrite })
    if (result._tag === "Gone") return yield* new LetterNotFound({ queue: name, id })
    if (result._tag === "Changed") return result.letter
    return yield* new LetterRefused({
      queue: name,
      id,
      operation: "edit",
      state: result.letter.state,
      reason: result.reason === "Leased" ? "Leased" : "WrongState"
    })
  })
