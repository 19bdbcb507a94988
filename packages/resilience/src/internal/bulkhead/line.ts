/**
 * Those who wait, in the order in which they are served. Joining, leaving and taking cost the same however many wait;
 * with priorities they also depend on how many different priorities wait at the moment.
 */

export type Order = "fifo" | "lifo" | "priority"

/** What the line keeps in each of its members. */
export interface Member {
  readonly priority: number
  rank: Rank | undefined
  ahead: Member | undefined
  behind: Member | undefined
}

/** The members of one priority, a doubly linked list. */
export interface Rank {
  readonly priority: number
  first: Member | undefined
  last: Member | undefined
}

export class Line<M extends Member> {
  readonly order: Order
  length = 0
  /** The ranks that have members, the most important first. Without priorities there is one at most. */
  private readonly ranks: Array<Rank> = []

  constructor(order: Order) {
    this.order = order
  }

  join(member: M): void {
    const rank = this.rankOf(this.order === "priority" ? member.priority : 0)
    member.rank = rank
    member.ahead = rank.last
    member.behind = undefined
    if (rank.last === undefined) rank.first = member
    else rank.last.behind = member
    rank.last = member
    this.length++
  }

  leave(member: M): void {
    const { ahead, behind, rank } = member
    if (rank === undefined) return
    if (ahead === undefined) rank.first = behind
    else ahead.behind = behind
    if (behind === undefined) rank.last = ahead
    else behind.ahead = ahead
    if (rank.first === undefined) this.ranks.splice(this.ranks.indexOf(rank), 1)
    member.rank = member.ahead = member.behind = undefined
    this.length--
  }

  /** Takes whose turn it is out of the line. */
  take(): M | undefined {
    const rank = this.ranks[0]
    const next = (this.order === "lifo" ? rank?.last : rank?.first) as M | undefined
    if (next !== undefined) this.leave(next)
    return next
  }

  /** Who would be served last of all, with priorities: the newest of the least important. */
  least(): M | undefined {
    return this.ranks.at(-1)?.last as M | undefined
  }

  private rankOf(priority: number): Rank {
    let at = this.ranks.length
    while (at > 0 && this.ranks[at - 1]!.priority < priority) at--
    const found = this.ranks[at - 1]
    if (found?.priority === priority) return found
    const rank: Rank = { priority, first: undefined, last: undefined }
    this.ranks.splice(at, 0, rank)
    return rank
  }
}
