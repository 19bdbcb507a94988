/** How the server is as a whole, and how long the stages of a turn take against what they should. */
import { badge, find, h, keyed, type Mood, type Row, setText, tableRow } from "./dom.ts"
import { type Panel, reading } from "./panel.ts"
import type { Status } from "./wire.ts"
import { count, millis } from "./words.ts"

interface Stage {
  readonly name: string
  readonly mean: number | null
  readonly target: { readonly target_ms: number; readonly met: boolean } | undefined
}

const names: Readonly<Record<string, string>> = {
  asr: "Speech to text",
  llm: "Language model",
  tts: "Text to speech",
  e2e: "End to end",
  pipeline: "All stages in a row"
}

const makeRow = ({ name }: Stage): Row<Stage> => {
  const verdict = badge()
  const [mean, target] = [h("span"), h("span")]
  return {
    element: tableRow(names[name] ?? name, mean, target, verdict.element),
    update: (now) => {
      setText(mean, millis(now.mean))
      setText(target, now.target === undefined ? "–" : millis(now.target.target_ms))
      if (now.target === undefined || now.mean === null) verdict.update("unsure", "not known")
      else if (now.target.met) verdict.update("good", "met")
      else verdict.update("bad", "missed")
    }
  }
}

const show = keyed(find("stages", HTMLElement), ({ name }) => name, makeRow)

const moods: Readonly<Record<Status["health"]["status"], Mood>> = {
  healthy: "good",
  degraded: "unsure",
  unhealthy: "bad"
}

const overall = badge()
const down = h("span")
find("health-status", HTMLElement).append("The server is ", overall.element, down)

export const panel: Panel = {
  refresh: reading<Status>(() => "/api/v1/monitoring/status", ({ health, metrics }) => {
    overall.update(moods[health.status], health.status)
    setText(down, health.critical_down.length === 0 ? "." : `: ${health.critical_down.join(", ")}.`)
    setText(
      find("session-counts", HTMLElement),
      `${count(metrics.active_sessions)} sessions now, ${count(metrics.total_sessions)} ended, ` +
        `${count(metrics.total_errors)} failed stages, ${count(metrics.total_barge_ins)} barge-ins.`
    )
    show(
      Object.entries(metrics.avg_latencies_ms).map(([name, mean]) => ({
        name,
        mean,
        target: metrics.latency_targets[name]
      }))
    )
  }),
  clear: () => show([])
}
