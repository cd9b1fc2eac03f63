/** The trail over real HTTP: guarded, recorded, and in two media. */
import { NodeHttpClient, NodeHttpServer } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import { Clock, Context, Duration, Effect, Layer, Stream } from "effect"
import { AuditLogger, RequestContext } from "effect-audit"
import { AuditApi, AuditApiLive, HttpAudit } from "effect-audit/http"
import { Proof, Signer } from "effect-audit/ledger"
import { Memory } from "effect-audit/memory"
import { Sqlite } from "effect-audit/sqlite"
import { AuditTrail } from "effect-audit/trail"
import { HttpClient, HttpClientRequest, HttpRouter, HttpServer } from "effect/http"
import { HttpApiClient } from "effect/http-api"
import { createServer } from "node:http"
import { join } from "node:path"
import { everythingOver, log, temporaryFolder, within } from "../support.ts"
import { identify } from "./orders.ts"

const everythingInMemory = everythingOver(() => Memory.layer())
const everythingInSqlite = everythingOver((signer) =>
  Layer.unwrap(Effect.map(temporaryFolder, (folder) => Sqlite.layer({ filename: join(folder, "audit.db"), signer })))
)
type Everything = typeof everythingInMemory | typeof everythingInSqlite

const humans = () => Effect.map(RequestContext.RequestContext, ({ actor }) => actor.type === "human")

/** A request with a body. */
const posted = (body: unknown): RequestInit => ({
  method: "POST",
  body: JSON.stringify(body),
  headers: { "content-type": "application/json" }
})

/** The API over a medium; `ada` may do everything, `bot` nothing, `gus` is of another tenant. */
const serve = Effect.fnUntraced(function*(
  medium: Everything,
  allows: AuditApi.AuditPolicy["Service"]["allows"] = humans
) {
  const policy = Layer.succeed(AuditApi.AuditPolicy, AuditApi.AuditPolicy.of({ allows }))
  const audit = HttpAudit.layer({ identify, anonymous: { tenantId: "t_public", env: "prod" } })
  const services = yield* Layer.build(
    HttpRouter.serve(AuditApiLive.layer, { disableLogger: true, disableListenLog: true }).pipe(
      Layer.provideMerge(NodeHttpServer.layer(createServer, { port: 0, host: "127.0.0.1" })),
      Layer.provide([audit, policy]),
      Layer.provideMerge(Layer.fresh(medium))
    )
  )
  const { address } = Context.get(services, HttpServer.HttpServer)
  assert(address._tag !== "UnixPathAddress")
  const url = `http://127.0.0.1:${address.port}`
  const http = yield* Layer.build(NodeHttpClient.layerUndici)
  const emit = (n: number, tenantId: string = log.tenantId) =>
    AuditLogger.emit({ action: "note.create", input: { n }, subjectIds: ["u7"] }).pipe(
      within({ tenantId }),
      Effect.provideContext(services)
    )
  const client = (token: string) =>
    HttpApiClient.make(AuditApi.Api, {
      baseUrl: url,
      transformClient: HttpClient.mapRequest(HttpClientRequest.bearerToken(token))
    }).pipe(Effect.provideContext(http))
  const get = (path: string, token: string | undefined = "ada", init: RequestInit = {}) =>
    Effect.promise(() =>
      fetch(url + path, {
        ...init,
        headers: { ...(token === "" ? {} : { authorization: `Bearer ${token}` }), ...init.headers }
      })
    )
  const json = (response: Response) => Effect.promise(() => response.json() as Promise<object>)
  const text = (response: Response) => Effect.promise(() => response.text())
  const actions = Effect.map(
    Context.get(services, AuditTrail.AuditTrail).query({ ...log, order: "asc", limit: 1000 }),
    ({ items }) => items.flatMap((item) => item.erased ? [] : [`${item.event.action} ${item.event.outcome}`])
  )
  const inputs = (action: string) =>
    Effect.map(
      Context.get(services, AuditTrail.AuditTrail).query({ ...log, filter: { action }, order: "asc" }),
      ({ items }) => items.flatMap((item) => item.erased ? [] : [item.event.input as { readonly after?: number }])
    )
  return { inputs, url, emit, client, get, json, text, actions, vkey: Context.get(services, Signer.Signer).vkey }
})

