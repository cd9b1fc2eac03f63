/**
 * Events per second of the whole write path into PostgreSQL, next to what the server takes of the same bytes, in one run:
 * contestants take turns, and each figure is the median of its rounds.
 *
 *     npm run bench -- postgres [quick]
 */
import { PgClient } from "@effect/sql-pg"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import { SqlClient } from "effect/sql/SqlClient"
import { spawn } from "node:child_process"
import { once } from "node:events"
import { fileURLToPath } from "node:url"
import { Server } from "../test/postgres/instance.ts"
import { loops, median, timed } from "./emit.bench.ts"
import { emitting, store } from "./postgresWriter.ts"

/** What is stored of one event of the bench, in bytes. */
const body = Buffer.from("x".repeat(1010))
const row = () => ({ id: crypto.randomUUID(), commitment: body.subarray(0, 32), salt: body.subarray(0, 32), body })

const client = (port: number) =>
  PgClient.layer({
    host: "127.0.0.1",
    port,
    database: "postgres",
    username: "postgres",
    password: Redacted.make("secret"),
    maxConnections: 16
  })

const table = (sql: SqlClient, name: string) =>
  Effect.andThen(
    sql.unsafe(`DROP TABLE IF EXISTS ${name}`),
    sql.unsafe(
      `CREATE TABLE ${name} (seq bigserial PRIMARY KEY, at timestamptz, id uuid, commitment bytea, salt bytea, body bytea)`
    )
  )

/** One row, one statement, one commit. */
const single = (callers: number, total: number) =>
  Effect.gen(function*() {
    const sql = yield* SqlClient
    yield* table(sql, "bare_single")
    return yield* timed(
      loops(callers, total, () => {
        const { body, commitment, id, salt } = row()
        return sql.unsafe(
          "INSERT INTO bare_single (at, id, commitment, salt, body) VALUES (now(), $1::uuid, $2, $3, $4)",
          [id, commitment, salt, body]
        )
      }),
      total
    )
  })

/** What waits together is one statement of many rows: nothing is stripped, hashed, proven or found. */
const bulk = (callers: number, total: number) =>
  Effect.gen(function*() {
    const sql = yield* SqlClient
    yield* table(sql, "bare_bulk")
    let waiting: Array<{ readonly row: ReturnType<typeof row>; readonly resume: () => void }> = []
    const services = yield* Effect.context<never>()
    const run = Effect.runPromiseWith(services)
    let isWriting = false
    const flush = (): void => {
      const batch = waiting
      waiting = []
      isWriting = batch.length > 0
      if (batch.length === 0) return
      const insert = sql.unsafe(
        "INSERT INTO bare_bulk (at, id, commitment, salt, body) SELECT now(), id::uuid, commitment, salt, body " +
          "FROM unnest($1::text[], $2::bytea[], $3::bytea[], $4::bytea[]) AS u(id, commitment, salt, body)",
        [
          batch.map(({ row }) => row.id),
          batch.map(({ row }) => row.commitment),
          batch.map(({ row }) => row.salt),
          batch.map(({ row }) => row.body)
        ]
      )
      void run(insert).then(() => {
        for (const { resume } of batch) resume()
        setImmediate(flush)
      })
    }
    const add = () =>
      Effect.callback<void>((resume) => {
        waiting.push({ row: row(), resume: () => resume(Effect.void) })
        if (isWriting) return
        isWriting = true
        setImmediate(flush)
      })
    return yield* timed(loops(callers, total, add), total)
  })

const writer = fileURLToPath(new URL("postgresWriter.ts", import.meta.url))

/** Several processes on one log, from the first begin to the last end. */
const together = (port: number, schema: string, processes: number, callers: number, each: number) =>
  Effect.promise(async () => {
    const children = Array.from({ length: processes }, () => {
      const child = spawn(process.execPath, [writer, String(port), schema, String(callers), String(each)], {
        stdio: ["pipe", "pipe", "inherit"]
      })
      return { child, lines: child.stdout[Symbol.asyncIterator]() as AsyncIterator<Buffer> }
    })
    for (const { lines } of children) await lines.next()
    for (const { child } of children) child.stdin.write("go\n")
    const times = await Promise.all(children.map(async ({ child, lines }) => {
      const { value } = await lines.next()
      if (child.exitCode === null) await once(child, "exit")
      return JSON.parse(String(value)) as readonly [number, number]
    }))
    const took = Math.max(...times.map(([, to]) => to)) - Math.min(...times.map(([from]) => from))
    return Math.round(processes * each / took * 1000)
  })

export const run = async (quick: boolean): Promise<void> => {
  const server = await Server.make()
  const { port } = server
  let schemas = 0
  const fresh = () => `bench_${schemas++}`
  const n = (total: number) => Math.round(total * (quick ? 0.3 : 1))
  const bare = Effect.provide(client(port))
  const contestants: ReadonlyArray<readonly [string, () => Effect.Effect<number, unknown>]> = [
    ["one row per statement, 64 callers", () => bare(single(64, n(20_000)))],
    ["bare insert of many rows, 64 callers", () => bare(bulk(64, n(60_000)))],
    [
      "effect-audit, 64 callers",
      () => Effect.provide(emitting(64, n(50_000), 1), store(port, fresh()))
    ],
    [
      "effect-audit, 64 callers, 1,000 tenants",
      () => Effect.provide(emitting(64, n(50_000), 1000), store(port, fresh()))
    ],
    ["bare insert of many rows, 1,024 callers", () => bare(bulk(1024, n(60_000)))],
    ["effect-audit, 1,024 callers", () => Effect.provide(emitting(1024, n(50_000), 1), store(port, fresh()))],
    ["effect-audit, 4 processes of 16 callers on one log", () => together(port, fresh(), 4, 16, n(12_000))],
    ["effect-audit, 4 processes of 64 callers on one log", () => together(port, fresh(), 4, 64, n(12_000))]
  ]
  const rates = new Map<string, Array<number>>()
  try {
    for (let round = 0; round < (quick ? 2 : 4); round++) {
      for (const [name, contestant] of contestants) {
        const rate = await Effect.runPromise(contestant())
        if (round > 0) rates.set(name, [...rates.get(name) ?? [], rate])
      }
    }
  } finally {
    await server.remove()
  }
  const rate = (name: string) => median(rates.get(name) ?? [])
  console.log(`events per second, median of ${quick ? 1 : 3} rounds\n`)
  for (const [name] of contestants) console.log(`${String(rate(name)).padStart(8)}  ${name}`)
  const ratio = (a: string, b: string) => (rate(a) / rate(b)).toFixed(2)
  const bulked = "bare insert of many rows, 64 callers"
  console.log(`
${ratio("effect-audit, 64 callers", bulked)} of the bare insert, 64 callers
${ratio("effect-audit, 64 callers", "one row per statement, 64 callers")} times one row per statement, 64 callers
${ratio("effect-audit, 64 callers, 1,000 tenants", "effect-audit, 64 callers")} of one tenant's rate with 1,000 tenants
${ratio("effect-audit, 4 processes of 16 callers on one log", bulked)} of the bare insert, 4 processes of 16 callers
${ratio("effect-audit, 4 processes of 64 callers on one log", bulked)} of the bare insert, 4 processes of 64 callers`)
}
