/** Which letters a command is for. */
import type * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import * as Duration from "effect/Duration"
import * as Option from "effect/Option"
import type { Filter } from "./Operator.ts"

const age = (name: string) =>
  Flag.String(name).pipe(
    Flag.filter(
      // Any text may be typed, and what is none is refused here.
      (text) => Option.exists(Duration.fromInput(text as Duration.Input), (age) => Duration.toMillis(age) >= 0),
      () => "a duration such as \"10 minutes\""
    )
  )

/** What a command may be told of the letters that it is for. */
export const filterFlags = {
  state: Flag.Literals("state", ["Dead", "Redriving", "Quarantined", "Archived", "Discarded"]).pipe(
    Flag.atLeast(0),
    Flag.withDescription("Only those in this state; may be given again for another")
  ),
  kind: Flag.Literals("kind", [
    "Transient",
    "RateLimited",
    "Overloaded",
    "Timeout",
    "Permanent",
    "Critical",
    "Cancelled"
  ]).pipe(Flag.atLeast(0), Flag.withDescription("Only failures of this kind; may be given again for another")),
  fingerprint: Flag.String("fingerprint").pipe(
    Flag.atLeast(0),
    Flag.withDescription("Only failures that are alike; the report has their fingerprints")
  ),
  olderThan: age("older-than").pipe(
    Flag.optional,
    Flag.withDescription("Failed so long ago, or longer: \"10 minutes\"")
  ),
  newerThan: age("newer-than").pipe(Flag.optional, Flag.withDescription("Failed less long ago: \"1 day\""))
}

type FilterFlags = Command.Command.Config.Infer<typeof filterFlags>

const given = <Name extends string, A>(
  name: Name,
  values: ReadonlyArray<A>
): { readonly [N in Name]?: ReadonlyArray<A> } =>
  // An object with the one property that its type has.
  (values.length === 0 ? {} : { [name]: values }) as { readonly [N in Name]?: ReadonlyArray<A> }

/** The same in the words of the server. */
export const filterOf = ({ fingerprint, kind, newerThan, olderThan, state }: FilterFlags): Filter => ({
  ...given("state", state),
  ...given("kind", kind),
  ...given("fingerprint", fingerprint),
  ...(Option.isSome(olderThan) ? { older_than: olderThan.value } : {}),
  ...(Option.isSome(newerThan) ? { newer_than: newerThan.value } : {})
})
