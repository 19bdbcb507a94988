/** What is kept for one key of one rule: integers, whose meaning is the algorithm's. Empty: nothing was taken. */
export type State = ReadonlyArray<number>
