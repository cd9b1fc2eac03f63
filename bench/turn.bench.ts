/**
 * Callers in a closed loop that give the event loop its turn after each event, with realistic events: each contestant is
 * a process of its own, and they take turns.
 *
 *     npm run bench -- turn
 */
import { execFileSync } from "node:child_process"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { close, contestants } from "./contestants.ts"
import { realistic } from "./realistic.ts"

const names = ["plain", "pino", "pino-fsync", "effect-audit", "effect-audit, no thread"]
const callers = [1, 64, 1024]

/** One contestant, in this process: events a second. */
const measure = async (name: string, folder: string, count: number, millis: number): Promise<number> => {
  const record = await contestants[name]!(folder)
  let next = 0
  let done = 0
  const loop = async (until: number) => {
    while (performance.now() < until) {
      await new Promise<void>((resolve) =>
        record(realistic[next++ % realistic.length]!, () => {
          done++
          setImmediate(resolve)
        })
      )
    }
  }
  const all = (millis: number) => {
    const until = performance.now() + millis
    return Promise.all(Array.from({ length: count }, () => loop(until)))
  }
  // The code is not compiled at first.
  await all(1000)
  done = 0
  const began = performance.now()
  await all(millis)
  const perSecond = done / (performance.now() - began) * 1000
  await close()
  return perSecond
}

const [, , ...args] = process.argv
if (args[0] === "one") {
  const folder = mkdtempSync(join(tmpdir(), "effect-audit-turn-"))
  const perSecond = await measure(args[1] ?? "", folder, Number(args[2]), Number(args[3]))
  rmSync(folder, { recursive: true })
  console.log(perSecond)
  process.exit(0)
}

const median = (values: ReadonlyArray<number>) => values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? 0

export const run = (quick: boolean): void => {
  const file = fileURLToPath(import.meta.url)
  const figures = new Map<string, Array<number>>()
  for (let round = 0; round < (quick ? 1 : 5); round++) {
    for (const count of callers) {
      for (const name of names) {
        const args = [file, "one", name, String(count), quick ? "1000" : "3000"]
        const perSecond = Number(execFileSync(process.execPath, args, { encoding: "utf8" }))
        const key = `${name} ${count}`
        figures.set(key, [...figures.get(key) ?? [], perSecond])
      }
    }
  }
  const of = (name: string, count: number) => median(figures.get(`${name} ${count}`) ?? [])
  console.log(`\n| events per second | ${callers.map((n) => `${n} callers`).join(" | ")} |\n| --- | --- | --- | --- |`)
  for (const name of names) console.log(`| ${name} | ${callers.map((n) => Math.round(of(name, n))).join(" | ")} |`)
  for (const name of names.slice(3)) {
    console.log(
      `| ${name}, of the plain file | ${callers.map((n) => (of(name, n) / of("plain", n)).toFixed(2)).join(" | ")} |`
    )
    console.log(
      `| ${name}, of pino with fsync | ${
        callers.map((n) => (of(name, n) / of("pino-fsync", n)).toFixed(2)).join(" | ")
      } |`
    )
  }
}
