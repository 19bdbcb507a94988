/** The operations view: asks for the operator's key, and keeps its panels up to date while somebody looks. */
import * as Chains from "./chains.ts"
import * as Circuits from "./circuits.ts"
import { announce, find, setText } from "./dom.ts"
import * as Faults from "./faults.ts"
import * as Happenings from "./happenings.ts"
import * as Health from "./health.ts"
import * as Http from "./http.ts"
import * as Letters from "./letters.ts"
import * as Limits from "./limits.ts"
import { onReadAgain, type Panel } from "./panel.ts"
import * as Policies from "./policies.ts"
import * as Polling from "./polling.ts"
import * as Stages from "./stages.ts"
import { adminKey } from "./storage.ts"
import { line, type Trouble } from "./trouble.ts"
import type { Circuits as CircuitsAnswer, Facts } from "./wire.ts"
import { time } from "./words.ts"

const unlock = find("unlock", HTMLFormElement)
const input = find("admin-key", HTMLInputElement)
const panelsElement = find("panels", HTMLElement)
const notice = find("operations-notice", HTMLElement)
const unlockTrouble = find("unlock-trouble", HTMLElement)

/** The panels that this server has data for. */
let panels: ReadonlyArray<Panel> | undefined

interface OpenApi {
  readonly paths: Readonly<Record<string, object>>
}

/** What the server says of itself decides about what is not on every server. */
const makePanels = async (signal: AbortSignal): Promise<ReadonlyArray<Panel> | Trouble> => {
  const [facts, api] = await Promise.all([
    Http.json<Facts>("/console/facts.json", { signal }),
    Http.json<OpenApi>("/openapi.json", { signal })
  ])
  if (facts._tag === "Failed") return facts.trouble
  if (api._tag === "Failed") return api.trouble
  const has = (path: string) => Object.hasOwn(api.value.paths, path)
  return [
    Circuits.panel,
    Health.panel,
    Stages.panel,
    Limits.make(facts.value),
    Chains.panel,
    Letters.panel,
    ...(facts.value.simulated ? [Faults.panel] : []),
    ...(has("/admin/signals") ? [Happenings.panel] : []),
    ...(has("/admin/policies") ? [Policies.panel] : [])
  ]
}

const isRefused = (trouble: Trouble | undefined) =>
  trouble?._tag === "Problem" && (trouble.status === 401 || trouble.status === 403)

const tell = (trouble: Trouble | undefined) => {
  notice.hidden = trouble === undefined
  setText(notice, trouble === undefined ? "" : `Not all of this is up to date. ${line(trouble)}`)
}

const round = async (signal: AbortSignal) => {
  if (panels === undefined) {
    const made = await makePanels(signal)
    if (signal.aborted) return
    if ("_tag" in made) {
      tell(made)
      return
    }
    panels = made
  }
  const troubles = await Promise.all(panels.map(({ refresh }) => refresh(signal)))
  if (signal.aborted && !Http.isTimeout(signal)) return
  if (troubles.some(isRefused)) {
    forget("The key is not accepted any more.")
    return
  }
  tell(troubles.find((trouble) => trouble !== undefined))
  if (signal.aborted) return
  setText(find("freshness", HTMLElement), `As of ${time(new Date().toISOString())}, every 2 seconds.`)
}

const polling = Polling.make(round)

const showPanels = () => {
  unlock.hidden = true
  panelsElement.hidden = false
  polling.start()
}

const forget = (why: string) => {
  adminKey.set(undefined)
  polling.stop()
  for (const { clear } of panels ?? []) clear?.()
  panelsElement.hidden = true
  unlock.hidden = false
  setText(unlockTrouble, why)
}

/** The key is tried before it is kept. */
const tryKey = async () => {
  const key = input.value.trim()
  input.value = ""
  adminKey.set(key)
  const outcome = await Http.json<CircuitsAnswer>("/admin/circuit-breakers", { key: adminKey })
  if (outcome._tag === "Answered") {
    setText(unlockTrouble, "")
    showPanels()
    announce("Unlocked.")
    find("circuits-title", HTMLElement).focus()
    return
  }
  forget(line(outcome.trouble))
  announce(line(outcome.trouble))
  input.focus()
}

/** The view is shown. */
export const enter = (): void => {
  if (adminKey.get() === undefined) {
    unlock.hidden = false
    panelsElement.hidden = true
  } else showPanels()
}

/** The view is left: what is being read is of no use any more. */
export const leave = (): void => {
  polling.stop()
  Happenings.leave()
}

/** Makes the view work. */
export const start = (): void => {
  onReadAgain(polling.now)
  Letters.start()
  Limits.start()
  Happenings.start()
  Policies.start()
  unlock.addEventListener("submit", (event) => {
    event.preventDefault()
    void tryKey()
  })
  find("lock", HTMLButtonElement).addEventListener("click", () => {
    forget("")
    announce("The key is forgotten.")
    input.focus()
  })
}
