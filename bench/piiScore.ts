/**
 * How well the detectors find the labelled examples in `test/fixtures/pii`.
 *
 *     npm run pii:score              figures per kind, compared with the recorded ones
 *     npm run pii:score -- --record  records them
 *     npm run pii:score -- KIND      what is missed and found wrongly of a kind
 *
 * A labelled span is found if a finding of its kind covers at least half of it; a finding that touches no label is wrong,
 * and one of another kind counts for neither. Leaked are the characters of labelled spans that no finding covers. In partly
 * labelled texts findings that touch no label are ignored.
 */
import { readFileSync, writeFileSync } from "node:fs"
import { Pii } from "../src/pii/index.ts"
import { Names } from "../src/pii/names/index.ts"

const folder = new URL("../test/fixtures/pii/", import.meta.url)
const figuresFile = new URL("figures.json", folder)
const read = <A>(name: string): ReadonlyArray<A> =>
  readFileSync(new URL(name, folder), "utf8").split("\n").filter((line) => line !== "").map((line) =>
    JSON.parse(line) as A
  )

interface Label {
  readonly start: number
  readonly end: number
  readonly type: string
  readonly okStart?: number
  readonly okEnd?: number
}
interface Text {
  readonly id: string
  readonly source: string
  readonly cat?: string
  readonly text: string
  readonly spans: ReadonlyArray<Label>
  readonly partial?: boolean
}
interface Event {
  readonly id: string
  readonly payload: Record<string, unknown>
  readonly leaks: ReadonlyArray<
    { readonly type: string; readonly value: unknown; readonly form: string; readonly key?: string }
  >
  readonly keeps: ReadonlyArray<{ readonly key: string; readonly value: unknown }>
  readonly flags: ReadonlyArray<string>
}

export const core = [
  "EMAIL",
  "PHONE",
  "CREDIT_CARD",
  "IBAN",
  "IP",
  "US_SSN",
  "MAC",
  "CRYPTO_ADDRESS",
  "JWT",
  "PRIVATE_KEY",
  "SECRET",
  "URL_CREDENTIALS"
]
const second = [
  "PASSWORD",
  "NATIONAL_ID",
  "PASSPORT",
  "POSTAL_CODE",
  "STREET_ADDRESS",
  "DATE_OF_BIRTH",
  "CVV",
  "BANK_ACCOUNT"
]
const scored = new Set([...core, ...second])

export interface Counts {
  found: number
  missed: number
  wrong: number
}
const rates = ({ found, missed, wrong }: Counts) => {
  const precision = found + wrong === 0 ? 1 : found / (found + wrong)
  const recall = found + missed === 0 ? 1 : found / (found + missed)
  const f = (beta: number) => {
    const denominator = beta * beta * precision + recall
    return denominator === 0 ? 0 : (1 + beta * beta) * precision * recall / denominator
  }
  return { precision, recall, f1: f(1), f2: f(2) }
}

export interface Example {
  readonly what: "missed" | "wrong"
  readonly kind: string
  readonly id: string
  readonly value: string
  readonly text: string
}

