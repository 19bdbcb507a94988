/** What is stored when a storm is over, held against what its clients were told. */
import { isApology } from "../letters/apology.ts"
import { isAnswered, letterOf, type Outcome } from "./client.ts"

/** A message of a session. */
export interface Message {
  readonly role: string
  readonly content: string
  readonly served?: { readonly route: string } | undefined
}

/** What is wrong with what is stored, each as a sentence. */
export const complaintsAbout = (
  { outcomes, sessions }: {
    readonly outcomes: ReadonlyArray<Outcome>
    /** Every session that a reply or a letter named, by its id. */
    readonly sessions: ReadonlyMap<string, ReadonlyArray<Message>>
  }
): ReadonlyArray<string> => {
  const stored = new Map<string, Array<{ readonly sessionId: string; readonly reply: Message | undefined }>>()
  for (const [sessionId, messages] of sessions) {
    for (const [index, { content, role }] of messages.entries()) {
      if (role !== "user") continue
      const places = stored.get(content) ?? []
      places.push({ sessionId, reply: messages[index + 1] })
      stored.set(content, places)
    }
  }
  return outcomes.flatMap(({ chat, result }) => {
    const places = stored.get(chat.message) ?? []
    const about = (what: string) => [`chat ${chat.index} ${what}`]
    if (places.length > 1) return about(`is stored ${places.length} times`)
    const letterId = letterOf(result)
    const [place] = places
    if (letterId !== undefined) {
      if (place === undefined) return about(`has a letter ${letterId}, and is not in its session`)
      const served = place.reply?.served
      return served !== undefined && isApology(served) ? about("was redriven, and still has an apology") : []
    }
    if (!isAnswered(result)) return []
    if (place === undefined) return about(`was answered, and is not in its session ${result.sessionId}`)
    if (place.sessionId !== result.sessionId) {
      return about(`was answered in ${result.sessionId}, and is in another session`)
    }
    return place.reply?.content === result.reply ? [] : about("is stored with another reply than its client got")
  })
}
