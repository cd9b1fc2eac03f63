/** `effect-audit keygen` and `vkey`: make the key that signs checkpoints, and print what verifies them. */
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import { randomBytes } from "node:crypto"
import * as SigningKey from "../ledger/SigningKey.ts"
import { stateLayer } from "./medium.ts"
import { isAddress } from "./postgres.ts"
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
    const path = Option.getOrElse(state, () => `${out}.state`)
    const fileSystem = yield* FileSystem.FileSystem
    // That of another key may be shared.
    const isNew = !isAddress(path) && !(yield* fileSystem.exists(path))
    const key = yield* failing(SigningKey.generate(out, keyName))
    yield* failing(Effect.scoped(Layer.build(stateLayer({ state: path, newSigner: true })))).pipe(
      Effect.andThen(print(`${key.vkey}\n`)),
      // A key whose verifier key nobody saw is of no use, and would be in the way of the next try.
      Effect.tapError(() => removeAll([out, ...isNew ? [path, `${path}-wal`, `${path}-shm`] : []]))
    )
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

export const vkey = Command.make(
  "vkey",
  { keyFile: Flag.String("key-file").pipe(Flag.withDescription("The signing key, as keygen wrote it")) },
  Effect.fnUntraced(function*({ keyFile }) {
    yield* print(`${(yield* failing(SigningKey.fromFile(keyFile))).vkey}\n`)
  })
).pipe(
  Command.withDescription("Print the public verifier key of a signing key again. Exit 0: done, 2: could not be done."),
  Command.withExamples([{
    command: "effect-audit vkey --key-file audit.key > audit.vkey",
    description: "The verifier key was lost"
  }])
)
