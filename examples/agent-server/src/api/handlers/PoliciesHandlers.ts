/** Serves `/admin/policies`. */
import * as AdminApi from "effect-resilience/http/AdminApi"
import { Policies } from "../../policies.ts"
import { keepIn } from "../../policies/keep.ts"
import { Api } from "../Api.ts"

/** The handlers. A document that is put in force is written to the file that the server follows, where that can be done. */
export const layer = (file: string) => AdminApi.layerPolicies(Api, { documents: Policies, keep: keepIn(file) })