const clock = Context.get(Context.empty(), Clock.Clock)
/** A clock on which one sleeps for a hundredth of the time. */
const hurried: Clock.Clock = Object.create(clock, {
  sleep: { value: (duration: Duration.Duration) => clock.sleep(Duration.times(duration, 0.01)) }
})

/** Reads a stream of events until there are so many, or it ends. */
const sse = (url: string, token: string, headers: Record<string, string>, count: number) =>
  Effect.promise(async () => {
    const gone = new AbortController()
    const response = await fetch(url, {
      headers: { authorization: `Bearer ${token}`, ...headers },
      signal: gone.signal
    })
    assert.strictEqual(response.headers.get("content-type"), "text/event-stream")
    let text = ""
    const ids: Array<number> = []
    for await (const chunk of response.body ?? []) {
      text += Buffer.from(chunk).toString()
      ids.length = 0
      ids.push(...[...text.matchAll(/^id: (\d+)\nevent: audit$/gm)].map(([, id]) => Number(id)))
      if (ids.length >= count) break
    }
    gone.abort()
    return ids.slice(0, count)
  })

describe("a tail", () => {
  it.live("ends when the policy no longer allows it, and that is recorded", () =>
    Effect.gen(function*() {
      const asked: Array<string> = []
      const { actions, emit, url } = yield* serve(everythingInMemory, (operation) =>
        Effect.sync(() => asked.push(operation) < 3))
      yield* emit(1)
      assert.deepStrictEqual(yield* sse(`${url}/audit/events/tail?after=0`, "ada", {}, 99), [1, 2])
      assert.deepStrictEqual(asked, ["follow", "follow", "follow"])
      assert.deepStrictEqual(
        (yield* actions).filter((action) =>
          action.startsWith("audit_trail")
        ),
        [
          "audit_trail.follow success",
          "audit_trail.follow denied"
        ]
      )
    }).pipe(Effect.provideService(Clock.Clock, hurried)))
})

