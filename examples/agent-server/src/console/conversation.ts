/** The messages on the page. Whatever an agent or a provider says is text. */
import { button, find, h, setText } from "./dom.ts"
import * as KeyDialog from "./keyDialog.ts"
import { type Trouble, words } from "./trouble.ts"
import type { ChatReply, Session } from "./wire.ts"

const log = find("conversation", HTMLElement)

type Served = ChatReply["served"]

const article = (who: string, kind: "user" | "assistant", ...children: ReadonlyArray<Node>) =>
  h("article", { class: `message ${kind}` }, h("h3", {}, who), ...children)

const shown = <E extends Element>(element: E): E => {
  log.append(element)
  element.scrollIntoView({ block: "nearest" })
  return element
}

/** Who answered, and that it was not the first choice. What it used is known of a new reply only. */
const servedLine = ({ attempts, degraded, route }: Served, tokens = 0): HTMLElement =>
  h(
    "p",
    { class: "served" },
    ...(degraded ? [h("strong", { class: "state", "data-mood": "unsure" }, "Degraded"), " "] : []),
    `Served by ${route}`,
    attempts > 1 ? ` after ${attempts} attempts` : "",
    tokens > 0 ? `, ${tokens} tokens` : ""
  )

/** The user's words. */
export const said = (text: string): void => {
  shown(article("You", "user", h("p", { class: "text" }, text)))
}

/** A reply on its way. */
export interface Reply {
  readonly step: (name: string) => void
  readonly add: (text: string) => void
  readonly done: (reply: ChatReply) => void
  readonly failed: (trouble: Trouble, retry: () => void) => void
  readonly remove: () => void
}

/** Room for a reply. It is read aloud when it is complete, not bit by bit. */
export const begin = (agent: string): Reply => {
  const words = document.createTextNode("")
  const text = h("p", { class: "text" }, words)
  const step = h("p", { class: "step" }, "Sending…")
  const element = shown(article(agent.replaceAll("_", " "), "assistant", step, text))
  element.setAttribute("aria-busy", "true")
  const end = () => {
    step.remove()
    element.removeAttribute("aria-busy")
  }
  return {
    step: (name) => setText(step, `${name}…`),
    add: (more) => {
      words.appendData(more)
      element.scrollIntoView({ block: "nearest" })
    },
    done: ({ letter_id, reply, served, usage }) => {
      end()
      // What is stored is what counts, should the two ever differ.
      words.data = reply
      element.append(servedLine(served, usage.total_tokens))
      if (letter_id !== undefined) {
        element.append(
          h("p", { class: "served" }, `Your message is kept as letter ${letter_id} and will be answered later.`)
        )
      }
    },
    failed: (trouble, retry) => {
      end()
      text.remove()
      element.append(card(trouble, retry))
    },
    remove: () => element.remove()
  }
}

/** What went wrong, and what to do about it. */
const card = (trouble: Trouble, retry: () => void): HTMLElement => {
  const { advice, needsKey, title } = words(trouble)
  const id = trouble._tag === "Problem" ? trouble.requestId : undefined
  return h(
    "div",
    { class: "trouble" },
    h("h4", {}, title),
    h("p", {}, advice),
    ...(id === undefined ? [] : [h("p", { class: "served" }, "Request ", h("code", {}, id))]),
    h(
      "p",
      { class: "actions" },
      button("Retry", retry),
      ...(needsKey ? [button("Enter an API key", KeyDialog.open)] : [])
    )
  )
}

/** Forgets what is shown. */
export const clear = (): void => log.replaceChildren()

/** All of a session. */
export const show = ({ agent, messages }: Session): void => {
  clear()
  for (const { content, role, served } of messages) {
    if (role === "user") said(content)
    else {
      shown(article(
        agent.replaceAll("_", " "),
        "assistant",
        h("p", { class: "text" }, content),
        ...(served === undefined ? [] : [servedLine(served)])
      ))
    }
  }
}

/** Something else than a reply could not be had. */
export const cannotShow = (trouble: Trouble, retry: () => void): void => {
  clear()
  log.append(card(trouble, retry))
}
