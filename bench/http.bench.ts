/**
 * Where a backend lives: an HTTP server that records one event for each request, with realistic events, next to what a
 * plain file and a logger allow. Each contestant is a process of its own, and so is the load; they take turns, and each
 * figure is the median of its rounds.
 *
 *     npm run bench -- http          as fast as the answers come, 64 connections
 *     npm run bench -- http slow     500 requests a second, on a disk whose every sync takes 10 ms longer
 *     npm run bench -- middleware    an HttpApi without events, with one that its handler emits, and under the middleware
 */
import { execFileSync, fork } from "node:child_process"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"

const servers: { readonly [bench: string]: ReadonlyArray<string> } = {
  http: ["none", "plain", "pino", "pino-fsync", "effect-audit"],
  middleware: ["none", "emit", "middleware"]
}
const path = (name: string) => fileURLToPath(new URL(name, import.meta.url))

interface Figures {
  readonly perSecond: number
  readonly p50: number
  readonly p99: number
  readonly failed: number
  readonly delayMillis: number
  readonly cpuMicros: number
  readonly residentMegabytes: number
}

/** One contestant, once. */
const measure = (bench: string, name: string, millis: number, rate: number, env: NodeJS.ProcessEnv): Promise<Figures> =>
  new Promise((resolve) => {
    const folder = mkdtempSync(join(tmpdir(), "effect-audit-http-"))
    const server = fork(path(`${bench}Server.ts`), [name, folder], { env })
    let served: Partial<Figures> = {}
    server.on("message", (message: Partial<Figures> & { readonly port?: number }) => {
      if (message.port === undefined) {
        served = { ...served, ...message }
        return
      }
      const load = fork(path("httpLoad.ts"), [message.port, 64, millis, rate].map(String))
      load.on("message", (from: "begin" | Partial<Figures>) => {
        if (from === "begin") {
          server.send("begin")
          return
        }
        served = { ...served, ...from }
        server.send("end")
      })
    })
    server.on("exit", () => {
      rmSync(folder, { recursive: true })
      resolve({
        perSecond: 0,
        p50: 0,
        p99: 0,
        failed: 0,
        delayMillis: 0,
        cpuMicros: 0,
        residentMegabytes: 0,
        ...served
      })
    })
  })

const median = (values: ReadonlyArray<number>) => values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? 0

/** A library that makes each sync take 10 ms longer. */
const slowDisk = (): NodeJS.ProcessEnv => {
  const library = join(mkdtempSync(join(tmpdir(), "effect-audit-shim-")), "sync.so")
  execFileSync("gcc", ["-shared", "-fPIC", "-o", library, path("../test/fixtures/failing-sync.c"), "-ldl"])
  return { ...process.env, LD_PRELOAD: library, SYNC_DELAY_US: "10000" }
}

export const run = async (quick: boolean, slow: boolean, bench = "http"): Promise<void> => {
  const contestants = servers[bench] ?? []
  const env = slow ? slowDisk() : process.env
  const rounds = quick ? 1 : 5
  const all = new Map<string, Array<Figures>>(contestants.map((name) => [name, []]))
  for (let round = 0; round < rounds; round++) {
    for (const name of contestants) {
      all.get(name)?.push(await measure(bench, name, quick ? 2000 : 4000, slow ? 500 : 0, env))
    }
  }
  console.log(
    slow ? "\n500 requests/s, each sync takes 10 ms longer\n" : "\nas fast as the answers come, 64 connections\n",
    "| one event for each request | requests/s | p50 ms | p99 ms | loop delay p99 ms | CPU us | MB | failed |\n",
    "| --- | --- | --- | --- | --- | --- | --- | --- |"
  )
  for (const [name, figures] of all) {
    const of = (key: keyof Figures) => median(figures.map((one) => one[key]))
    const rounded = (key: keyof Figures) => of(key).toFixed(1)
    console.log(
      ` | ${name} | ${Math.round(of("perSecond"))} | ${rounded("p50")} | ${rounded("p99")} | ${
        rounded("delayMillis")
      } | ` +
        `${Math.round(of("cpuMicros"))} | ${Math.round(of("residentMegabytes"))} | ${of("failed")} |`
    )
  }
}
