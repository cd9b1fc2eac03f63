import { assert, describe, it } from "@effect/vitest"
import { Result } from "effect"
import { Merkle } from "effect-audit"
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
      const opened = Result.getOrThrow(SignedNote.open(noteOf(vector), keys))
      assert.strictEqual(opened.text, vector.text, vector.what)
    }
    for (const vector of vectors.notes.reject) {
      assert.isTrue(Result.isFailure(SignedNote.open(noteOf(vector), verifiers(vector.vkeys ?? []))), vector.what)
    }
  })
})

describe("SignedNote: the edges of the format", () => {
  const seed = Buffer.from(logKey.seed ?? "", "hex")
  const signer = SignedNote.makeSigner(logKey.name, seed)
  assert(signer !== undefined)
  const [verifier] = known
  assert(verifier !== undefined)

  it("has names without spaces, plus signs and control characters", () => {
    for (const name of ["", "a b", "a+b", "a\tb", "a\u0000", " a", "a\n", "a\u00a0b"]) {
      assert.isUndefined(SignedNote.makeSigner(name, seed), JSON.stringify(name))
      assert.isUndefined(SignedNote.encodeSkey(name, seed), JSON.stringify(name))
    }
    for (const name of ["a", "example.com/log", "grün", "a-b_c"]) {
      const skey = SignedNote.encodeSkey(name, seed)
      assert(skey !== undefined)
      const read = SignedNote.parseSkey(skey)
      assert.strictEqual(read?.name, name)
      assert.deepStrictEqual(Buffer.from(read?.seed ?? []), seed)
    }
    assert.isUndefined(SignedNote.makeSigner("a", seed.subarray(1)))
    assert.isUndefined(SignedNote.makeSigner("a", Buffer.concat([seed, Buffer.of(1)])))
  })

  it("reads base64 in its one spelling", () => {
    const spellings: ReadonlyArray<readonly [string, string | undefined]> = [
      ["", ""],
      ["AA==", "00"],
      ["AAA=", "0000"],
      ["AAAA", "000000"],
      ["+/+/", "fbffbf"],
      ["AB==", undefined],
      ["AAB=", undefined],
      ["AA=", undefined],
      ["AA", undefined],
      ["A===", undefined],
      ["====", undefined],
      ["AA==AA==", undefined],
      ["AA==\n", undefined],
      ["\nAA==", undefined],
      ["-_-_", undefined],
      ["AA A", undefined]
    ]
    for (const [text, expected] of spellings) {
      const bytes = SignedNote.decodeBase64(text)
      const actual = bytes === undefined ? undefined : Buffer.from(bytes).toString("hex")
      assert.strictEqual(actual, expected, JSON.stringify(text))
    }
  })

  it("reads a key only whole: its own id, type and length, and nothing around it", () => {
    const [name, id, encoded] = logKey.vkey.split("+", 2).concat(logKey.vkey.split("+").slice(2).join("+"))
    assert(name !== undefined && id !== undefined && encoded !== undefined)
    const bytes = Buffer.from(encoded, "base64")
    const vkey = (name: string, id: string, bytes: Uint8Array) =>
      `${name}+${id}+${Buffer.from(bytes).toString("base64")}`
    assert.strictEqual(vkey(name, id, bytes), logKey.vkey)
    const wrongType = Buffer.concat([Buffer.of(2), bytes.subarray(1)])
    for (
      const wrong of [
        vkey(name, "00000000", bytes),
        vkey(name, id.toUpperCase(), bytes),
        vkey(name, id.slice(1), bytes),
        vkey(`${name}x`, id, bytes),
        vkey("", id, bytes),
        vkey(name, id, wrongType),
        vkey(name, id, bytes.subarray(0, 32)),
        vkey(name, id, Buffer.concat([bytes, Buffer.of(0)])),
        `x+${logKey.vkey}`,
        ` ${logKey.vkey}`,
        `${logKey.vkey}\n`,
        logKey.vkey.slice(0, -1)
      ]
    ) assert.isUndefined(SignedNote.parseVkey(wrong), wrong)
    const skey = SignedNote.encodeSkey(logKey.name, seed) ?? ""
    for (
      const wrong of [
        `x${skey}`,
        `${skey}\n`,
        skey.replace("PRIVATE", "PUBLIC"),
        skey.replace(logKey.name, `${logKey.name}x`),
        logKey.vkey,
        `PRIVATE+KEY+${vkey(name, id, wrongType)}`,
        `PRIVATE+KEY+${vkey(name, id, bytes.subarray(0, 32))}`,
        `PRIVATE+KEY+${vkey(name, "00000000", Buffer.concat([Buffer.of(1), seed]))}`
      ]
    ) assert.isUndefined(SignedNote.parseSkey(wrong), wrong)
  })

  it("gives a key another id under another name, and the same again under its own", () => {
    const renamed = SignedNote.renameSigner(signer, "other")
    assert.notStrictEqual(renamed.keyId, signer.keyId)
    assert.strictEqual(
      SignedNote.formatVkey(SignedNote.rename(verifier, "other")),
      SignedNote.encodeVkey("other", signer.publicKeyBytes)
    )
    assert.strictEqual(SignedNote.formatVkey(verifier), logKey.vkey)
    const opened = Result.getOrThrow(
      SignedNote.open(SignedNote.sign("text\n", renamed), [SignedNote.rename(verifier, "other")])
    )
    assert.strictEqual(opened.text, "text\n")
    assert.isTrue(Result.isFailure(SignedNote.open(SignedNote.sign("text\n", renamed), known)))
  })

  it("opens what some known key signed, names it, and refuses a forged signature beside it", () => {
    const other = SignedNote.renameSigner(signer, "other")
    const both = (text: string) => SignedNote.sign(text, signer) + SignedNote.sign(text, other).slice(text.length + 1)
    const note = both("text\n")
    const names = (verifiers: ReadonlyArray<SignedNote.Verifier>, note: string) => {
      const opened = SignedNote.open(note, verifiers)
      return Result.isFailure(opened) ? undefined : opened.success.signedBy.map((name) => name.split("+")[0])
    }
    const second = SignedNote.rename(verifier, "other")
    assert.deepStrictEqual(names([verifier], note), [logKey.name])
    assert.deepStrictEqual(names([second], note), ["other"])
    assert.deepStrictEqual(names([second, verifier], note), [logKey.name, "other"])
    assert.isUndefined(names([], note))
    const forged = SignedNote.sign("text\n", signer) + SignedNote.sign("tact\n", other).slice(6)
    assert.deepStrictEqual(names([verifier], forged), [logKey.name])
    assert.isUndefined(names([verifier, second], forged))
  })

  it("has no control characters, is UTF-8, ends with a newline and is no longer than a mebibyte", () => {
    const signed = (text: string) => SignedNote.open(SignedNote.sign(text, signer), known)
    for (const text of ["text\n", "two\nlines\n", "a\n\nb\n", "\u0080 grün ~\n"]) {
      const opened = Result.getOrThrow(signed(text))
      assert.strictEqual(opened.text, text)
    }
    for (const text of ["a\tb\n", "a\u0000\n", "a\u001f\n", "a\u007f\n", "a\r\n"]) {
      assert.isTrue(Result.isFailure(signed(text)), JSON.stringify(text))
    }
    const note = SignedNote.sign("text\n", signer)
    for (const wrong of ["", "\n", "text\n", note.slice(0, -1), `${note}\n`, `${note}x\n`, note.replace("— ", "- ")]) {
      assert.isTrue(Result.isFailure(SignedNote.open(wrong, known)), JSON.stringify(wrong))
    }
    assert.isTrue(Result.isFailure(SignedNote.open(Buffer.concat([Buffer.from(note), Buffer.of(0xff)]), known)))
    assert.isTrue(Result.isFailure(SignedNote.open(`\ud800${note}`, known)))
    const around = SignedNote.sign("\n", signer).length
    assert.isTrue(Result.isSuccess(signed(`${"x".repeat(1_048_576 - around)}\n`)))
    assert.isTrue(Result.isFailure(signed(`${"x".repeat(1_048_577 - around)}\n`)))
  })
})

