/** The viewer in a real browser, over `effect-audit serve` as a process of its own. */
import { AxeBuilder } from "@axe-core/playwright"
import { Effect } from "effect"
import { join } from "node:path"
import { type Browser, chromium, type Page } from "playwright-core"
import { run, start } from "../cli/process.ts"
import { temporaryFolder } from "../support.ts"

export const browserOf = Effect.acquireRelease(
  Effect.promise(() => chromium.launch({ executablePath: "/usr/bin/chromium", args: ["--no-sandbox"] })),
  (browser) => Effect.promise(() => browser.close())
)

/** A store with a key, served; its address with the token. */
export const served = Effect.fnUntraced(function*(lines: string) {
  const folder = yield* temporaryFolder
  const db = join(folder, "audit.db")
  const key = join(folder, "key")
  yield* run(["ingest", "--db", db, "--concurrency", "1"], lines)
  const { stdout: vkey } = yield* run(["keygen", "--out", key, "--name", "test/viewer"])
  const args = ["serve", "--db", db, "--tenant", "t_acme", "--env", "prod", "--key-file", key, "--port", "0"]
  const child = yield* start(args)
  const url = yield* Effect.callback<string>((resume) => {
    child.stdout.once("data", (chunk: Buffer) => resume(Effect.succeed(chunk.toString().trim())))
    child.stderr.on("data", (chunk: Buffer) => {
      if (chunk.toString().startsWith("effect-audit:")) resume(Effect.die(chunk.toString()))
    })
  })
  return { db, url, vkey: vkey.trim() }
})

/** A page; whatever it complains of, or its policy forbids, fails the test. */
export const opened = Effect.fnUntraced(function*(browser: Browser, url: string, wait = true) {
  const complaints: Array<string> = []
  // Colours that are on their way to others are not what is judged.
  const context = yield* Effect.promise(() => browser.newContext({ acceptDownloads: true, reducedMotion: "reduce" }))
  const page = yield* Effect.promise(() => context.newPage())
  page.on("pageerror", (error) => complaints.push(error.message))
  page.on("response", (answer) => answer.status() === 400 && complaints.push(answer.url()))
  page.on("console", (message) => message.type() === "error" && complaints.push(message.text()))
  yield* Effect.promise(async () => {
    await page.addInitScript(
      "addEventListener('securitypolicyviolation', (event) => console.error('policy: ' + event.violatedDirective))"
    )
    await page.goto(url)
    if (wait) await page.waitForSelector("[role=row][data-index='0']")
  })
  return { page, complaints }
})

export const search = (page: Page, text: string) =>
  Effect.promise(async () => {
    await page.fill("[type=search]", text)
    await page.press("[type=search]", "Enter")
    await page.waitForSelector(`.counts[data-loaded=${JSON.stringify(text)}]`)
  })

export const violations = (page: Page) =>
  Effect.map(
    Effect.promise(() => new AxeBuilder({ page }).withTags(["wcag2a", "wcag2aa", "wcag21aa", "wcag22aa"]).analyze()),
    ({ violations }) => violations.map(({ id, nodes }) => `${id}: ${nodes[0]?.html.slice(0, 120)}`)
  )
