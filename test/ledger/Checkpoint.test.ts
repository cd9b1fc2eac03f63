import { assert, describe, it } from "@effect/vitest"
import { Checkpoint, SignedNote } from "effect-audit/ledger"
import { readFileSync } from "node:fs"

interface NoteVector {
  readonly what: string
  readonly note?: string
  readonly noteHex?: string
  readonly text?: string
  readonly vkeys?: ReadonlyArray<string>
  readonly signedBy?: ReadonlyArray<string>
}
const vectors = JSON.parse(readFileSync(new URL("../fixtures/tlog/tlog.json", import.meta.url), "utf8")) as {
  readonly keys: ReadonlyArray<
    {
      readonly type: number
      readonly name: string
      readonly seed?: string
      readonly vkey: string
      readonly publicKey: string
    }
  >
  readonly notes: {
    readonly accept: ReadonlyArray<NoteVector>
    readonly reject: ReadonlyArray<NoteVector>
    readonly rejectVkeys: ReadonlyArray<{ readonly vkey: string; readonly what: string }>
  }
  readonly checkpoints: { readonly accept: ReadonlyArray<NoteVector>; readonly reject: ReadonlyArray<NoteVector> }
  readonly trees: ReadonlyArray<{ readonly size: number; readonly root: string; readonly checkpoint: string }>
}
const noteOf = (vector: NoteVector) =>
  vector.noteHex === undefined ? vector.note ?? "" : Buffer.from(vector.noteHex, "hex")
const verifiers = (vkeys: ReadonlyArray<string>) => vkeys.flatMap((vkey) => SignedNote.parseVkey(vkey) ?? [])
const [logKey] = vectors.keys
assert(logKey !== undefined)
const known = verifiers([logKey.vkey])

describe("SignedNote", () => {
  it("reads and writes keys, and refuses what is none", () => {
    for (const key of vectors.keys.filter(({ type }) => type === 1)) {
      if (key.seed === undefined) continue
      const signer = SignedNote.makeSigner(key.name, Buffer.from(key.seed, "hex"))
      assert.strictEqual(Buffer.from(signer?.publicKeyBytes ?? []).toString("hex"), key.publicKey)
      assert.strictEqual(SignedNote.encodeVkey(key.name, Buffer.from(key.publicKey, "hex")), key.vkey)
      assert.strictEqual(SignedNote.parseVkey(key.vkey)?.name, key.name)
    }
    for (const { vkey, what } of vectors.notes.rejectVkeys) assert.isUndefined(SignedNote.parseVkey(vkey), what)
  })

  it("opens every note that is good, and none that is not", () => {
    for (const vector of vectors.notes.accept) {
      const keys = verifiers(vector.vkeys ?? [])
      const opened = SignedNote.open(noteOf(vector), keys)
      assert(typeof opened !== "string", `${vector.what}: ${String(opened)}`)
      assert.strictEqual(opened.text, vector.text, vector.what)
    }
    for (const vector of vectors.notes.reject) {
      assert.isString(SignedNote.open(noteOf(vector), verifiers(vector.vkeys ?? [])), vector.what)
    }
  })
})

describe("Checkpoint", () => {
  it("signs what the reference implementation signs, byte for byte, and opens it", () => {
    const signer = SignedNote.makeSigner(logKey.name, Buffer.from(logKey.seed ?? "", "hex"))
    assert(signer !== undefined)
    for (const { checkpoint, root, size } of vectors.trees) {
      const head = { origin: logKey.name, size, root: Buffer.from(root, "hex"), extensions: [] }
      assert.strictEqual(Checkpoint.sign(head, signer), checkpoint)
      const opened = Checkpoint.open(checkpoint, known)
      assert(typeof opened !== "string")
      assert.deepStrictEqual({ ...opened.checkpoint, root: Buffer.from(opened.checkpoint.root) }, head)
    }
  })

  it("keeps extension lines, and refuses every checkpoint of the reject list", () => {
    for (const vector of vectors.checkpoints.accept) {
      const opened = Checkpoint.open(noteOf(vector), known)
      assert(typeof opened !== "string", vector.what)
      assert.strictEqual(Checkpoint.format(opened.checkpoint), String(vector.note).split("\n\n")[0] + "\n")
    }
    for (const vector of vectors.checkpoints.reject) {
      assert.isString(Checkpoint.open(noteOf(vector), known), vector.what)
    }
  })
})