describe("SignedNote: what only resembles a note", () => {
  const signer = SignedNote.makeSigner(logKey.name, Buffer.from(logKey.seed ?? "", "hex"))
  assert(signer !== undefined)
  const note = SignedNote.sign("text\n", signer)
  const refused = (note: string | Uint8Array) => Result.isFailure(SignedNote.open(note, known))

  it("bytes that are no UTF-8 are not read as if they were, and a byte order mark is part of the text", () => {
    const replaced = SignedNote.sign("\ufffd\n", signer)
    assert.isFalse(refused(Buffer.from(replaced)))
    assert.isTrue(refused(Buffer.concat([Buffer.of(0xff), Buffer.from(replaced).subarray(3)])))
    const marked = Buffer.from(SignedNote.sign("\ufefftext\n", signer))
    const opened = Result.getOrThrow(SignedNote.open(marked, known))
    assert.strictEqual(opened.text, "\ufefftext\n")
    assert.isTrue(refused(Buffer.concat([Buffer.from("\ufeff"), Buffer.from(note)])))
  })

  it("is refused with why", () => {
    const other = SignedNote.sign("text\n", SignedNote.renameSigner(signer, "other"))
    const cases: ReadonlyArray<readonly [note: Uint8Array | string, why: string]> = [
      [Buffer.of(0xff), "it is not UTF-8"],
      ["\ud800", "it is not UTF-8"],
      ["x".repeat(1_048_577), "it is too long"],
      [note.replace("text", "\t"), "it has control characters"],
      ["text\n", "it has no signatures"],
      [note.slice(0, -1), "it has no signatures"],
      [note.replace("— ", "- "), "a signature line is ill-formed"],
      [`${note}\n`, "a signature line is ill-formed"],
      [note.replace("text", "tact"), `the signature of ${signer.name} does not verify`],
      [other, "no known key has signed it"]
    ]
    for (const [note, why] of cases) assert.deepStrictEqual(SignedNote.open(note, known), Result.fail(why))
  })

  it("needs the blank line before its signatures, and a newline at its end", () => {
    assert.isFalse(refused(note))
    assert.isTrue(refused(`${note.slice(0, -1)}x`))
    const empty = SignedNote.sign("", signer)
    assert.isTrue(refused(empty))
    assert.isTrue(refused(`x${empty.slice(1)}`))
    assert.isTrue(refused(note.replace("— ", "x— ")))
    assert.isTrue(refused(note.replace("\n\n", "\n")))
  })

  it("needs signature lines that hold a key id and a signature, also of keys that are not known", () => {
    for (
      const [encoded, good] of [["AAAA", false], ["AAAAAA==", false], ["AAAAAAA=", true], ["AAAAAAB=", false]] as const
    ) {
      assert.strictEqual(refused(`${note}— other ${encoded}\n`), !good, encoded)
    }
    for (const line of ["— other", "other AAAAAAA=", "— a+b AAAAAAA=", "— other  AAAAAAA=", "— other AAAAAAA= "]) {
      assert.isTrue(refused(`${note}${line}\n`), line)
    }
  })

  it("a private key of another type is none, although its id is right", () => {
    const seed = Buffer.from(logKey.seed ?? "", "hex")
    const skey = SignedNote.encodeSkey(logKey.name, seed) ?? ""
    const start = skey.slice(0, skey.lastIndexOf(logKey.name) + logKey.name.length + 10)
    assert.isDefined(SignedNote.parseSkey(start + Buffer.concat([Buffer.of(1), seed]).toString("base64")))
    for (const bytes of [Buffer.concat([Buffer.of(2), seed]), Buffer.concat([Buffer.of(1), seed, Buffer.of(0)])]) {
      assert.isUndefined(SignedNote.parseSkey(start + bytes.toString("base64")))
    }
  })
})

