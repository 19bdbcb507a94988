/**
 * Any name, label and value as one that Prometheus reads, for sure and always the same way.
 *
 * Two that become equal are merged later on; nothing is dropped because of how it is called.
 */

/** Longer values are cut: a scrape is no place for a document. */
const longestValue = 1024

export const cleanName = (name: unknown): string => {
  const legal = text(name).replaceAll(/[^a-zA-Z0-9_:]/g, "_")
  return legal === "" ? "_" : /^[0-9]/.test(legal) ? `_${legal}` : legal
}

/** Two leading underscores are Prometheus's own. */
const cleanLabel = (label: string): string => {
  const legal = label.replaceAll(/[^a-zA-Z0-9_]/g, "_").replace(/^_{2,}/, "_")
  return legal === "" ? "_" : /^[0-9]/.test(legal) ? `_${legal}` : legal
}

/** Valid UTF-8 without NUL, which Prometheus skips and so takes two values for one. */
const cleanValue = (value: unknown): string =>
  text(value).slice(0, longestValue).toWellFormed().replaceAll("\0", "\uFFFD")

/** Callers without types may have given anything. */
export const text = (value: unknown): string => {
  if (typeof value === "string") return value
  try {
    return String(value)
  } catch {
    return ""
  }
}

const escapeValue = (value: string): string =>
  /[\\"\n]/.test(value) ? value.replaceAll("\\", "\\\\").replaceAll("\"", "\\\"").replaceAll("\n", "\\n") : value

/** OpenMetrics escapes quotes in a help text, the older format must not. */
export const cleanHelp = (help: string, quotes: boolean): string => {
  const escaped = help.toWellFormed().replaceAll("\0", "\uFFFD").replaceAll("\\", "\\\\").replaceAll("\n", "\\n")
  return quotes ? escaped.replaceAll("\"", "\\\"") : escaped
}

/**
 * A label set as it stands between braces, sorted by name; equal texts are equal series.
 *
 * An empty value is the same as none, so it is left out. `reserved` is a label that the format itself sets here: an
 * attribute of that name becomes `exported_<name>`. Its own value may be given here. Labels that become one have their values joined with `;`, in the
 * order of their original names, as OpenTelemetry does.
 */
export const cleanLabels = (
  attributes: object = {},
  reserved?: string | undefined,
  reservedValue?: string | undefined
): string => {
  const byName = new Map<string, string>()
  const entries: ReadonlyArray<readonly [string, unknown]> = Object.entries(attributes)
  for (const [label, raw] of entries.toSorted(([a], [b]) => a < b ? -1 : a > b ? 1 : 0)) {
    const value = cleanValue(raw)
    if (value === "") continue
    const clean = cleanLabel(label)
    const name = clean === reserved ? `exported_${clean}` : clean
    const other = byName.get(name)
    byName.set(name, other === undefined ? value : `${other};${value}`)
  }
  const own = cleanValue(reservedValue ?? "")
  if (reserved !== undefined && own !== "") byName.set(reserved, own)
  return [...byName]
    .toSorted(([a], [b]) => a < b ? -1 : a > b ? 1 : 0)
    .map(([name, value]) => label(name, value))
    .join(",")
}

const label = (name: string, value: string): string => `${name}="${escapeValue(value)}"`
