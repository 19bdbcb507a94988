/** The origins of `CORS_ORIGINS`: whose pages may call this server from a browser. */

/** An origin as browsers send it: scheme, host, and a port where it is not the scheme's own. */
const isOrigin = (text: string): boolean =>
  /^https?:\/\//.test(text) && URL.canParse(text) && new URL(text).origin === text

/** The origins of a list with commas. For each that is none, a line that says so goes to `complaints`. */
export const parse = (text: string, complaints: Array<string>): ReadonlyArray<string> => {
  const origins = text.split(",").map((origin) => origin.trim()).filter((origin) => origin !== "")
  for (const origin of origins) {
    if (isOrigin(origin)) continue
    const shown = JSON.stringify(origin.slice(0, 200))
    complaints.push(
      `CORS_ORIGINS must be origins such as https://app.example.com, with no path and no star, and has ${shown}`
    )
  }
  return origins
}
