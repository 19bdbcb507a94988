/** Any text as a key of a store that is not in this process. */

/** Text that no store can change: half characters, which have no UTF-8, and control characters, which some refuse, are escaped. */
export const encode = (key: string): string => isPlain(key) ? `=${key}` : `~${JSON.stringify(key)}`

const isPlain = (key: string): boolean => {
  for (let at = 0; at < key.length; at++) {
    const code = key.charCodeAt(at)
    if (code < 32 || code === 127) return false
  }
  return key.isWellFormed()
}
