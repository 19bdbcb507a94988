/** `GET /`: what there is on this server, for a person with a browser. */
import * as HttpRouter from "effect/http/HttpRouter"
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import { agents } from "../agents/Agents.ts"
import { page } from "./page.ts"

const agentItems = agents.map(({ description, name }) => `<li><code>${name}</code> ${description}</li>`).join("\n")

const body = `
<h1>agent-server</h1>
<p>Text and voice agents that stay up while their providers fall over.</p>
<h2>Agents</h2>
<ul>
${agentItems}
</ul>
<h2>Where to go</h2>
<ul>
<li><a href="/docs">/docs</a> the API's reference, with requests to try</li>
<li><a href="/openapi.json">/openapi.json</a> the same for programs</li>
<li><a href="/v1/agents">/v1/agents</a> the agents</li>
<li><code>POST /v1/agents/{agent}/chat</code> talk to one of them</li>
<li><code>POST /v1/speech_to_speech</code> the same aloud</li>
<li><code>GET, DELETE /v1/sessions/{id}</code> what has been said</li>
<li><a href="/health/live">/health/live</a> whether the server runs</li>
</ul>
`

/** The route of the page. */
export const layer = HttpRouter.add("GET", "/", HttpServerResponse.html(page("agent-server", body)))
