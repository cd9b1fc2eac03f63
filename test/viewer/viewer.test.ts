/** The viewer in a real browser, over `effect-audit serve` as a process of its own. */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { readFileSync } from "node:fs"
import { DatabaseSync } from "node:sqlite"
import type { Page } from "playwright-core"
import { line, run } from "../cli/process.ts"
import { browserOf, opened, search, served, violations } from "./browser.ts"

const hostile =
  "\"><img src=x onerror=document.title='hit'> <script>document.title='hit'</script> \u001b[2J \u202e\u0000"

/** Some ordinary events, and one with everything that a page may fall for. */
const lines = Array.from({ length: 320 }, (_, n) =>
  line(n, {
    context: n % 4 === 0 ? { actor: { type: "agent", id: "helper", onBehalfOf: "ada" } } : {},
    draft: {
      action: n % 3 === 0 ? "note.create" : "order.read",
      outcome: n === 7 ? "denied" : "success",
      resource: { type: "note", id: n === 7 ? hostile : `n${n}` },
      input: n === 7 ? { [hostile]: `mail kim@example.org ${hostile}` } : { n },
      ...(n === 319 ? { change: { before: { title: "old" }, after: { title: hostile } } } : {})
    }
  })).join("")

const proofOf = (page: Page, vkey: string) =>
  Effect.promise(async () => {
    await page.fill(".drawer section[aria-label=Proof] input", vkey)
    await page.click("text=Check the proof here")
    await page.waitForSelector(".proof.good, .proof.bad")
    return await page.textContent(".proof") ?? ""
  })

/** In the page: opens the help, and closes it in the turn in which it appears, before anything is painted. */
const escapedAtOnce = `new Promise((resolve) => {
  const press = (key) => dispatchEvent(new KeyboardEvent("keydown", { key }))
  new MutationObserver((_, observer) => {
    observer.disconnect()
    press("Escape")
    resolve()
  }).observe(document.body, { childList: true, subtree: true })
  press("?")
})`

