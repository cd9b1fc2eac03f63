/** `effect-audit keygen`: makes the key that signs checkpoints. */
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import { randomBytes } from "node:crypto"
import * as SigningKey from "../ledger/SigningKey.ts"
import * as SqliteSignerState from "../sqlite/SqliteSignerState.ts"
import { failing, print, signingFlags } from "./store.ts"

const removeAll = (files: ReadonlyArray<string>) =>
  Effect.flatMap(
    FileSystem.FileSystem,
    (fileSystem) => Effect.forEach(files, (file) => fileSystem.remove(file, { force: true }), { discard: true })
  )

export const keygen = Command.make(
  "keygen",
  {
    out: Flag.String("out").pipe(Flag.withDescription("The new file for the private key; never replaces one")),
    name: Flag.String("name").pipe(
      Flag.optional,
      Flag.withDescription("The key's name, such as audit.example.com/signer; made up unless given")
    ),
    state: signingFlags.state
  },
  Effect.fnUntraced(function*({ name, out, state }) {
    const keyName = Option.getOrElse(name, () => `effect-audit/signer-${randomBytes(4).toString("hex")}`)
    const key = yield* failing(SigningKey.generate(out, keyName))
    const path = Option.getOrElse(state, () => `${out}.state`)
    yield* failing(Effect.scoped(Layer.build(SqliteSignerState.layer({ state: path, newSigner: true }))))
    // A key whose verifier key nobody saw is of no use, and would be in the way of the next try.
    yield* Effect.tapError(print(`${key.vkey}\n`), () => removeAll([out, path, `${path}-wal`, `${path}-shm`]))
  })
).pipe(
  Command.withDescription(
    "Make a signing key: writes the private key (mode 0600) and the signer's state beside it, and prints the " +
      "public verifier " +
      "key, which checks every log that the key signs. If it cannot be printed, there is no key. " +
      "Exit 0: done, 2: could not be done."
  ),
  Command.withExamples([{ command: "effect-audit keygen --out audit.key > audit.vkey", description: "Make a key" }])
)