export const score = (examples: Array<Example> = [], only: (text: Text) => boolean = () => true) => {
  const counts = new Map<string, Counts>()
  const of = (kind: string) => {
    const known = counts.get(kind) ?? { found: 0, missed: 0, wrong: 0 }
    counts.set(kind, known)
    return known
  }
  let leaked = 0
  let labelled = 0
  for (const text of read<Text>("spans.jsonl")) {
    if (text.source === "evasion" || !only(text)) continue
    const findings = Pii.scan(text.text)
    const covered = (label: Label, kind?: string) => {
      let count = 0
      for (const finding of findings) {
        if (kind !== undefined && finding.kind !== kind) continue
        count += Math.max(0, Math.min(finding.end, label.end) - Math.max(finding.start, label.start))
      }
      return count
    }
    for (const label of text.spans) {
      if (!scored.has(label.type)) continue
      const length = label.end - label.start
      if (covered(label, label.type) * 2 >= length) of(label.type).found++
      else {
        of(label.type).missed++
        examples.push({
          what: "missed",
          kind: label.type,
          id: text.id,
          value: text.text.slice(label.start, label.end),
          text: text.text
        })
      }
      if (core.includes(label.type)) {
        labelled += length
        leaked += length - Math.min(length, covered(label))
      }
    }
    for (const finding of findings) {
      const touched = text.spans.some((label) =>
        finding.start < (label.okEnd ?? label.end) && finding.end > (label.okStart ?? label.start)
      )
      if (touched || text.partial === true) continue
      of(finding.kind).wrong++
      examples.push({
        what: "wrong",
        kind: finding.kind,
        id: text.id,
        value: text.text.slice(finding.start, finding.end),
        text: text.text
      })
    }
  }
  let touchedNegatives = 0
  const negatives = read<Text>("negatives.jsonl")
  for (const text of negatives) {
    const findings = Pii.scan(text.text)
    if (findings.length > 0) touchedNegatives++
    for (const finding of findings) {
      of(finding.kind).wrong++
      examples.push({
        what: "wrong",
        kind: finding.kind,
        id: text.id,
        value: text.text.slice(finding.start, finding.end),
        text: text.text
      })
    }
  }
  const kinds = Object.fromEntries([...core, ...second].map((kind) => [kind, { ...of(kind), ...rates(of(kind)) }]))
  const sum = { found: 0, missed: 0, wrong: 0 }
  for (const kind of core) {
    sum.found += of(kind).found
    sum.missed += of(kind).missed
    sum.wrong += of(kind).wrong
  }
  const macroF1 = core.reduce((total, kind) => total + rates(of(kind)).f1, 0) / core.length
  return {
    kinds,
    micro: rates(sum),
    macroF1,
    leaked: leaked / labelled,
    negatives: touchedNegatives / negatives.length
  }
}

const survives = (value: unknown, text: string, leaves: ReadonlyArray<unknown>): boolean => {
  const raw = String(value)
  if (raw.length < 6) return leaves.some((leaf) => String(leaf) === raw)
  const escaped = JSON.stringify(raw).slice(1, -1)
  return [raw, escaped, JSON.stringify(escaped).slice(1, -1), encodeURIComponent(raw)].some((form) =>
    text.includes(form)
  )
}
const leavesOf = (value: unknown): ReadonlyArray<unknown> =>
  typeof value === "object" && value !== null ? Object.values(value).flatMap(leavesOf) : [value]

export const scoreEvents = (examples: Array<Example> = []) => {
  const result = {
    core: 0,
    coreLeaked: 0,
    keyOnly: 0,
    keyOnlyLeaked: 0,
    keeps: 0,
    keepsLost: 0,
    flagsWrong: 0,
    events: 0
  }
  for (const event of read<Event>("events.jsonl")) {
    const { counts, value } = Pii.strip(event.payload as never)
    const text = JSON.stringify(value)
    const leaves = leavesOf(value)
    result.events++
    for (const leak of event.leaks) {
      const keyOnly = leak.form === "key-only"
      const leaked = survives(leak.value, text, leaves)
      result[keyOnly ? "keyOnly" : "core"]++
      if (!leaked) continue
      result[keyOnly ? "keyOnlyLeaked" : "coreLeaked"]++
      examples.push({
        what: "missed",
        kind: leak.type,
        id: event.id,
        value: `${leak.key ?? ""} ${leak.form} ${String(leak.value)}`,
        text
      })
    }
    for (const keep of event.keeps) {
      result.keeps++
      if (leaves.some((leaf) => leaf === keep.value)) continue
      result.keepsLost++
      examples.push({ what: "wrong", kind: "keep", id: event.id, value: `${keep.key}: ${String(keep.value)}`, text })
    }
    if ([...counts.keys()].toSorted().join() !== event.flags.toSorted().join()) {
      result.flagsWrong++
      examples.push({
        what: "wrong",
        kind: "flags",
        id: event.id,
        value: `${[...counts.keys()].toSorted().join()} for ${event.flags.join()}`,
        text
      })
    }
  }
  return result
}

/**
 * How many labelled names the detector for names touches, how many of its findings touch one, and how many texts without
 * a name it changes: of those that are labelled whole and were not generated. And its speed.
 */
