import { assert, describe, it } from "@effect/vitest"
import { Effect, Result } from "effect"
import { AuditError, Merkle, Seal } from "effect-audit"
import { Checkpoint, Proof, SignedNote, SigningKey } from "effect-audit/ledger"
import { spawnSync } from "node:child_process"
import { readFileSync, rmSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { hashesOf } from "../reference.ts"
import { smallDisk } from "../support.ts"

const vectors = JSON.parse(readFileSync(new URL("../fixtures/tlog/tlog.json", import.meta.url), "utf8")) as {
  readonly proofFiles: ReadonlyArray<
    { readonly entry: string; readonly extra: string; readonly file: string; readonly index: number }
  >
  readonly keys: ReadonlyArray<{ readonly vkey: string }>
}
const logVkey = vectors.keys[0]?.vkey ?? ""

describe("Proof: tlog-proof", () => {
  it("reads and writes every proof file of the vectors, byte for byte, and they lead to their checkpoints", () => {
    for (const vector of vectors.proofFiles) {
      const inclusion = Result.getOrThrow(Proof.parseInclusion(vector.file))
      assert.strictEqual(inclusion.index, vector.index)
      assert.strictEqual(Buffer.from(inclusion.extra).toString(), vector.extra)
      assert.strictEqual(Proof.format(inclusion), vector.file)
      const verifier = SignedNote.parseVkey(logVkey)
      assert(verifier !== undefined)
      const opened = Result.getOrThrow(Checkpoint.open(inclusion.note, [verifier]))
      assert.isTrue(Merkle.verifyInclusion({
        index: inclusion.index,
        size: opened.checkpoint.size,
        leafHash: Merkle.leafHash(Buffer.from(vector.entry)),
        proof: inclusion.hashes,
        root: opened.checkpoint.root
      }))
    }
  })

  it("refuses what is no tlog-proof", () => {
    const [good] = vectors.proofFiles
    assert(good !== undefined)
    for (
      const bad of [
        "",
        good.file.replace("@v1", "@v2"),
        good.file.replace("index 0", "index 00"),
        good.file.replace("index 0", "index -1"),
        good.file.replace("index 0", "index 9007199254740993"),
        good.file.replace("index 0\n", ""),
        good.file.replace("index 0", "extra \nindex 0"),
        good.file.replace("index 0", "extra !\nindex 0"),
        good.file.replace("6GiBGkgsJ9UL", "6GiBGkgsJ9U"),
        good.file.split("\n\n")[0] ?? ""
      ]
    ) assert.isTrue(Result.isFailure(Proof.parseInclusion(bad)), bad)
  })
})

describe("Proof: the edges of a tlog-proof", () => {
  const hash = Buffer.alloc(32, 5)
  const inclusion = { index: 0, hashes: [hash], extra: new Uint8Array(0), note: "note\n" }
  const text = Proof.format(inclusion)
  const lines = text.split("\n")

  it("is a header, an index, hashes, an empty line and the checkpoint", () => {
    assert.deepStrictEqual(lines, [
      "c2sp.org/tlog-proof@v1",
      "index 0",
      hash.toString("base64"),
      "",
      "note",
      ""
    ])
    const good: ReadonlyArray<readonly [Proof.Inclusion, string]> = [
      [inclusion, text],
      [{ ...inclusion, hashes: [] }, text.replace(`${hash.toString("base64")}\n`, "")],
      [{ ...inclusion, index: Number.MAX_SAFE_INTEGER }, text.replace("index 0", "index 9007199254740991")],
      [{ ...inclusion, extra: Buffer.from("x") }, text.replace("index", "extra eA==\nindex")],
      [{ ...inclusion, note: "a\n\nb\n" }, text.replace("note", "a\n\nb")],
      [
        { ...inclusion, hashes: Array.from({ length: 63 }, () => hash) },
        text.replace(
          hash.toString("base64"),
          Array.from({ length: 63 }, () => hash.toString("base64")).join("\n")
        )
      ]
    ]
    for (const [inclusion, text] of good) {
      assert.strictEqual(Proof.format(inclusion), text)
      const read = Result.getOrThrow(Proof.parseInclusion(text))
      assert.deepStrictEqual(
        { ...read, hashes: read.hashes.map((hash) => Buffer.from(hash)), extra: Buffer.from(read.extra) },
        {
          ...inclusion,
          hashes: [...inclusion.hashes].map((hash) => Buffer.from(hash)),
          extra: Buffer.from(inclusion.extra)
        }
      )
    }
  })

  it("is nothing else", () => {
    const wrong = [
      `x${text}`,
      `\n${text}`,
      text.replace("index 0", "xindex 0"),
      text.replace("index 0", "index 0x"),
      text.replace("index 0", "index 1.0"),
      text.replace("index 0", "index "),
      text.replace("index 0", "index 9007199254740992"),
      text.replace("index 0", "index 10000000000000000"),
      text.replace("index 0\n", "index 0\nindex 0\n"),
      text.replace("index 0\n", "index 0\nextra eA==\n"),
      text.replace("index", "extra eA==\nextra eA==\nindex"),
      text.replace("index", "extraeA==\nindex"),
      text.replace(hash.toString("base64"), Buffer.alloc(31).toString("base64")),
      text.replace(hash.toString("base64"), Buffer.alloc(33).toString("base64")),
      text.replace(hash.toString("base64"), Array.from({ length: 64 }, () => hash.toString("base64")).join("\n")),
      text.replace("\n\n", "\n")
    ]
    for (const text of wrong) assert.isTrue(Result.isFailure(Proof.parseInclusion(text)), text)
  })
})

const seed = Buffer.alloc(32, 7)
const origin = `test/log/${"0a".repeat(16)}`
const [signer, own] = [SignedNote.makeSigner(origin, seed), SignedNote.makeSigner("test/signer", seed)]
assert(signer !== undefined && own !== undefined)
const vkey = SignedNote.encodeVkey("test/signer", own.publicKeyBytes)
const salt = Buffer.alloc(32, 9)
const event = Buffer.from("{\"event_id\":\"an event\",\"text\":\"gr\u00fc\u00dfe\"}")

/** A proof file for one event among others. */
const fileOf = (index: number, size: number, erased = false) => {
  const entries = Array.from(
    { length: size },
    (_, i) => Seal.entry(i === index ? Seal.commitment(salt, event) : Buffer.alloc(32, i))
  )
  const read = hashesOf(entries)
  const note = Checkpoint.sign({ origin, size, root: Merkle.root(size, read), extensions: [] }, signer)
  const subject: Proof.Subject = erased
    ? { erased, entry: entries[index] ?? event }
    : { erased, event, salt }
  return Proof.make(subject, { index, hashes: Merkle.inclusionProof(index, size, read), note })
}

describe("Proof: files", () => {
  it("show the event, byte for byte, to who has the signer's key or the log's own", () => {
    const text = Proof.encode(fileOf(4, 11))
    for (
      const key of [vkey, SigningKey.vkeyOf(vkey, origin) ?? "", SignedNote.encodeVkey(origin, own.publicKeyBytes)]
    ) {
      const proven = Result.getOrThrow(Proof.verify(text, key))
      assert(!proven.erased)
      assert.strictEqual(proven.event, event.toString("utf8"))
      assert.strictEqual(proven.position, 4)
      assert.strictEqual(proven.checkpoint.size, 11)
    }
    const erased = Result.getOrThrow(Proof.verify(Proof.encode(fileOf(4, 11, true)), vkey))
    assert.isTrue(erased.erased)
  })

  it("fail for any other event, salt, index, size, root, origin or key", () => {
    const good = fileOf(4, 11)
    assert("event" in good)
    const otherKey = SignedNote.makeSigner("test/signer", Buffer.alloc(32, 8))
    assert(otherKey !== undefined)
    const swapped = (from: string, to: string) => ({ ...good, proof: good.proof.replace(from, to) })
    const cases: ReadonlyArray<readonly [string, unknown, string]> = [
      ["event", { ...good, event: Buffer.from("{}").toString("base64") }, vkey],
      ["salt", { ...good, salt: Buffer.alloc(32, 1).toString("base64") }, vkey],
      ["short salt", { ...good, salt: "AAAA" }, vkey],
      ["index", swapped("index 4", "index 5"), vkey],
      ["size", swapped("\n11\n", "\n12\n"), vkey],
      ["origin", swapped("0a0a", "0b0a"), vkey],
      ["another key", good, SignedNote.encodeVkey("test/signer", otherKey.publicKeyBytes)],
      ["a key of another log", good, SignedNote.encodeVkey(`test/log/${"0c".repeat(16)}`, own.publicKeyBytes)],
      ["no key", good, "nonsense"],
      ["an unknown field", { ...good, more: 1 }, vkey],
      ["not JSON", undefined, vkey]
    ]
    for (const [what, file, key] of cases) {
      const text = file === undefined ? "{" : JSON.stringify(file)
      assert.isTrue(Result.isFailure(Proof.verify(text, key)), what)
    }
  })

  it("say what is wrong with them: the file, the checkpoint's signature, or that it does not lead to the root", () => {
    const good = fileOf(4, 11)
    const gone = fileOf(4, 11, true)
    assert("event" in good && "entry" in gone)
    const entry = Buffer.from(gone.entry, "base64")
    const base64 = (bytes: Uint8Array) => Buffer.from(bytes).toString("base64")
    const binary = Buffer.of(0xff, 0xfe)
    const cases: ReadonlyArray<readonly [object, string]> = [
      [{ ...good, format: "effect-audit/proof@v2" }, "ProofInvalid"],
      [{ ...good, proof: "nonsense" }, "ProofInvalid"],
      [{ ...good, proof: good.proof.replace(/[A-Za-z0-9+/=]{20}\n$/, "\n") }, "SignatureInvalid"],
      [{ ...good, event: `${good.event}!` }, "ProofInvalid"],
      [{ ...good, salt: base64(Buffer.alloc(31)) }, "ProofInvalid"],
      [{ ...good, salt: base64(Buffer.alloc(33)) }, "ProofInvalid"],
      [{ ...good, salt: "!" }, "ProofInvalid"],
      [{ ...good, event: base64(Buffer.from("{}")) }, "ProofInvalid"],
      [{ ...good, event: base64(binary) }, "HashMismatch"],
      [{ ...gone, entry: base64(Buffer.concat([Buffer.of(2), entry.subarray(1)])) }, "ProofInvalid"],
      [{ ...gone, entry: base64(entry.subarray(1)) }, "ProofInvalid"],
      [{ ...gone, entry: base64(Buffer.concat([entry, Buffer.of(0)])) }, "ProofInvalid"],
      [{ ...gone, entry: base64(Buffer.concat([entry.subarray(0, 32), Buffer.of(entry[32]! ^ 1)])) }, "ProofInvalid"],
      [{ ...gone, entry: "!" }, "ProofInvalid"],
      [{ ...gone, erased: false }, "ProofInvalid"]
    ]
    for (const [file, reason] of cases) {
      const error = Result.getOrThrow(Result.flip(Proof.verify(JSON.stringify(file), vkey)))
      assert.instanceOf(error, AuditError.IntegrityError)
      assert.strictEqual(error.reason._tag, reason, JSON.stringify(file))
      assert.strictEqual(error.method, "Proof.verify")
    }
    assert.isTrue(Proof.encode(good).endsWith("}\n"))
    assert.deepStrictEqual<unknown>(JSON.parse(Proof.encode(good)), good)
    const erased = Result.getOrThrow(Proof.verify(Proof.encode(gone), vkey))
    assert.deepStrictEqual([erased.erased, erased.position, erased.checkpoint.origin], [true, 4, origin])
  })

  it("are of entries of type 1 alone, and keep each byte of an event", () => {
    const made = (entry: Uint8Array, subject: Proof.Subject) => {
      const read = hashesOf([entry])
      const note = Checkpoint.sign({ origin, size: 1, root: Merkle.root(1, read), extensions: [] }, signer)
      return Proof.encode(Proof.make(subject, { index: 0, hashes: [], note }))
    }
    for (const type of [0, 1, 2]) {
      const entry = Buffer.concat([Buffer.of(type), Buffer.alloc(32, 3)])
      const proven = Proof.verify(made(entry, { erased: true, entry }), vkey)
      assert.strictEqual(Result.isFailure(proven), type !== 1, String(type))
    }
    const marked = Buffer.from("\ufeff{}")
    const proven = Result.getOrThrow(Proof.verify(
      made(Seal.entry(Seal.commitment(salt, marked)), { erased: false, event: marked, salt }),
      vkey
    ))
    assert(!proven.erased)
    assert.strictEqual(proven.event, "\ufeff{}")
    const broken = Buffer.of(0xff)
    const error = Result.getOrThrow(Result.flip(Proof.verify(
      made(Seal.entry(Seal.commitment(salt, broken)), { erased: false, event: broken, salt }),
      vkey
    )))
    assert.instanceOf(error, AuditError.IntegrityError)
    assert.strictEqual(error.reason._tag, "HashMismatch")
  })

  it("fail with any one bit of the file's meaning flipped", () => {
    const text = Proof.encode(fileOf(2, 6))
    const bytes = Buffer.from(text)
    const meaning = Result.getOrThrow(Proof.verify(text, vkey))
    for (let at = 0; at < bytes.length; at++) {
      for (const bit of [1, 4]) {
        const changed = Buffer.from(bytes)
        changed[at]! ^= bit
        const verified = Proof.verify(changed.toString("utf8"), vkey)
        // White space between the fields, and the spelling of an escape, mean nothing.
        if (Result.isSuccess(verified)) assert.deepStrictEqual(verified.success, meaning, `byte ${at}`)
      }
    }
  })

  it.effect("come with keys whose name is not a log's", () =>
    Effect.gen(function*() {
      const error = yield* Effect.flip(SigningKey.generate("/nonexistent/key", origin))
      assert.match(error.message, /not the origin of a log/)
    }))

  it.live("or with none that is in the way, where the disk is full", () =>
    Effect.gen(function*() {
      const folder = yield* smallDisk("64k")
      const [path, ballast] = [join(folder, "audit.key"), join(folder, "ballast")]
      writeFileSync(ballast, Buffer.alloc(65_536 - 8192))
      for (let n = 0; n < 8; n++) spawnSync("dd", ["if=/dev/zero", `of=${ballast}${n}`, "bs=4096", "count=1"])
      const error = yield* Effect.flip(SigningKey.generate(path, "example.com/signer"))
      assert.match(error.message, /cannot be written: ENOSPC/)
      rmSync(ballast)
      yield* SigningKey.generate(path, "example.com/signer")
    }))
})
