/** Replies that are none: the chain's last word when no model answered. */
import type { Served } from "../sessions/Sessions.ts"

/** The name of the route that apologises. */
const apologyRoute = "static"

/** Whether the reply is an apology, so that the turn has yet to be completed. */
export const isApology = ({ route }: Pick<Served, "route">): boolean => route === apologyRoute