const scoreNames = () => {
  let [labels, found, findings, right, without, touched] = [0, 0, 0, 0, 0, 0]
  const texts = read<Text>("spans.jsonl")
  for (const { partial, source, spans, text } of texts) {
    if (partial === true) continue
    const names = spans.filter(({ type }) => type === "PERSON")
    const all = [...Names.detector(text)]
    const meets = (a: { readonly start: number; readonly end: number }, b: typeof a) =>
      a.start < b.end && a.end > b.start
    labels += names.length
    found += names.filter((name) => all.some((one) => meets(one, name))).length
    if (names.length > 0) {
      findings += all.length
      right += all.filter((one) => names.some((name) => meets(one, name))).length
    } else if (source !== "generated") {
      without++
      if (all.length > 0) touched++
    }
  }
  const began = performance.now()
  for (let round = 0; round < 10; round++) for (const { text } of texts) Names.detector(text)
  const bytes = 10 * texts.reduce((sum, { text }) => sum + text.length, 0)
  const speed = bytes / 1000 / (performance.now() - began)
  return { recall: found / labels, precision: right / findings, touched: touched / without, speed }
}

/** Figures that must not fall: F1 per kind, and shares, in percent. */
export const figures = () => {
  const { kinds, leaked, macroF1, micro, negatives } = score()
  const events = scoreEvents()
  const percent = (share: number) => Math.round(share * 1000) / 10
  return {
    f1: Object.fromEntries(Object.entries(kinds).map(([kind, { f1 }]) => [kind, percent(f1)])),
    microF1: percent(micro.f1),
    microF2: percent(micro.f2),
    macroF1: percent(macroF1),
    leakedCharacters: percent(leaked),
    negativesTouched: percent(negatives),
    eventCoreLeaked: percent(events.coreLeaked / events.core),
    eventKeyOnlyLeaked: percent(events.keyOnlyLeaked / events.keyOnly),
    eventKeepsLost: percent(events.keepsLost / events.keeps),
    eventFlagsWrong: percent(events.flagsWrong / events.events)
  }
}
export type Figures = ReturnType<typeof figures>
export const recorded = (): Figures => JSON.parse(readFileSync(figuresFile, "utf8")) as Figures

const show = (args: ReadonlyArray<string>) => {
  const wanted = args.find((arg) => /^[A-Za-z_]+$/.test(arg))
  if (wanted !== undefined) {
    const examples: Array<Example> = []
    score(examples)
    scoreEvents(examples)
    for (const { id, kind, text, value, what } of examples) {
      if (kind === wanted) console.log(`${what}  ${id}  <<${value}>>  ${text.slice(0, 200).replaceAll("\n", "\\n")}`)
    }
    return
  }
  const { kinds } = score()
  console.log("kind              precision  recall     F1     F2   found missed wrong")
  for (const [kind, k] of Object.entries(kinds)) {
    const cells = [k.precision, k.recall, k.f1, k.f2].map((share) => (share * 100).toFixed(1).padStart(6)).join(" ")
    console.log(
      `${kind.padEnd(18)} ${cells}  ${String(k.found).padStart(5)} ${String(k.missed).padStart(6)} ${
        String(k.wrong).padStart(5)
      }`
    )
  }
  const thirdParty = score([], ({ source }) => source !== "generated")
  const now = figures()
  console.log(
    `third-party data: micro F1 ${(thirdParty.micro.f1 * 100).toFixed(1)}, F2 ${
      (thirdParty.micro.f2 * 100).toFixed(1)
    }\n`
  )
  const { precision, recall, speed, touched } = scoreNames()
  const [found, right, changed] = [recall, precision, touched].map((share) => (share * 100).toFixed(1))
  console.log(
    `names, switched on: recall ${found} %, precision ${right} %, texts without one touched ${changed} %, ${
      speed.toFixed(0)
    } MB/s\n`
  )
  if (args.includes("--record")) writeFileSync(figuresFile, `${JSON.stringify(now, null, 2)}\n`)
  const before: Record<string, unknown> = recorded()
  for (const [name, value] of Object.entries(now)) {
    if (typeof value === "number") {
      console.log(`${name.padEnd(20)} ${String(value).padStart(6)} %   recorded ${String(before[name])} %`)
    }
  }
}

if (import.meta.main) show(process.argv.slice(2))