describe("the viewer", () => {
  it.live(
    "finds a refused access, shows what was taken out, proves it, and sees that the store was changed",
    () =>
      Effect.gen(function*() {
        const { db, url, vkey } = yield* served(lines)
        const { complaints, page } = yield* opened(yield* browserOf, url)
        assert.notInclude(page.url(), "token")
        yield* search(page, "outcome:denied")
        assert.match((yield* Effect.promise(() => page.textContent(".counts"))) ?? "", /^1 loaded/)
        yield* Effect.promise(() => page.click("[role=row][data-index='0']"))
        yield* Effect.promise(() => page.waitForSelector(".drawer"))
        assert.include(yield* Effect.promise(() => page.locator(".drawer mark").allTextContents()), "[EMAIL]")
        // What an event says is text, all of it.
        assert.strictEqual(
          yield* Effect.promise(() => page.locator(".drawer img, .drawer script, .grid img").count()),
          0
        )
        assert.strictEqual(yield* Effect.promise(() => page.title()), "Audit trail")
        assert.include((yield* Effect.promise(() => page.textContent(".drawer"))) ?? "", "<img src=x")
        assert.include((yield* Effect.promise(() => page.textContent("[data-index='0']"))) ?? "", "\\u202e")
        assert.match(yield* proofOf(page, vkey), /^Holds: position 8 of .*until 20.* s ago\)$/)
        const other = yield* run(["keygen", "--out", `${db}.other`, "--name", "test/other"])
        assert.match(yield* proofOf(page, other.stdout.trim()), /^Does not hold: .*not signed with this key/)
        assert.deepStrictEqual(yield* violations(page), [])

        const store = new DatabaseSync(db)
        for (const { name } of store.prepare("SELECT name FROM sqlite_master WHERE type = 'trigger'").all()) {
          store.exec(`DROP TRIGGER "${String(name)}"`)
        }
        store.exec(
          "UPDATE audit_event SET body = CAST(replace(CAST(body AS TEXT), '\"denied\"', '\"success\"') AS BLOB) " +
            "WHERE position = 8"
        )
        store.close()
        yield* search(page, "request:r7")
        yield* Effect.promise(() => page.click("[role=row][data-index='0']"))
        assert.match((yield* Effect.promise(() => page.textContent("[data-index='0'] .outcome"))) ?? "", /^success/)
        assert.match(yield* proofOf(page, vkey), /^Does not hold/)
        assert.deepStrictEqual(complaints.filter((text) => !text.includes("status of 500")), [])
      }),
    60_000
  )

  it.live(
    "follows what another process writes, says when it pauses, and brings one back",
    () =>
      Effect.gen(function*() {
        const { db, url } = yield* served(lines)
        const { complaints, page } = yield* opened(yield* browserOf, url)
        yield* search(page, "action:note.*")
        yield* Effect.promise(() => page.keyboard.press("Escape"))
        yield* Effect.promise(() => page.locator("header h1").click())
        yield* Effect.promise(() => page.keyboard.press("?"))
        yield* Effect.promise(() => page.waitForSelector(".help"))
        yield* Effect.promise(() => page.keyboard.press("Escape"))
        yield* Effect.promise(() => page.waitForSelector(".help", { state: "detached" }))
        yield* Effect.promise(() => page.evaluate(escapedAtOnce))
        yield* Effect.promise(() => page.waitForSelector(".help", { state: "detached" }))
        yield* Effect.promise(() => page.click("text=Live"))
        yield* Effect.promise(() => page.waitForSelector(".live >> text=/^Live$/"))
        yield* run(["ingest", "--db", db], line(1000, { draft: { action: "note.live" } }))
        yield* Effect.promise(() => page.waitForSelector("[data-index='0'] >> text=note.live"))
        yield* Effect.promise(() => page.click("[data-index='3']"))
        yield* Effect.promise(() => page.waitForSelector("text=Live is paused while you read"))
        const before = yield* Effect.promise(() => page.textContent("[data-index='3']"))
        yield* run(["ingest", "--db", db], line(1001, { draft: { action: "note.late" } }))
        yield* Effect.promise(() => page.waitForSelector("text=1 new"))
        assert.strictEqual(yield* Effect.promise(() => page.textContent("[data-index='3']")), before)
        yield* Effect.promise(() => page.click("text=1 new"))
        yield* Effect.promise(() => page.waitForSelector("[data-index='0'] >> text=note.late"))
        assert.deepStrictEqual(complaints, [])
      }),
    60_000
  )

  it.live(
    "is worked by the keyboard, keeps its state in the address, and passes in light, dark and narrow",
    () =>
      Effect.gen(function*() {
        const { url } = yield* served(lines)
        const { complaints, page } = yield* opened(yield* browserOf, url)
        yield* Effect.promise(async () => {
          await page.keyboard.press("j")
          await page.keyboard.press("j")
          await page.keyboard.press("ArrowDown")
          await page.keyboard.press("Enter")
          await page.waitForSelector(".drawer")
        })
        const position = yield* Effect.promise(() => page.getAttribute(".drawer", "aria-label"))
        yield* Effect.promise(() => page.keyboard.press("k"))
        yield* Effect.promise(() => page.waitForSelector(`.drawer:not([aria-label="${position}"])`))
        // The row has the focus while the event beside it changes.
        assert.strictEqual(
          yield* Effect.promise(() => page.evaluate("document.activeElement.getAttribute('role')")),
          "row"
        )
        assert.match(page.url(), /open=/)
        for (const colorScheme of ["light", "dark"] as const) {
          yield* Effect.promise(() => page.emulateMedia({ colorScheme }))
          assert.deepStrictEqual(yield* violations(page), [], colorScheme)
        }
        yield* Effect.promise(() => page.keyboard.press("Escape"))
        yield* Effect.promise(() => page.waitForSelector(".drawer", { state: "detached" }))
        yield* Effect.promise(() => page.keyboard.press("/"))
        yield* Effect.promise(() => page.keyboard.type("outcome:denied"))
        yield* Effect.promise(() => page.keyboard.press("Enter"))
        yield* Effect.promise(() => page.waitForSelector("text=1 loaded"))
        assert.match(page.url(), /q=outcome%3Adenied/)
        yield* Effect.promise(() => page.goBack())
        yield* Effect.promise(() => page.waitForSelector("text=250 loaded"))
        yield* Effect.promise(() => page.fill("[type=search]", "nonsense"))
        yield* Effect.promise(() => page.waitForSelector("[role=alert] >> text=nonsense"))
        yield* Effect.promise(() => page.setViewportSize({ width: 420, height: 800 }))
        assert.deepStrictEqual(yield* violations(page), [])
        yield* search(page, "")
        // What was done, and how it ended, is seen without scrolling.
        const outcome = yield* Effect.promise(() => page.locator("[data-index='0'] .outcome").boundingBox())
        assert(outcome !== null)
        assert.isAtMost(outcome.x + outcome.width, 420)
        yield* Effect.promise(() => page.setViewportSize({ width: 1280, height: 800 }))
        yield* Effect.promise(() => page.waitForSelector("[role=columnheader]:nth-child(2) >> text=Time"))
        assert.deepStrictEqual(complaints, [])
      }),
    60_000
  )

  it.live(
    "brushes the histogram, scrolls to the last row, and exports all that is found",
    () =>
      Effect.gen(function*() {
        const { url } = yield* served(lines)
        const { complaints, page } = yield* opened(yield* browserOf, url)
        yield* search(page, "action:note.*")
        const box = yield* Effect.promise(() => page.locator(".histogram svg").boundingBox())
        assert(box !== null)
        yield* Effect.promise(async () => {
          await page.mouse.move(box.x + box.width * 0.1, box.y + 10)
          await page.mouse.down()
          await page.mouse.move(box.x + box.width * 0.9, box.y + 10)
          await page.mouse.up()
          await page.waitForURL(/since/)
        })
        yield* search(page, "action:note.*")
        const [download] = yield* Effect.promise(() =>
          Promise.all([page.waitForEvent("download"), page.click("text=Export NDJSON")])
        )
        const file = yield* Effect.promise(() => download.path())
        assert(file !== null)
        const rows = readFileSync(file, "utf8").trimEnd().split("\n").map((row) =>
          (JSON.parse(row) as { readonly action: string }).action
        )
        assert.strictEqual(rows.length, 107)
        assert.isTrue(rows.every((action) => action === "note.create"))
        yield* search(page, "")
        yield* Effect.promise(async () => {
          await page.waitForSelector("text=250 loaded, more as you scroll")
          await page.locator("[role=grid]").evaluate((grid) => grid.scrollTo({ top: 1e9 }))
          await page.waitForSelector(".counts >> text=/^[0-9]+ loaded$/")
        })
        assert.deepStrictEqual(complaints, [])
      }),
    60_000
  )

  it.live("shows nothing to someone without the token", () =>
    Effect.gen(function*() {
      const { url } = yield* served(lines)
      const { page } = yield* opened(yield* browserOf, url.replace(/#.*/, ""), false)
      yield* Effect.promise(() => page.waitForSelector("[role=alert] >> text=The token of this viewer is required"))
      const answer = yield* Effect.promise(() => fetch(new URL("/audit/events", url)))
      assert.strictEqual(answer.status, 401)
      const html = yield* Effect.promise(() => fetch(url.replace(/#.*/, "")))
      assert.match(html.headers.get("content-security-policy") ?? "", /default-src 'none'.*require-trusted-types-for/)
    }), 60_000)
})