describe("Checkpoint: its text", () => {
  const root = Buffer.alloc(32, 7).toString("base64")
  const empty = Buffer.from(Merkle.emptyRoot).toString("base64")

  it("is an origin, a size below 2^53, a root, and extension lines", () => {
    const texts: ReadonlyArray<readonly [string, number, ReadonlyArray<string>]> = [
      [`o\n0\n${empty}\n`, 0, []],
      [`o\n1\n${root}\n`, 1, []],
      [`o\n9007199254740991\n${root}\n`, Number.MAX_SAFE_INTEGER, []],
      [`o\n10\n${root}\nmore\nlines\n`, 10, ["more", "lines"]]
    ]
    for (const [text, size, extensions] of texts) {
      const parsed = Result.getOrThrow(Checkpoint.parse(text))
      assert.deepStrictEqual([parsed.origin, parsed.size, [...parsed.extensions]], ["o", size, [...extensions]])
      assert.strictEqual(Checkpoint.format(parsed), text)
    }
  })

  it("is nothing else", () => {
    const wrong = [
      "",
      "\n",
      "o\n",
      "o\n1\n",
      `o\n1\n${root}`,
      `o\n1\n${root}x`,
      `\n1\n${root}\n`,
      `o\n01\n${root}\n`,
      `o\n-1\n${root}\n`,
      `o\n+1\n${root}\n`,
      `o\n1.0\n${root}\n`,
      `o\n1 \n${root}\n`,
      `o\nx1\n${root}\n`,
      `o\n\n${root}\n`,
      `o\n9007199254740992\n${root}\n`,
      `o\n10000000000000000\n${root}\n`,
      `o\n0\n${root}\n`,
      "o\n1\nAAAA\n",
      `o\n1\n${root.slice(1)}\n`,
      `o\n1\n${Buffer.alloc(33).toString("base64")}\n`,
      `o\n1\n${root}\n\n`,
      `o\n1\n${root}\na\n\nb\n`
    ]
    for (const text of wrong) assert.isTrue(Result.isFailure(Checkpoint.parse(text)), JSON.stringify(text))
    const cases: ReadonlyArray<readonly [text: string, why: string]> = [
      ["o\n1", "it does not end with a newline"],
      ["o\n1\n", "it has fewer than three lines"],
      [`o\n01\n${root}\n`, "its size is not a number"],
      ["o\n1\nAAAA\n", "its root is not the base64 of 32 bytes"],
      [`o\n1\n${root}\n\n`, "it has an empty line"],
      [`o\n0\n${root}\n`, "its root is not that of the empty tree"]
    ]
    for (const [text, why] of cases) assert.deepStrictEqual(Checkpoint.parse(text), Result.fail(why))
  })

  it("is stated by a note whoever signed it, and not opened for a stranger", () => {
    const signer = SignedNote.makeSigner("stranger", Buffer.alloc(32, 1))
    assert(signer !== undefined)
    const head = { origin: "o", size: 1, root: Buffer.alloc(32, 7), extensions: ["x"] }
    const note = Checkpoint.sign(head, signer)
    const stated = Result.getOrThrow(Checkpoint.stated(note))
    assert.deepStrictEqual({ ...stated, root: Buffer.from(stated.root) }, head)
    assert.isTrue(Result.isFailure(Checkpoint.open(note, known)))
    assert.isTrue(Result.isFailure(Checkpoint.stated("no note")))
    assert.isTrue(Result.isFailure(Checkpoint.open(SignedNote.sign("no checkpoint\n", signer), [
      ...verifiers([SignedNote.encodeVkey("stranger", signer.publicKeyBytes)])
    ])))
  })
})

describe("Checkpoint", () => {
  it("signs what the reference implementation signs, byte for byte, and opens it", () => {
    const signer = SignedNote.makeSigner(logKey.name, Buffer.from(logKey.seed ?? "", "hex"))
    assert(signer !== undefined)
    for (const { checkpoint, root, size } of vectors.trees) {
      const head = { origin: logKey.name, size, root: Buffer.from(root, "hex"), extensions: [] }
      assert.strictEqual(Checkpoint.sign(head, signer), checkpoint)
      const opened = Result.getOrThrow(Checkpoint.open(checkpoint, known))
      assert.deepStrictEqual({ ...opened.checkpoint, root: Buffer.from(opened.checkpoint.root) }, head)
    }
  })

  it("keeps extension lines, and refuses every checkpoint of the reject list", () => {
    for (const vector of vectors.checkpoints.accept) {
      const opened = Result.getOrThrow(Checkpoint.open(noteOf(vector), known))
      assert.strictEqual(Checkpoint.format(opened.checkpoint), String(vector.note).split("\n\n")[0] + "\n")
    }
    for (const vector of vectors.checkpoints.reject) {
      assert.isTrue(Result.isFailure(Checkpoint.open(noteOf(vector), known)), vector.what)
    }
  })
})
