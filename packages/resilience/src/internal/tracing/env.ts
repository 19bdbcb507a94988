/** The sampler that OpenTelemetry's environment variables ask for. */
import * as Sampler from "./sampler.ts"

export interface Choice {
  readonly sampler: Sampler.Sampler
  /** What is wrong with the variables, if anything. */
  readonly warning: string | undefined
}

/** An argument is a share from 0 to 1; none is all, as the specification has it. */
const shareOf = (argument: string | undefined): number | undefined => {
  if (argument === undefined || argument.trim() === "") return 1
  const share = Number(argument)
  return share >= 0 && share <= 1 ? share : undefined
}

const named: { readonly [name: string]: (share: number) => Sampler.Sampler } = {
  always_on: () => Sampler.always,
  always_off: () => Sampler.never,
  traceidratio: Sampler.ratio,
  parentbased_always_on: () => Sampler.parentBased(Sampler.always),
  parentbased_always_off: () => Sampler.parentBased(Sampler.never),
  parentbased_traceidratio: (share) => Sampler.parentBased(Sampler.ratio(share))
}

/** A mistake must not turn recording of everything on, so the answer to one is the default. */
export const choose = (name: string | undefined, argument: string | undefined): Choice => {
  const wanted = name?.trim().toLowerCase() ?? ""
  const usesShare = wanted === "" || wanted.endsWith("traceidratio")
  const share = shareOf(argument)
  if (usesShare && share === undefined) {
    return {
      sampler: Sampler.standard,
      warning: `OTEL_TRACES_SAMPLER_ARG must be a number from 0 to 1, got ${JSON.stringify(argument)}`
    }
  }
  if (wanted === "") {
    const given = argument !== undefined && argument.trim() !== ""
    return {
      sampler: given ? Sampler.parentBased(Sampler.ratio(share!)) : Sampler.standard,
      warning: undefined
    }
  }
  const sampler = Object.hasOwn(named, wanted) ? named[wanted]!(share ?? 1) : undefined
  return sampler === undefined
    ? {
      sampler: Sampler.standard,
      warning: `OTEL_TRACES_SAMPLER must be one of ${Object.keys(named).join(", ")}, got ${JSON.stringify(name)}`
    }
    : { sampler, warning: undefined }
}
