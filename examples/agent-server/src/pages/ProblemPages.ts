/** `GET /problems/{code}`: what the `type` of every problem points to. */
import * as HttpRouter from "effect/http/HttpRouter"
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import { problemKinds } from "../api/problemKinds.ts"
import type { Route } from "../http/Routes.ts"
import { page } from "./page.ts"

const pages = Object.entries(problemKinds).map(([code, { meaning, status, title }]) =>
  HttpRouter.route(
    "GET",
    `/problems/${code}`,
    HttpServerResponse.html(page(
      title,
      `<h1>${title}</h1>
<p>${meaning}</p>
<p>Status ${status}, code <code>${code}</code>. The <code>detail</code> of a problem says more about the single case; its
<code>request_id</code> is what the server's operator needs to find it in the log.</p>`
    ))
  )
)

/** The routes of the pages. */
export const layer = HttpRouter.addAll(pages)

/** The same for the table of routes. */
export const routes: ReadonlyArray<Route> = pages.map(({ method, path }) => ({
  path: path as Route["path"],
  methods: [method]
}))
