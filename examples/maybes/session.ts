/** A short real session against Maybes over HTTP, and the trail that it leaves. */
import { Console, Effect, Schema } from "effect"
import { LoggingEngine, RequestContext } from "effect-audit"
import { AuditTrail } from "effect-audit/trail"
import { HttpClient, HttpClientRequest } from "effect/http"
import { randomUUID } from "node:crypto"
import { renameSync } from "node:fs"
import { Note } from "./Api.ts"
import { tokens } from "./Identity.ts"

const decodeNote = Schema.decodeUnknownEffect(Note)

/** Plays the session; prints a line per request. */
export const play = Effect.fn("play")(function*(baseUrl: string, filename: string) {
  const client = yield* HttpClient.HttpClient
  const runId = `demo-${randomUUID()}`
  const call = Effect.fnUntraced(function*(
    who: string,
    method: "GET" | "POST" | "PUT" | "DELETE",
    path: string,
    text?: string,
    headers: Record<string, string> = {}
  ) {
    const request = HttpClientRequest.make(method)(`${baseUrl}${path}`).pipe(
      HttpClientRequest.bearerToken(`${who}-token`),
      HttpClientRequest.setHeaders({ "x-project-id": "ideas", "x-surface": "web", "x-run-id": runId, ...headers })
    )
    const response = yield* client.execute(
      text === undefined ? request : HttpClientRequest.bodyJsonUnsafe(request, { text })
    )
    const body = yield* response.text
    yield* Console.log(`${who.padEnd(11)} ${method.padEnd(6)} ${path.slice(0, 30).padEnd(30)} -> ${response.status}`)
    return body
  })
  const context = Effect.fnUntraced(function*(who: string) {
    const { actor, env, tenantId } = tokens.get(`${who}-token`) ??
      { actor: RequestContext.system, env: "prod", tenantId: "t_none" }
    return yield* RequestContext.forJob({ actor, env, tenantId, runId })
  })

  // An earlier session may have opted out.
  yield* LoggingEngine.setPreference({ trainingAllowed: true }).pipe(
    RequestContext.provide({ ...yield* context("gus"), runId: RequestContext.Id.make("demo-preparation") })
  )
  yield* Console.log("\nA session over HTTP\n")
  const first = yield* Effect.flatMap(
    Effect.map(call("ada", "POST", "/notes", "Maybe a zine about moss"), (body) => JSON.parse(body) as unknown),
    decodeNote
  )
  yield* call("ada-helper", "PUT", `/notes/${first.id}`, "Maybe a zine about moss, with maps")
  yield* call(
    "ada",
    "POST",
    "/notes",
    "Ask Kim (kim.lee@example.com, +1 415 555 0132) to print it, card 4111 1111 1111 1111"
  )
  yield* call("ben", "GET", `/notes/${first.id}`)
  yield* call("gus", "GET", `/notes/${first.id}`)
  yield* call("ada", "POST", "/notes", "Pretend to be Globex", { "x-tenant-id": "t_globex" })
  yield* LoggingEngine.setPreference({ trainingAllowed: false }).pipe(RequestContext.provide(yield* context("gus")))
  yield* Console.log("(t_globex opts out of training)")
  yield* call("gus", "POST", "/notes", "Maybe sell the moss")
  renameSync(filename, `${filename}.away`)
  yield* Console.log("(the store's file is moved away)")
  yield* call("ada", "POST", "/notes", "This note is not written, because it cannot be audited")
  renameSync(`${filename}.away`, filename)
  yield* Console.log("(and back)")
  yield* call("ada", "DELETE", `/notes/${first.id}`)
  return runId
})

const pad = (rows: ReadonlyArray<ReadonlyArray<string>>) => {
  const widths = rows[0]?.map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0))) ?? []
  return rows.map((row) => row.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join("  ").trimEnd()).join("\n")
}

const short = (value: unknown): string => {
  const text = value === undefined ? "" : JSON.stringify(value)
  return text.length > 64 ? `${text.slice(0, 63)}…` : text
}

/** Prints what the session left in the trail, tenant by tenant. */
export const printTrail = Effect.fn("printTrail")(function*(runId: string) {
  for (const tenant of ["t_acme", "t_globex"]) {
    const query = {
      tenantId: RequestContext.TenantId.make(tenant),
      env: RequestContext.Env.make("prod"),
      filter: { runId: runId }
    }
    const { items } = yield* AuditTrail.query({ ...query, order: "asc" })
    const rows = items.flatMap((item) => {
      if (item.erased) return []
      const { event } = item
      const actor = event.user_id !== undefined && event.agentId !== event.user_id
        ? `${event.actor_type} ${event.agentId} for ${event.user_id}`
        : `${event.actor_type} ${event.agentId}`
      const outcome = event.error_tag === undefined ? event.outcome : `${event.outcome}: ${event.error_tag}`
      const train = event.train_ok ? "yes" : `no: ${event.train_reason}`
      return [[
        String(item.position),
        actor,
        event.action,
        outcome,
        train,
        event.pii_flags.flags.join(" "),
        short(event.input)
      ]]
    })
    yield* Console.log(
      `\nThe trail of ${tenant}\n\n${pad([["#", "actor", "action", "outcome", "train", "found", "input"], ...rows])}`
    )
  }
})
