/** What is looked at of a file before it is opened as a store: it is made, taken, or refused and not touched. */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import {
  chmodSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  writeFileSync
} from "node:fs"
import { join } from "node:path"
import { DatabaseSync } from "node:sqlite"
import { isHeld, releaseFile } from "../../src/internal/files.ts"
import { checkFile } from "../../src/sqlite/file.ts"
import { applicationId, migrate, version } from "../../src/sqlite/Migrations.ts"
import { temporaryFolder } from "../support.ts"

const inFolder = (name: string, use: (folder: string) => void) =>
  it.live(name, () => Effect.scoped(Effect.map(temporaryFolder, use)))
const plain = { adopt: false, mustExist: false }
const why = (path: string, options = plain) => {
  const before = existsSync(path) && statSync(path).isFile() ? readFileSync(path) : undefined
  const checked = checkFile(path, options)
  assert("reason" in checked, path)
  assert.deepStrictEqual(existsSync(path) && statSync(path).isFile() ? readFileSync(path) : undefined, before)
  return [checked.reason._tag, "detail" in checked.reason ? checked.reason.detail : ""]
}
const taken = (path: string, options = plain) => {
  const checked = checkFile(path, options)
  assert("identity" in checked, JSON.stringify(checked))
  assert.deepStrictEqual(checked.identity, { dev: statSync(path).dev, ino: statSync(path).ino })
  assert.isTrue(isHeld(checked.identity))
  releaseFile(checked.identity)
  assert.isFalse(isHeld(checked.identity))
  return statSync(path).size === 0
}
const database = (path: string, statements: string) => {
  const db = new DatabaseSync(path)
  db.exec(statements)
  db.close()
}
const store = (path: string, more = "") => {
  const db = new DatabaseSync(path)
  db.exec(`PRAGMA application_id = ${applicationId}; BEGIN`)
  migrate(db, 0)
  db.exec("COMMIT")
  db.exec(more)
  db.close()
}

describe("a file that a store is opened at", () => {
  it("has a path of a file", () => {
    for (const path of ["", ":memory:", "/tmp/:memory:", "file:a.db", "/tmp/file:a.db"]) {
      assert.deepStrictEqual(why(path), ["SinkRejected", "filename must be the path of a file"])
    }
  })

  inFolder("is made where it is missing, for its owner alone, unless it must be there", (folder) => {
    const path = join(folder, "a.db")
    assert.deepStrictEqual(why(path, { ...plain, mustExist: true }), ["NotFound", `there is no file ${path}`])
    assert.isFalse(existsSync(path))
    assert.isTrue(taken(path))
    assert.strictEqual(statSync(path).mode & 0o777, 0o600)
    assert.isTrue(taken(path))
    assert.deepStrictEqual(why(path, { ...plain, mustExist: true }), [
      "NotFound",
      `${path} is empty: it is no audit store`
    ])
    assert.deepStrictEqual(why(join(folder, "none", "a.db")), [
      "SinkUnavailable",
      `cannot open ${join(folder, "none", "a.db")}: ENOENT`
    ])
    // A name with what an address would read as something else.
    assert.isTrue(taken(join(folder, "a?mode=ro#x%20.db")))
  })

  inFolder("is a regular file of its own", (folder) => {
    const path = join(folder, "a.db")
    mkdirSync(path)
    assert.deepStrictEqual(why(path), ["SinkRejected", `${path} is not a regular file`])
    const link = join(folder, "link.db")
    store(join(folder, "real.db"))
    symlinkSync(join(folder, "real.db"), link)
    assert.deepStrictEqual(why(link), ["SinkRejected", `${link} is a symbolic link`])
  })

  inFolder("is an audit store of this release or an older one", (folder) => {
    const path = join(folder, "a.db")
    store(path)
    assert.isFalse(taken(path))
    assert.isFalse(taken(path, { adopt: false, mustExist: true }))
    const newer = join(folder, "newer.db")
    store(newer, `PRAGMA user_version = ${version + 1}`)
    assert.deepStrictEqual(why(newer), [
      "SinkRejected",
      `${newer}: it has version ${version + 1}, newer than the ${version} of this release`
    ])
  })

  inFolder("is a store also where a checkpoint was stopped after the first page, or is there now", (folder) => {
    const path = join(folder, "a.db")
    store(path, "PRAGMA journal_mode = WAL")
    const other = new DatabaseSync(path)
    other.exec("CREATE TABLE more (text TEXT); INSERT INTO more VALUES (printf('%.*c', 100000, 'x'))")
    const stopped = join(folder, "stopped.db")
    copyFileSync(`${path}-wal`, `${stopped}-wal`)
    // A checkpoint writes the first page first: it tells of pages that the file has only when it ends.
    const first = readFileSync(path)
    first.writeUInt32BE(first.readUInt32BE(28) + 20, 28)
    writeFileSync(stopped, first)
    other.close()
    assert.isFalse(taken(stopped))
    assert.isFalse(taken(path))
  })

  inFolder("is waited for while another process has it for itself", (folder) => {
    const path = join(folder, "own.db")
    database(path, "CREATE TABLE note (n INT)")
    const other = new DatabaseSync(path)
    other.exec("BEGIN EXCLUSIVE")
    assert.throws(() => checkFile(path, plain), /locked/)
    other.close()
    why(path)
  })

  inFolder("is no other file, and a database of the application's only where it may be adopted", (folder) => {
    const text = join(folder, "text.db")
    writeFileSync(text, "no database at all ".repeat(300))
    const cut = join(folder, "cut.db")
    store(cut)
    writeFileSync(cut, readFileSync(cut).subarray(0, 50))
    for (
      const [path, says] of [[text, "is not an audit store"], [cut, "is damaged: pages of the database are missing"]]
    ) {
      for (const adopt of [false, true]) {
        assert.deepStrictEqual(why(path ?? "", { ...plain, adopt }), ["SinkRejected", `${path} ${says}`])
      }
    }
    const own = join(folder, "own.db")
    database(own, "CREATE TABLE note (n INT)")
    assert.deepStrictEqual(why(own), [
      "SinkRejected",
      `${own}: it is a database, but not an audit store: open it once with adopt`
    ])
    assert.isFalse(taken(own, { ...plain, adopt: true }))
    database(own, "CREATE TABLE audit_event (n INT)")
    assert.deepStrictEqual(why(own, { ...plain, adopt: true }), [
      "SinkRejected",
      `${own}: it has a table audit_event of its own and cannot be adopted: rename it`
    ])
  })

  inFolder("is not looked into again while this process has it open", (folder) => {
    const path = join(folder, "a.db")
    store(path)
    const first = checkFile(path, plain)
    assert("identity" in first)
    chmodSync(path, 0o600)
    writeFileSync(path, "no database at all ".repeat(300))
    const second = checkFile(path, plain)
    assert.deepStrictEqual(second, first)
    releaseFile(first.identity)
    assert.isTrue(isHeld(first.identity))
    releaseFile(first.identity)
    assert.deepStrictEqual(why(path), ["SinkRejected", `${path} is not an audit store`])
  })
})
