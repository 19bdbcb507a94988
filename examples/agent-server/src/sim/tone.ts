/** What simulated speech sounds like: a tone for each word, as long as the word, of a height that depends on it. */

/** Samples a second. */
export const sampleRate = 16_000

/** About as fast as people read aloud: fifteen characters a second. */
const samplesPerCharacter = sampleRate / 15

/** How many samples a word has, with what follows it. */
export const samplesOf = (word: string): number => Math.round(word.length * samplesPerCharacter)

/** The sound of a word: its letters as a tone, and a short silence where a space follows. */
export const soundOf = (word: string): Int16Array => {
  const samples = new Int16Array(samplesOf(word))
  const voiced = samplesOf(word.trimEnd())
  const hertz = 180 + [...word].reduce((sum, letter) => sum + (letter.codePointAt(0) ?? 0), 0) % 120
  for (let index = 0; index < voiced; index++) {
    samples[index] = Math.round(8_000 * Math.sin(2 * Math.PI * hertz * index / sampleRate))
  }
  return samples
}
