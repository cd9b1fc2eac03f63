/**
 * How fast events are stripped, next to the fastest peer in the same run; clean and hostile texts.
 *
 *     npm run bench -- pii
 */
import { Redactor } from "@redactpii/node"
import { readFileSync } from "node:fs"
import { Pii } from "../src/pii/index.ts"

const events = readFileSync(new URL("../test/fixtures/pii/events.jsonl", import.meta.url), "utf8").split("\n")
  .filter((line) => line !== "").map((line) =>
    (JSON.parse(line) as { readonly payload: Record<string, never> }).payload
  )
const eventBytes = events.reduce((total, event) => total + JSON.stringify(event).length, 0)
const realistic = readFileSync(new URL("events/realistic.ndjson", import.meta.url), "utf8").trimEnd().split("\n")
  .map((line) => JSON.parse(line) as Record<string, never>)
const realisticBytes = realistic.reduce((total, event) => total + JSON.stringify(event).length, 0)
const clean = "the quick brown fox jumps over the lazy dog and then it goes home to sleep. ".repeat(1300)
const log = readFileSync(new URL("../test/fixtures/pii/negatives.jsonl", import.meta.url), "utf8")

const rate = (bytes: number, rounds: number, work: () => void): number => {
  const started = performance.now()
  for (let round = 0; round < rounds; round++) work()
  return bytes * rounds / 1000 / (performance.now() - started)
}
const median = (values: ReadonlyArray<number>) => values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? 0

const hostile = [
  "a@",
  "a@a@",
  "1-1-1-",
  "(((",
  "eyJ.eyJ.",
  "9",
  "f",
  ".",
  "1.1.",
  "::",
  "aa:",
  "A",
  "_-",
  "a=b:",
  "password=\"",
  "-----BEGIN ",
  "+1",
  "12 ",
  "1//0",
  "token: ",
  "{\"a\":\"",
  "é",
  "０",
  "pesel 1 ",
  "password: |\n  ",
  "Cookie: a=",
  "identified by ",
  "QUBA",
  "exp 1/",
  "imei 1 ",
  "<string name=\"key\">",
  "a;b&",
  "password=a;",
  "MIIAAAIBADANBg",
  "tax id is 12 ",
  "born on 1 ",
  "May 1 ",
  "my number is 1 ",
  "key a1b2c3d4e5f6g7h8i9j0 ",
  "a1-b2-c3-",
  "secret=a1b2c3d4",
  "<password>",
  "<password>   ",
  "setenv(\"TOKEN\", ",
  "\"name\": \"x\", \"value\": ",
  "Authorization: A b=",
  "$2a$10$",
  "4111 2222 ",
  "token string = ",
  "password     ",
  "api_key='a",
  "]=",
  "password=\"a${${${${${${\" ",
  "身份证号码 1 ",
  "Bergweg 93 A-A-A-A ",
  "12 rue de la A ",
  "4111111111111111|12|",
  "address: \"A 1 ",
  "-",
  "my-long-slug-",
  "AB1234567 and "
]

export const run = (): void => {
  const redactor = new Redactor()
  const contestants: ReadonlyArray<readonly [string, number, number, () => void]> = [
    [
      "@redactpii/node, realistic events",
      realisticBytes,
      10,
      () => realistic.forEach((event) => redactor.redactObject(event))
    ],
    ["effect-audit, realistic events", realisticBytes, 10, () => realistic.forEach((event) => Pii.strip(event))],
    [
      "@redactpii/node, events with much to find",
      eventBytes,
      10,
      () => events.forEach((event) => redactor.redactObject(event))
    ],
    ["effect-audit, events with much to find", eventBytes, 10, () => events.forEach((event) => Pii.strip(event))],
    ["@redactpii/node, clean text", clean.length, 20, () => redactor.redact(clean)],
    ["effect-audit, clean text", clean.length, 20, () => Pii.scan(clean)],
    ["effect-audit, log lines", log.length, 5, () => Pii.scan(log)]
  ]
  const rates = new Map<string, Array<number>>()
  for (let round = 0; round < 6; round++) {
    for (const [name, bytes, rounds, work] of contestants) {
      const value = rate(bytes, rounds, work)
      // The first round warms up.
      if (round > 0) rates.set(name, [...rates.get(name) ?? [], value])
    }
  }
  console.log("MB/s, median of 5 rounds\n")
  for (const [name] of contestants) console.log(`${median(rates.get(name) ?? []).toFixed(1).padStart(8)}  ${name}`)
  console.log("\nhostile texts: ms for 100 kB, and how many times that 1 MB takes\n")
  for (const unit of hostile) {
    const time = (size: number) => {
      const text = unit.repeat(Math.ceil(size / unit.length))
      return median([0, 1, 2].map(() => {
        const started = performance.now()
        Pii.scan(text)
        return performance.now() - started
      }))
    }
    const small = time(100_000)
    console.log(
      `${small.toFixed(1).padStart(8)}  ${(time(1_000_000) / Math.max(small, 0.5)).toFixed(1).padStart(5)}x  ${
        JSON.stringify(unit)
      }`
    )
  }
}
