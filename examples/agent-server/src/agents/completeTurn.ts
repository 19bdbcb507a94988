/** Does a turn again that failed: the redrive of a dead letter. */
import type * as Deadline from "effect-resilience/Deadline"
import * as Data from "effect/Data"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import { isApology } from "../letters/apology.ts"
import type { FailedTurn } from "../letters/FailedTurns.ts"
import { Policies } from "../policies.ts"
import { Requests } from "../sessions/Requests.ts"
import { type Served, SessionMissing, Sessions, type StorageError } from "../sessions/Sessions.ts"
import * as Agents from "./Agents.ts"
import { askModels, type ModelAnswer, type ModelsError, type Services } from "./askModels.ts"
import { nothingSaid, promptOf } from "./prompt.ts"
import { toReply } from "./TurnReply.ts"

/** The agent of a turn that is to be completed is no more. */
class AgentGone extends Data.TaggedError("AgentGone")<{ readonly agent: string }> {
  override readonly message = `There is no agent ${JSON.stringify(this.agent)} any more`
}

/** Why a turn could not be completed. */
export type CompleteError = ModelsError | Deadline.DeadlineExceeded | SessionMissing | StorageError | AgentGone

/**
 * Asks for the reply with the history of then, and stores it at the end of the session, or in place of the apology. A turn that
 * is complete already stays as it is, whoever completed it. A session that was deleted is not brought back.
 */
export const completeTurn = (
  failed: FailedTurn,
  options: { readonly maxRun: Duration.Duration }
): Effect.Effect<void, CompleteError, Services | Sessions | Requests> =>
  Effect.gen(function*() {
    const sessions = yield* Sessions
    if (isComplete(yield* sessions.servedIn(failed.turn))) return
    const agent = Agents.find(failed.agent)
    if (agent === undefined) return yield* new AgentGone({ agent: failed.agent })
    const { history } = (yield* Policies.use(({ now }) => now)).turns
    const { messages } = failed.first
      ? nothingSaid
      : yield* sessions.recent(failed.session_id, history.messages, failed.after)
    const answer = yield* askModels(promptOf(agent, messages, failed.message, history.characters), options)
    yield* sessions.atomically(store(failed, agent, answer))
  })

const isComplete = (served: Served | undefined): boolean => served !== undefined && !isApology(served)

/** To be done in one transaction: meanwhile somebody else may have completed it. */
const store = (failed: FailedTurn, agent: Agents.Agent, answer: ModelAnswer) =>
  Effect.gen(function*() {
    const sessions = yield* Sessions
    const requests = yield* Requests
    const before = yield* sessions.servedIn(failed.turn)
    if (isComplete(before)) return
    if (before === undefined && failed.apologised) return yield* new SessionMissing({ id: failed.session_id })
    const turn = {
      id: failed.turn,
      sessionId: failed.session_id,
      agent: agent.name,
      first: failed.first,
      said: failed.message,
      replied: answer.text,
      served: answer.served
    }
    yield* before === undefined ? sessions.append(turn) : sessions.replaceReply(turn)
    yield* requests.answerTurn(failed.turn, JSON.stringify(toReply(agent, failed.session_id, answer)))
  })