for (const [name, medium] of [["memory", everythingInMemory], ["SQLite", everythingInSqlite]] as const) {
  describe(`the API over ${name}`, () => {
    it.live("gives pages, one event, its proof, and what a SIEM pulls, to a typed client", () =>
      Effect.gen(function*() {
        const { client, emit, get, json, text, vkey } = yield* serve(medium)
        const receipts = yield* Effect.forEach([0, 1, 2, 3, 4], (n) => emit(n))
        const { audit } = yield* client("ada")
        const page = yield* audit.events({ query: { action: "note.create", limit: 2 } })
        assert.deepStrictEqual(page.items.map(({ position }) => position), [5, 4])
        const next = yield* audit.events({ query: { action: "note.create", limit: 2, cursor: page.next ?? "" } })
        assert.deepStrictEqual(next.items.map(({ position }) => position), [3, 2])
        const after = yield* audit.events({ query: { after: 3, limit: 2 } })
        assert.isFalse("next" in (yield* json(yield* get("/audit/events?limit=1000"))))
        assert.deepStrictEqual(after.items.map(({ position }) => position), [4, 5])
        const eventId = receipts[1]!.eventId
        assert.strictEqual((yield* audit.event({ params: { eventId } })).position, 2)
        const proof = Proof.verify(yield* audit.proof({ params: { eventId } }), [vkey])
        assert(proof._tag === "Success" && proof.success.position === 2)
        assert.include(yield* audit.checkpoint(), "/log/")
        for (
          const [format, type] of [["ndjson", "application/x-ndjson"], ["csv", "text/csv; charset=utf-8"], [
            "ocsf",
            "application/x-ndjson"
          ], ["cloudevents", "application/x-ndjson"]] as const
        ) {
          const answer = yield* get(`/audit/events?after=-1&action=note.create&format=${format}`)
          assert.deepStrictEqual([answer.status, answer.headers.get("content-type")], [200, type])
          const lines = (yield* text(answer)).trimEnd().split("\n")
          assert.strictEqual(lines.length, format === "csv" ? 6 : 5)
        }
      }))

    it.live("shows no tenant another's, and records each read", () =>
      Effect.gen(function*() {
        const { actions, client, emit } = yield* serve(medium)
        const mine = yield* emit(1)
        yield* emit(2, "t_globex")
        const { audit } = yield* client("gus")
        const theirs = yield* audit.events({ query: {} })
        assert.isTrue(theirs.items.every((item) => item.erased || item.event.tenantId === "t_globex"))
        const other = yield* Effect.flip(audit.event({ params: { eventId: mine.eventId } }))
        assert.strictEqual(other._tag, "NotFound")
        const own = (yield* client("ada")).audit
        yield* own.events({ query: { outcome: "denied" } })
        yield* own.event({ params: { eventId: mine.eventId } })
        assert.deepStrictEqual((yield* actions).slice(2), ["audit_trail.read success", "audit_trail.read success"])
      }))

    it.live("refuses every endpoint that the policy does not allow, and records that", () =>
      Effect.gen(function*() {
        const { actions, emit, get } = yield* serve(medium)
        const { eventId } = yield* emit(1)
        const selection = { person: "u7" }
        const calls: ReadonlyArray<readonly [string, RequestInit?]> = [
          ["/events"],
          ["/events?format=csv"],
          ["/events/tail"],
          [`/events/${eventId}`],
          [`/events/${eventId}/proof`],
          ["/checkpoint"],
          ["/consistency?from=1"],
          ["/tile/0/000.p/2"],
          ["/verify", { method: "POST" }],
          ["/preferences"],
          ["/preferences", { ...posted({ trainingAllowed: false }), method: "PUT" }],
          ["/erasures/preview", posted(selection)],
          ["/erasures", posted({ selection, reason: "r" })],
          ["/holds", posted({ selection, reason: "r" })],
          ["/holds/release", posted({ selection, reason: "r" })]
        ]
        for (const [path, init] of calls) {
          const refused = yield* get(`/audit${path}`, "bot", init)
          assert.strictEqual(refused.status, 403, path)
          assert.strictEqual(refused.headers.get("content-type"), "application/problem+json", path)
          assert.strictEqual((yield* get(`/audit${path}`, "", init)).status, 401, path)
        }
        const found = (yield* actions).filter((action) => action.startsWith("audit_trail."))
        assert.strictEqual(found.length, calls.length)
        assert.isTrue(found.every((action) => action.endsWith(" denied")))
        assert.strictEqual((yield* get("/audit/openapi.json", "")).status, 200)
      }))

    it.live("refuses a body with a field that it does not know, and changes nothing", () =>
      Effect.gen(function*() {
        const { actions, emit, get } = yield* serve(medium)
        yield* emit(1)
        const selection = { person: "ada" }
        const calls: ReadonlyArray<readonly [string, RequestInit]> = [
          ["/preferences", { ...posted({ trainingAllowed: false, userid: "ada" }), method: "PUT" }],
          ["/erasures/preview", posted({ ...selection, befor: "2020-01-01" })],
          ["/erasures", posted({ selection: { ...selection, befor: "2020-01-01" }, reason: "r" })],
          ["/erasures", posted({ selection, reason: "r", nam: "case 1" })],
          ["/holds", posted({ ...selection, name: "case 1", reason: "r" })],
          ["/holds/release", posted({ ...selection, name: "case 1", reason: "r" })]
        ]
        for (const [path, init] of calls) {
          const refused = yield* get(`/audit${path}`, "ada", init)
          assert.strictEqual(refused.status, 400, path)
          assert.strictEqual(refused.headers.get("content-type"), "application/problem+json", path)
        }
        const changed = /^(audit\.(erased|held|released)|training_preference)/
        assert.deepStrictEqual((yield* actions).filter((action) => changed.test(action)), [])
      }))

    it.live("refuses nonsense with 400, and says what is wrong", () =>
      Effect.gen(function*() {
        const { client, emit, get, text } = yield* serve(medium)
        yield* emit(1)
        for (
          const query of [
            "limit=0",
            "limit=1001",
            "limit=x",
            "cursor=x",
            "cursor=WzIsMSwieCJd",
            "after=-2",
            "after=1.5",
            "after=1&order=desc",
            "after=1&cursor=WzIsMSwieCJd",
            "outcome=perhaps",
            "since=yesterday",
            "action=Note",
            "format=xml",
            "format=csv&cursor=x"
          ]
        ) assert.strictEqual((yield* get(`/audit/events?${query}`)).status, 400, query)
        assert.strictEqual((yield* get("/audit/events/0190aaaa")).status, 400)
        assert.strictEqual((yield* get("/audit/events/0190aaaa-0000-7000-8000-000000000001")).status, 404)
        assert.strictEqual((yield* get("/audit/consistency?from=1")).status, 404)
        const [first] = yield* Effect.flatMap(client("ada"), (audit) => audit.audit.events({ query: { limit: 1 } }))
          .pipe(
            Effect.map(({ items }) => items)
          )
        yield* get(`/audit/events/${first?.eventId}/proof`)
        assert.strictEqual((yield* get("/audit/consistency?from=1")).status, 200)
        assert.match(yield* text(yield* get("/audit/consistency?from=5000")), /at most the size.*"status":400/)
        assert.strictEqual((yield* get("/audit/tile/0/999")).status, 404)
        assert.strictEqual((yield* get("/audit/tile/../../etc/passwd")).status, 404)
        assert.match(yield* text(yield* get("/audit/events?cursor=x")), /cursor/)
      }))

    it.live("follows: from a position, again from the last id, without gap or repeat", () =>
      Effect.gen(function*() {
        const { emit, get, inputs, url } = yield* serve(medium)
        yield* Effect.forEach([0, 1, 2, 3], (n) => emit(n))
        const query = "/audit/events/tail?action=note.create&after=-1"
        const first = yield* sse(url + query, "ada", {}, 3)
        assert.deepStrictEqual(first, [1, 2, 3])
        const [rest] = yield* Effect.all([
          sse(url + query, "ada", { "last-event-id": String(first.at(-1)) }, 3),
          Effect.delay(Effect.forEach([4, 5], (n) => emit(n)), 50)
        ], { concurrency: 2 })
        // The reading of the stream is recorded in between.
        assert.strictEqual(rest[0], 4)
        // From now on: where that is stands in the answer, before there is any event.
        const answer = yield* get("/audit/events/tail?action=note.none")
        const reader = answer.body!.getReader()
        const { value } = yield* Effect.promise(() => reader.read())
        assert.match(Buffer.from(value ?? []).toString(), /^id: \d+\n\n/)
        yield* Effect.promise(() => reader.cancel())
        const follows = yield* inputs("audit_trail.follow")
        assert.deepStrictEqual(follows.map((input) => input.after), [-1, 3, undefined])
        assert.strictEqual(new Set(rest).size, 3)
        assert.strictEqual((yield* get("/audit/events/tail", "ada", { headers: { "last-event-id": "x" } })).status, 400)
      }))

    it.live("previews and does an erasure, holds and releases, and changes preferences", () =>
      Effect.gen(function*() {
        const { client, emit } = yield* serve(medium)
        yield* emit(1)
        const { audit } = yield* client("ada")
        const selection = { person: RequestContext.Id.make("u7") }
        yield* audit.hold({ payload: { selection, name: "case 1", reason: "law" } })
        // The event, the record of the hold, and that of this very question name the person.
        assert.deepStrictEqual(yield* audit.previewErasure({ payload: selection }), {
          count: 3,
          held: 3,
          positions: [[1, 3]]
        })
        const held = yield* Effect.flip(audit.erase({ payload: { selection, reason: "request" } }))
        assert.strictEqual(held._tag, "Conflict")
        yield* audit.release({ payload: { name: "case 1", reason: "over" } })
        const erased = yield* audit.erase({ payload: { selection, reason: "request" } })
        // The record of the hold names the person, too.
        assert.isAtLeast(erased.count, 2)
        yield* audit.setPreference({ payload: { userId: RequestContext.Id.make("ada"), trainingAllowed: false } })
        assert.deepStrictEqual(yield* audit.preferences(), [{ userId: "ada", trainingAllowed: false }])
        const findings = yield* Stream.runCollect(yield* audit.verify())
        assert.isTrue(findings.some((finding) => JSON.stringify(finding).includes("\"faults\":0")))
      }))
  })
}
