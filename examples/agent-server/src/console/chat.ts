/** Talking to an agent: what was said, the reply as it comes, and what to do when none does. */
import * as Conversation from "./conversation.ts"
import { announce, find, h, setText } from "./dom.ts"
import * as Http from "./http.ts"
import * as SessionList from "./sessionList.ts"
import * as Sessions from "./sessions.ts"
import { apiKey, openSession } from "./storage.ts"
import { problem, type Trouble, words } from "./trouble.ts"
import type { Agents, ChatReply, Session } from "./wire.ts"

const agentChoice = find("agent", HTMLSelectElement)
const agentDescription = find("agent-description", HTMLElement)
const form = find("chat-form", HTMLFormElement)
const message = find("message", HTMLTextAreaElement)
const send = find("send", HTMLButtonElement)
const stop = find("stop", HTMLButtonElement)

/** The turn that is being answered. There is at most one. */
let running: AbortController | undefined

/** A message on its way: sent again, it has the same key, so that a reply which got lost is not made twice. */
interface Turn {
  readonly text: string
  readonly agent: string
  readonly sessionId: string | undefined
  readonly idempotencyKey: string
}

/** `crypto.randomUUID` is there on `https` and this machine only. */
const makeKey = (): string =>
  Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, "0")).join("")

/** A session is known by how it began. An emoji is not cut in half. */
const titleOf = (text: string): string => Array.from(text).slice(0, 80).join("")

const isBusy = (): boolean => running !== undefined

const setRunning = (controller: AbortController | undefined) => {
  running = controller
  send.disabled = isBusy()
  stop.hidden = !isBusy()
}

interface Ended {
  readonly reply?: ChatReply
  readonly trouble?: Trouble
}

/** The server's events, which its own declarations describe. */
const follow = (reply: Conversation.Reply) => (event: string, data: unknown): Ended | undefined => {
  switch (event) {
    case "step":
      reply.step((data as { readonly step: string }).step)
      return undefined
    case "delta":
      reply.add((data as { readonly text: string }).text)
      return undefined
    case "done":
      return { reply: data as ChatReply }
    case "error":
      return { trouble: problem(data, 500) }
    default:
      return undefined
  }
}

const ask = async (turn: Turn) => {
  const controller = new AbortController()
  setRunning(controller)
  const reply = Conversation.begin(turn.agent)
  const outcome = await Http.events(
    `/v1/agents/${encodeURIComponent(turn.agent)}/chat`,
    {
      method: "POST",
      key: apiKey,
      headers: { "idempotency-key": turn.idempotencyKey },
      body: {
        message: turn.text,
        stream: true,
        ...(turn.sessionId === undefined ? {} : { session_id: turn.sessionId })
      },
      signal: controller.signal
    },
    follow(reply)
  )
  // Another session was opened in the meantime: this turn is nobody's any more.
  if (running !== controller) return
  setRunning(undefined)
  const ended: Ended = outcome._tag === "Failed" ? { trouble: outcome.trouble } : outcome.value
  if (ended.reply !== undefined) {
    reply.done(ended.reply)
    SessionList.opened({ id: ended.reply.session_id, agent: turn.agent, title: titleOf(turn.text) })
  } else if (ended.trouble !== undefined) {
    const { trouble } = ended
    reply.failed(trouble, () => void retry(turn, reply))
    announce(`${words(trouble).title}. There is a button Retry.`)
  }
}

const retry = async (turn: Turn, reply: Conversation.Reply) => {
  if (isBusy()) return
  reply.remove()
  message.focus()
  await ask(turn)
}

const submit = async () => {
  const text = message.value
  if (isBusy()) return
  if (text.trim() === "") {
    announce("Write a message first.")
    message.focus()
    return
  }
  message.value = ""
  Conversation.said(text)
  await ask({ text, agent: agentChoice.value, sessionId: openSession.get(), idempotencyKey: makeKey() })
}

/** Nothing that still runs may write into what is shown next. */
const leave = () => {
  running?.abort()
  setRunning(undefined)
  Conversation.clear()
}

const startNew = () => {
  leave()
  SessionList.closed()
  announce("A new session. Nothing has been said yet.")
  message.focus()
}

const open = async (known: Sessions.Known) => {
  leave()
  agentChoice.value = known.agent
  describeAgent()
  const controller = new AbortController()
  setRunning(controller)
  const outcome = await Http.json<Session>(`/v1/sessions/${encodeURIComponent(known.id)}`, {
    key: apiKey,
    signal: controller.signal
  })
  if (running !== controller) return
  setRunning(undefined)
  if (outcome._tag === "Answered") {
    SessionList.opened(known)
    Conversation.show(outcome.value)
    announce(`${outcome.value.messages.length} messages.`)
    return
  }
  const { trouble } = outcome
  if (trouble._tag === "Problem" && trouble.code === "session_not_found") {
    SessionList.forget(known.id)
    announce("This session is no longer on the server.")
  } else {
    Conversation.cannotShow(trouble, () => void open(known))
  }
}

const remove = async (known: Sessions.Known) => {
  const outcome = await Http.json(`/v1/sessions/${encodeURIComponent(known.id)}`, { method: "DELETE", key: apiKey })
  const isGone = outcome._tag === "Answered" ||
    (outcome.trouble._tag === "Problem" && outcome.trouble.code === "session_not_found")
  if (!isGone) {
    announce(`The session was not deleted. ${words(outcome.trouble).title}.`)
    return
  }
  const wasOpen = openSession.get() === known.id
  SessionList.forget(known.id)
  if (wasOpen) startNew()
  else find("new-session", HTMLButtonElement).focus()
  announce("The session is deleted.")
}

const describeAgent = () => {
  setText(agentDescription, agentChoice.selectedOptions[0]?.dataset["description"] ?? "")
}

const loadAgents = async () => {
  const outcome = await Http.json<Agents>("/v1/agents", { key: apiKey })
  if (outcome._tag === "Failed") {
    Conversation.cannotShow(outcome.trouble, () => {
      Conversation.clear()
      void begin()
    })
    return false
  }
  agentChoice.replaceChildren(
    ...outcome.value.agents.map(({ description, name }) =>
      h("option", { value: name, "data-description": description }, name.replaceAll("_", " "))
    )
  )
  describeAgent()
  return true
}

const begin = async () => {
  if (!await loadAgents()) return
  const id = openSession.get()
  const known = Sessions.all().find((session) => session.id === id)
  if (known === undefined) SessionList.closed()
  else await open(known)
}

/** Makes the view work. */
export const start = (): void => {
  SessionList.start({ open: (known) => void open(known), remove: (known) => void remove(known) })
  find("new-session", HTMLButtonElement).addEventListener("click", startNew)
  form.addEventListener("submit", (event) => {
    event.preventDefault()
    void submit()
  })
  message.addEventListener("keydown", (event) => {
    // While a word is being composed, Enter ends the word.
    if (event.key !== "Enter" || event.shiftKey || event.isComposing) return
    event.preventDefault()
    void submit()
  })
  stop.addEventListener("click", () => {
    running?.abort()
    message.focus()
  })
  agentChoice.addEventListener("change", () => {
    describeAgent()
    // A session belongs to the agent that it began with.
    if (openSession.get() === undefined) return
    leave()
    SessionList.closed()
    announce("Another agent: this is a new session.")
  })
  void begin()
}
