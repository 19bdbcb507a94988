/** Which format a scraper asks for, from its `Accept` header (RFC 9110). */
import type { Format } from "./render.ts"

/** OpenMetrics to who asks for it at least as much as for text; text to everybody else, even to who accepts neither. */
export const negotiate = (accept: string | undefined): Format => {
  if (accept === undefined) return "text"
  let openMetrics = 0
  let text = 0
  for (const range of accept.split(",")) {
    const [type = "", ...parameters] = range.split(";").map((part) => part.trim().toLowerCase())
    const weight = weightOf(parameters)
    if (type === "application/openmetrics-text" && knows(parameters)) openMetrics = Math.max(openMetrics, weight)
    else if (type === "text/plain") text = Math.max(text, weight)
  }
  return openMetrics > 0 && openMetrics >= text ? "openMetrics" : "text"
}

/** What we send is 1.0.0, which readers of 0.0.1 read. */
const knows = (parameters: ReadonlyArray<string>): boolean => {
  const version = parameters.find((parameter) => parameter.startsWith("version="))?.slice("version=".length)
  return version === undefined || version === "1.0.0" || version === "0.0.1"
}

const weightOf = (parameters: ReadonlyArray<string>): number => {
  const given = parameters.find((parameter) => parameter.startsWith("q="))
  if (given === undefined) return 1
  const weight = Number(given.slice(2))
  return weight >= 0 && weight <= 1 ? weight : 0
}
