/** Serves the assembly, with the environment of `settings.ts`, until SIGTERM. */
import { makeApp } from "./app.ts"
import { settings } from "./settings.ts"

const given = settings()
const app = await makeApp(given)
process.stdout.write(`listening at ${await app.listen({ host: given.host, port: given.port })}\n`)
process.once("SIGTERM", () => void app.close())
